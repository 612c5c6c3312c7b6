"""The process that enqueues tasks with the contender's own interface.

    python -m benchmarks.tasks.enqueuing bulk|paced KIND FIRST COUNT

bulk: as fast as one process can; prints the seconds. paced: one at a time with pauses; prints the time at which each
call returned, by the number of its task. The output is one JSON value.
"""

import importlib
import json
import os
import random
import sys
import time
from collections.abc import Callable

import benchmarks.tasks.work  # noqa: F401  (sets up Django)
from benchmarks.tasks.contenders import PEERS, named

PAUSE = (0.15, 0.4)  # seconds
WARM_UP = 20  # tasks of the numbers below FIRST, which open the connection and plan the statements


def bulk(enqueue: Callable[[str, int], None], kind: str, first: int, count: int) -> float:
    """Enqueue at full speed and return the seconds, commits included."""
    for number in range(first - WARM_UP, first):
        enqueue(kind, number)
    started = time.perf_counter()
    for number in range(first, first + count):
        enqueue(kind, number)
    return time.perf_counter() - started


def paced(enqueue: Callable[[str, int], None], kind: str, first: int, count: int) -> dict[int, float]:
    """Enqueue with pauses and return time.monotonic() at the end of each call."""
    chance, returned = random.Random(count), {}  # noqa: S311  (the same pauses for every contender)
    for number in range(first, first + count):
        time.sleep(chance.uniform(*PAUSE))
        enqueue(kind, number)
        returned[number] = time.monotonic()
    return returned


if __name__ == "__main__":
    way, kind, first, count = sys.argv[1:]
    module = importlib.import_module(f"{PEERS}.{named(os.environ['BENCH_CONTENDER']).module}")
    ways: dict[str, Callable[..., object]] = {"bulk": bulk, "paced": paced}
    json.dump(ways[way](module.enqueue, kind, int(first), int(count)), sys.stdout)
