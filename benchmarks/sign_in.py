"""What recording a sign-in costs the person who waits: milliseconds, queries, and its share of the whole request.

    DATABASE_URL=postgres://... python benchmarks/sign_in.py [sign-ins]

Signs in with the real password hasher through the real views, as an account of its own that is deleted afterwards.
"""

import os
import statistics
import sys
import time
from pathlib import Path

import django

sys.path.insert(0, str(Path(__file__).resolve().parent.parent))
os.environ.setdefault("DJANGO_SETTINGS_MODULE", "notifier.settings")
os.environ.setdefault("DEBUG", "1")
django.setup()

from django.conf import settings  # noqa: E402
from django.db import connection  # noqa: E402
from django.test import Client  # noqa: E402
from django.test.utils import CaptureQueriesContext  # noqa: E402

from accounts import sign_ins  # noqa: E402
from accounts.models import User  # noqa: E402

NAME, PASSWORD, WARM = "benchmark-of-sign-ins", "seven-Steppe-horses", 5


def main(rounds: int) -> None:
    settings.ALLOWED_HOSTS = ["testserver"]
    settings.RATELIMIT_ENABLE = False
    settings.LOGGING_CONFIG = None
    User.objects.filter(username=NAME).delete()
    user = User.objects.create_user(NAME, "benchmark@example.mn", PASSWORD)
    recorded: list[float] = []
    record = sign_ins.record

    def timed(*given: object) -> object:
        began = time.perf_counter()
        try:
            return record(*given)  # type: ignore[arg-type]
        finally:
            recorded.append((time.perf_counter() - began) * 1000)

    sign_ins.record = timed  # type: ignore[assignment]
    requests = [_sign_in() for _ in range(rounds + WARM)][WARM:]
    with CaptureQueriesContext(connection) as queries:
        record(user, None)
    user.delete()
    _tell("whole request", requests)
    _tell("recording", recorded[WARM:])
    shares = [f"p{percent} {_of(recorded[WARM:], percent) / _of(requests, percent):.1%}" for percent in (50, 95)]
    print(f"share of the request: {', '.join(shares)}")
    print(f"statements: {len(queries)}")


def _sign_in() -> float:
    client = Client(headers={"user-agent": "Mozilla/5.0 (X11; Linux x86_64; rv:128.0) Gecko/20100101 Firefox/128.0"})
    began = time.perf_counter()
    answer = client.post("/accounts/login/", {"login": NAME, "password": PASSWORD})
    assert answer.status_code == 302, answer.status_code
    return (time.perf_counter() - began) * 1000


def _tell(what: str, times: list[float]) -> None:
    print(f"{what}: p50 {_of(times, 50):.2f} ms, p95 {_of(times, 95):.2f} ms ({len(times)} sign-ins)")


def _of(times: list[float], percent: int) -> float:
    return statistics.quantiles(times, n=100)[percent - 1]


main(int(sys.argv[1]) if len(sys.argv) > 1 else 100)
