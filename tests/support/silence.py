"""Silence: how long requests take while PostgreSQL, Redis or a table does not answer, and how long /healthz takes.

    python -m tests.support.silence [--seconds 15]

A PostgreSQL, a Redis and a site of its own, as shipped. Five posts a second, two pages, ten probes, and a sign-in every
three seconds, each on a connection of its own. Prints a table; exit code 1 when a request took over 3 s.
"""

import argparse
import statistics
import sys
import threading
import time
from collections import Counter
from collections.abc import Callable
from contextlib import AbstractContextManager, nullcontext

import tests.support.environment  # noqa: F401  (before Django's settings are read)
from tests.support import faults
from tests.support.machine import redis_server
from tests.support.outside import Caller
from tests.support.postgres import Postgres
from tests.support.site import Site

LONGEST = 3.0  # seconds (P15)
PAUSES = {"post": 0.2, "page": 0.5, "sign-in": 3.0, "/healthz": 0.1}


class Load:
    """Requests of four kinds for some seconds, and how long each took."""

    def __init__(self, caller: Caller) -> None:
        self.took: dict[str, list[float]] = {kind: [] for kind in PAUSES}
        self.statuses: dict[str, Counter[int]] = {kind: Counter() for kind in PAUSES}
        self._calls: dict[str, Callable[[], int]] = {
            "post": lambda: caller.post_notice(f"n-{time.time_ns()}").status,
            "page": lambda: caller.get("/accounts/signup/").status,
            "sign-in": lambda: caller.sign_in().status,
            "/healthz": lambda: caller.get("/healthz").status,
        }

    def run(self, seconds: float) -> None:
        kinds = [threading.Thread(target=self._repeat, args=[kind, time.monotonic() + seconds]) for kind in PAUSES]
        for kind in kinds:
            kind.start()
        for kind in kinds:
            kind.join()

    def _repeat(self, kind: str, until: float) -> None:
        calls = []
        while time.monotonic() < until:
            calls.append(threading.Thread(target=self._call, args=[kind]))
            calls[-1].start()
            time.sleep(PAUSES[kind])
        for call in calls:
            call.join()

    def _call(self, kind: str) -> None:
        began = time.monotonic()
        status = self._calls[kind]()
        self.took[kind].append(time.monotonic() - began)
        self.statuses[kind][status] += 1


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--seconds", type=float, default=15)
    seconds = parser.parse_args().seconds
    longest = 0.0
    with redis_server() as redis_url, Postgres() as server:
        server.execute("CREATE DATABASE silence")
        with Site(DATABASE_URL=server.url("silence"), REDIS_URL=redis_url) as site:
            site.manage("migrate")
            site.start("web")
            caller = Caller(site)
            caller.sign_in()
            kinds: dict[str, AbstractContextManager[object]] = {
                "none": nullcontext(),
                "`job_logs` locked": faults.locked_table(server.url("silence"), "job_logs"),
                "PostgreSQL stopped": faults.stopped(server.process.pid if server.process else 0),
                "Redis stopped": faults.stopped(faults.redis_pid(redis_url)),
            }
            print("| fault | request | number | p50 | slowest | statuses |\n|---|---|---:|---:|---:|---|")  # noqa: T201
            for name, fault in kinds.items():
                longest = max(longest, suffer(name, fault, Load(caller), seconds))
    sys.exit(longest > LONGEST)


def suffer(name: str, fault: AbstractContextManager[object], load: Load, seconds: float) -> float:
    """Print the rows of one fault; the longest that a request took."""
    with fault:
        load.run(seconds)
    time.sleep(3)
    for kind, took in load.took.items():
        statuses = ", ".join(f"{status}: {count}" for status, count in sorted(load.statuses[kind].items()))
        half, longest = statistics.median(took) * 1000, max(took) * 1000
        print(f"| {name} | {kind} | {len(took)} | {half:.0f} ms | {longest:.0f} ms | {statuses} |", flush=True)  # noqa: T201
    return max(max(took) for took in load.took.values())


if __name__ == "__main__":
    main()
