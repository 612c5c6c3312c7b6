"""What Lighthouse says about five pages of a site that runs like in production, as a table in Markdown.

    python -m tests.support.lighthouse [--rounds 3]

Each page is examined several times; the table has the median of the performance. Exit code 1 when accessibility is
below 100 or performance 95 or less. The performance depends on the machine and on its load, which is printed.
"""

import argparse
import os
import statistics
import sys
import tempfile
from pathlib import Path

import tests.support.environment  # noqa: F401  (a database and a folder for this run)
from tests.support.examined import install_tools, run_lighthouse
from tests.support.machine import chromium
from tests.support.site import Site

ACCESSIBILITY, PERFORMANCE = 100, 95
PAGES = {  # whether a user is signed in
    "/": False,
    "/accounts/login/": False,
    "/developers/": False,
    "/accounts/activity/": True,
    "/admin/": True,
}
COOKIE = (
    "from django.test import Client; from accounts.user import User; client = Client();"
    "client.force_login(User.objects.create_superuser('bat', 'bat@example.mn'));"
    "print('; '.join(f'{name}={one.value}' for name, one in client.cookies.items()))"
)
MEASURES = ("first-contentful-paint", "largest-contentful-paint", "total-blocking-time", "cumulative-layout-shift")


def say(line: str) -> None:
    """Print a line of the report."""
    sys.stdout.write(f"{line}\n")
    sys.stdout.flush()


def main() -> int:
    options = argparse.ArgumentParser()
    options.add_argument("--rounds", type=int, default=3)
    rounds = options.parse_args().rounds
    browser = chromium()
    with tempfile.TemporaryDirectory() as folder, Site(STAFF_MFA="optional") as site:
        commands = install_tools(Path(folder))
        site.start("web")
        printed = site.manage("shell", "-v0", "-c", COOKIE).splitlines()
        cookie = next(line for line in printed if "sessionid" in line and not line.startswith("{"))  # among log lines
        say(f"{os.cpu_count()} cores, load {os.getloadavg()[0]:.1f} at the start; the median of {rounds} rounds.\n")
        say("| page | accessibility | performance | first paint | largest paint | blocked | layout shift |")
        say("|---|---|---|---|---|---|---|")
        results = [
            examine(commands, site.url, path, browser, cookie * signed_in, rounds) for path, signed_in in PAGES.items()
        ]
    say(f"\nLoad {os.getloadavg()[0]:.1f} at the end.")
    return 0 if all(results) else 1


def examine(commands: Path, url: str, path: str, browser: str, cookie: str, rounds: int) -> bool:
    """Print the row of a page; return whether it reaches both goals."""
    reports = [run_lighthouse(commands, url + path, browser, cookie) for _ in range(rounds)]
    assert all(report["finalDisplayedUrl"] == url + path for report in reports), "another page was examined"
    scores = [{name: 100 * one["score"] for name, one in report["categories"].items()} for report in reports]
    accessibility = min(score["accessibility"] for score in scores)
    performance = statistics.median(score["performance"] for score in scores)
    shown = [reports[-1]["audits"][measure]["displayValue"] for measure in MEASURES]
    say(f"| `{path}` | {accessibility:.0f} | {performance:.0f} | {' | '.join(shown)} |")
    judged = {one["id"] for one in reports[-1]["categories"]["accessibility"]["auditRefs"]}
    for name, audit in reports[-1]["audits"].items():
        if name in judged and audit["score"] == 0:
            say(f"\n{path}: {name}: {audit['title']}")
    return accessibility >= ACCESSIBILITY and performance > PERFORMANCE


if __name__ == "__main__":
    sys.exit(main())
