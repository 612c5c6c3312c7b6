"""`make bench-lanes`: what waits behind BEHIND=100000 routine notices, and what those lose by it. Part of `make bench`.

URGENT=20 single urgent jobs, OTHERS=10 jobs of another site together, and a FLOOD=3000 of urgent jobs are enqueued
while two workers drain the routine notices of this site. It writes a table to docs/performance.md; with another BEHIND
the document stays unchanged.
"""

import os
import sys
import time
from bisect import bisect_left
from contextlib import closing
from threading import Thread
from typing import Any

from benchmarks import document, machine
from benchmarks.contenders import OURS
from benchmarks.report import number, table
from benchmarks.services import Services, services
from benchmarks.stored import store
from benchmarks.testbed import Testbed

SHIPPED_BEHIND = 100_000
SIZES = {"URGENT": 20, "OTHERS": 10, "FLOOD": 3000}
BEHIND = int(os.environ.get("BEHIND", SHIPPED_BEHIND))
URGENT, OTHERS, FLOOD = (int(os.environ.get(name, most)) for name, most in SIZES.items())
BEFORE_SECONDS = 6.0  # in which only routine notices are sent, after the first ones
ENQUEUERS = 2
ROUTINE, ANOTHER_SITE = "routine", "shop"


def main() -> None:
    with services() as running, closing(Testbed(OURS, running)) as testbed:
        intro = [machine.describe(running), f"{BEHIND:,} routine notices wait; the mail server replies immediately."]
        text = "\n\n".join([*intro, _measure(testbed, running)])
    print(text)
    if BEHIND == SHIPPED_BEHIND:
        document.replace_section("lanes", text)


def _measure(testbed: Testbed, running: Services) -> str:
    testbed.fresh()
    _fill(testbed)
    running.sink.request("reset", 0)
    with testbed.workers():
        testbed.arrived(max(1, BEHIND // 100))
        began = time.monotonic()
        time.sleep(BEFORE_SECONDS)
        quiet = time.monotonic()
        urgent = _enqueue(testbed, "paced", "urgent", URGENT, lane="urgent")
        paced = time.monotonic()
        others = _enqueue(testbed, "timed", "others", OTHERS, source=ANOTHER_SITE)
        flooded = time.monotonic()
        _enqueue(testbed, "bulk", "flood", FLOOD, lane="urgent")
        over = time.monotonic()
        arrivals = running.sink.request("arrivals", "")
    routine = sorted(at for name, at in arrivals if name.startswith(ROUTINE))
    first = {name.rpartition(":")[2]: at for name, at in reversed(arrivals)}
    rates = [_rate(routine, *span) for span in ((began, quiet), (quiet, paced), (flooded, over))]
    flood = _rate(sorted(at for name, at in arrivals if name.startswith("flood")), flooded, over)
    store("lanes", {"urgent": _waits(first, urgent)[-1]})
    lines = [
        ["an urgent job, enqueued singly: pickup and email", *_shown(_waits(first, urgent)), ""],
        [f"{OTHERS} jobs of another site, enqueued together", *_shown(_waits(first, others)), ""],
        ["routine notices alone, a second", "", "", number(rates[0])],
        ["routine notices while urgent jobs come singly", "", "", f"{number(rates[1])} ({rates[1] / rates[0]:.0%})"],
        [f"routine notices in a flood of {number(flood)} urgent jobs a second", "", "", number(rates[2])],
    ]
    return table(["", "ms, median", "ms, longest", "emails/s"], lines)


def _fill(testbed: Testbed) -> None:
    """Enqueue the routine notices, by several processes together."""
    each = -(-BEHIND // ENQUEUERS)
    threads = [Thread(target=testbed.enqueue, args=["bulk", f"{ROUTINE}{n}", each]) for n in range(ENQUEUERS)]
    print(f"enqueueing {BEHIND:,} jobs ...", file=sys.stderr, flush=True)
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()


def _enqueue(testbed: Testbed, way: str, prefix: str, count: int, **queue: str) -> Any:
    testbed.environment.update(BENCH_LANE=queue.get("lane", ""), BENCH_SOURCE=queue.get("source", ""))
    return testbed.enqueue(way, prefix, count)


def _waits(first: dict[str, float], returned: dict[str, float]) -> list[float]:
    """Return the waits from enqueueing to the email, in ms, the longest last; infinite if an email is missing."""
    return sorted((first.get(name, float("inf")) - at) * 1000 for name, at in returned.items())


def _shown(waits: list[float]) -> list[str]:
    """Return the median and the longest of the sorted `waits`."""
    return [number(waits[len(waits) // 2]), number(waits[-1])]


def _rate(times: list[float], begin: float, end: float) -> float:
    return (bisect_left(times, end) - bisect_left(times, begin)) / (end - begin)


if __name__ == "__main__":
    main()
