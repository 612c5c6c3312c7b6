"""The site's settings with SCHEDULED schedules that tick every second, two of three of them with a step."""

import os

from notifier.settings import *  # noqa: F403

STEPS = ("*", "*/2", "*/3")
SCHEDULES = {
    f"every-{number}": {
        "task": "tests.support.sample_tasks.echo",
        "args": [number],
        "cron": f"{STEPS[number % len(STEPS)]} * * * * *",
        "timezone": "Australia/Lord_Howe",
    }
    for number in range(int(os.environ.get("SCHEDULED", "3")))
}
