"""The cost of recording a sign-in for the user who waits: milliseconds, queries, and its share of the whole request.

    DATABASE_URL=postgres://... python benchmarks/sign_in.py [sign-ins]

It signs in with the real password hasher through the real views, with accounts that are deleted afterwards. Each
account signs in often enough to have a history and a known browser, and so seldom that each sign-in has a notice.
The loaded code is left out of garbage collections, as in gunicorn's workers (notifier/web/worker.py).
"""

import gc
import os
import statistics
import sys
import time
from pathlib import Path

import django

sys.path.insert(0, str(Path(__file__).resolve().parent.parent))
os.environ.setdefault("DJANGO_SETTINGS_MODULE", "notifier.settings")
django.setup()

from django.conf import settings  # noqa: E402
from django.db import connection  # noqa: E402
from django.http import HttpRequest  # noqa: E402
from django.test import Client  # noqa: E402
from django.test.utils import CaptureQueriesContext  # noqa: E402

from accounts.sign_in import record  # noqa: E402
from accounts.user import User  # noqa: E402

NAME, PASSWORD = "benchmark-of-sign-ins", "seven-Steppe-horses"
SIGN_INS_OF_A_USER = 8  # fewer than SIGNIN_EMAILS_PER_HOUR: each sign-in enqueues its notice
FIREFOX = "Mozilla/5.0 (X11; Linux x86_64; rv:128.0) Gecko/20100101 Firefox/128.0"


def main(rounds: int) -> None:
    settings.DEBUG = False  # otherwise each query is logged too
    settings.ALLOWED_HOSTS = ["testserver"]
    settings.RATELIMIT_ENABLE = False
    settings.LOGGING_CONFIG = None
    User.objects.filter(username__startswith=NAME).delete()
    recorded: list[float] = []
    recordings: list[tuple[User, HttpRequest]] = []
    original = record.record_sign_in

    def timed(user: User, request: HttpRequest) -> object:
        recordings.append((user, request))
        started = time.perf_counter()
        try:
            return original(user, request)
        finally:
            recorded.append((time.perf_counter() - started) * 1000)

    record.record_sign_in = timed  # type: ignore[assignment]
    _sign_ins(0)  # imports, and what the first requests compile
    gc.collect()
    gc.freeze()
    recorded.clear()
    requests = [took for number in range(1, rounds // SIGN_INS_OF_A_USER + 2) for took in _sign_ins(number)]
    requests, recorded = requests[:rounds], recorded[:rounds]
    with CaptureQueriesContext(connection) as queries:
        original(*recordings[-1])
    User.objects.filter(username__startswith=NAME).delete()
    _print_times("whole request", requests)
    _print_times("recording", recorded)
    shares = [
        f"p{percent} {_percentile(recorded, percent) / _percentile(requests, percent):.1%}" for percent in (50, 95)
    ]
    print(f"share of the request: {', '.join(shares)}")
    print(f"statements: {len(queries)}")


def _sign_ins(number: int) -> list[float]:
    """Return the milliseconds of each sign-in of a new account, all from one browser."""
    name = f"{NAME}-{number}"
    User.objects.create_user(name, f"{name}@example.mn", PASSWORD)
    browser = Client(headers={"user-agent": FIREFOX})
    return [_sign_in(browser, name) for _ in range(SIGN_INS_OF_A_USER)]


def _sign_in(browser: Client, name: str) -> float:
    browser.cookies.pop(settings.SESSION_COOKIE_NAME, None)  # a new session; the cookie of the known browser stays
    started = time.perf_counter()
    response = browser.post("/accounts/login/", {"login": name, "password": PASSWORD}, secure=True)
    assert response.status_code == 302, response.status_code
    return (time.perf_counter() - started) * 1000


def _print_times(name: str, times: list[float]) -> None:
    print(f"{name}: p50 {_percentile(times, 50):.2f} ms, p95 {_percentile(times, 95):.2f} ms ({len(times)} sign-ins)")


def _percentile(times: list[float], percent: int) -> float:
    return statistics.quantiles(times, n=100)[percent - 1]


main(int(sys.argv[1]) if len(sys.argv) > 1 else 100)
