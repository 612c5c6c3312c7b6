"""The process that enqueues, by the contender's own way in.

    python -m benchmarks.enqueuing bulk|steady|paced PREFIX COUNT

bulk: as fast as one process can; prints how many ms each call took. steady: at BENCH_RATE calls a second.
paced: one at a time with rests between, as sign-ins come; prints when each call returned. The output is one JSON value.
"""

import importlib
import json
import os
import random
import sys
import time
from collections.abc import Callable

import benchmarks.work  # noqa: F401  (readies Django)
from benchmarks.contenders import PEERS, named
from benchmarks.people import payloads

REST = (0.15, 0.4)  # seconds between two sign-ins


def bulk(enqueue: Callable[..., None], prefix: str, count: int) -> list[float]:
    """How many ms each call took, its commits included."""
    took = []
    for reference, payload in payloads(prefix, count):
        began = time.perf_counter()
        enqueue(reference, payload)
        took.append((time.perf_counter() - began) * 1000)
    return took


def steady(enqueue: Callable[..., None], prefix: str, count: int) -> None:
    """BENCH_RATE calls a second; late ones are made up for."""
    rate, began = float(os.environ["BENCH_RATE"]), time.monotonic()
    for number, (reference, payload) in enumerate(payloads(prefix, count)):
        time.sleep(max(0.0, began + number / rate - time.monotonic()))
        enqueue(reference, payload)


def paced(enqueue: Callable[..., None], prefix: str, count: int) -> dict[str, float]:
    """time.monotonic() at the return of each call, by reference."""
    chance, returned = random.Random(count), {}  # noqa: S311  (the same rests for everybody)
    for reference, payload in payloads(prefix, count):
        time.sleep(chance.uniform(*REST))
        enqueue(reference, payload)
        returned[reference] = time.monotonic()
    return returned


if __name__ == "__main__":
    way, prefix, count = sys.argv[1:]
    enqueue = importlib.import_module(f"{PEERS}.{named(os.environ['BENCH_CONTENDER']).module}").enqueue
    json.dump({"bulk": bulk, "steady": steady, "paced": paced}[way](enqueue, prefix, int(count)), sys.stdout)
