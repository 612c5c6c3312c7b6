"""The process that enqueues with the contender's own interface.

    python -m benchmarks.enqueuing bulk|steady|paced|timed PREFIX COUNT

bulk: as fast as one process can; prints the milliseconds of each call. steady: BENCH_RATE calls a second. paced: one at
a time with pauses, like sign-ins; prints the time at which each call returned. timed: the same without pauses. The
output is one JSON value. BENCH_LANE and BENCH_SOURCE: of ours.
"""

import importlib
import json
import os
import random
import sys
import time
from collections.abc import Callable

import benchmarks.work  # noqa: F401  (sets up Django)
from benchmarks.contenders import PEERS, named
from benchmarks.payloads import payloads

PAUSE = (0.15, 0.4)  # seconds between two sign-ins


def bulk(enqueue: Callable[..., None], prefix: str, count: int) -> list[float]:
    """Enqueue at full speed and return the milliseconds of each call, commits included."""
    took = []
    for reference, payload in payloads(prefix, count):
        started = time.perf_counter()
        enqueue(reference, payload)
        took.append((time.perf_counter() - started) * 1000)
    return took


def steady(enqueue: Callable[..., None], prefix: str, count: int) -> None:
    """Enqueue BENCH_RATE jobs a second, and catch up after delays."""
    rate, started = float(os.environ["BENCH_RATE"]), time.monotonic()
    for number, (reference, payload) in enumerate(payloads(prefix, count)):
        time.sleep(max(0.0, started + number / rate - time.monotonic()))
        enqueue(reference, payload)


def paced(enqueue: Callable[..., None], prefix: str, count: int) -> dict[str, float]:
    """Enqueue with pauses and return time.monotonic() at the end of each call, by reference."""
    chance = random.Random(count)  # noqa: S311  (the same pauses for every contender)
    return timed(enqueue, prefix, count, lambda: time.sleep(chance.uniform(*PAUSE)))


def timed(
    enqueue: Callable[..., None], prefix: str, count: int, pause: Callable[[], None] = lambda: None
) -> dict[str, float]:
    """Enqueue, each after a pause, and return time.monotonic() at the end of each call, by reference."""
    returned = {}
    for reference, payload in payloads(prefix, count):
        pause()
        enqueue(reference, payload)
        returned[reference] = time.monotonic()
    return returned


if __name__ == "__main__":
    way, prefix, count = sys.argv[1:]
    enqueue = importlib.import_module(f"{PEERS}.{named(os.environ['BENCH_CONTENDER']).module}").enqueue
    ways: dict[str, Callable[..., object]] = {"bulk": bulk, "steady": steady, "paced": paced, "timed": timed}
    json.dump(ways[way](enqueue, prefix, int(count)), sys.stdout)
