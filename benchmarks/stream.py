"""A steady stream of jobs, a part of `make bench`: two processes enqueue while two workers send.

RATE=1200 jobs a second, ROUNDS=3 of SECONDS=10. The pickup is that of single jobs among the others, from the return of
`enqueue` to the email.
"""

import os
import statistics
import sys
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing

from benchmarks.contenders import OURS
from benchmarks.report import quantile
from benchmarks.services import services
from benchmarks.stored import store
from benchmarks.testbed import Testbed

ROUNDS, SECONDS = int(os.environ.get("ROUNDS", 3)), int(os.environ.get("SECONDS", 10))
RATE, FEEDERS, PROBES = float(os.environ.get("RATE", 1200)), 2, 30


def main() -> None:
    with services() as running, closing(Testbed(OURS, running)) as testbed:
        testbed.fresh()
        with testbed.workers():
            rounds = [_round(testbed, turn) for turn in range(ROUNDS)]
    rate, p50, p95 = (statistics.median(values) for values in zip(*rounds, strict=True))
    store("stream", {"rate": rate, "p50": p50, "p95": p95})
    print(f"{rate:.0f} emails/s of {RATE:.0f} jobs/s; pickup p50 {p50:.0f} ms, p95 {p95:.0f} ms")


def _round(testbed: Testbed, turn: int) -> tuple[float, float, float]:
    """Return emails/s and the pickup's p50 and p95 in ms. The first email of the first round is part of the round."""
    sink, prefix = testbed.services.sink, f"stream{turn}"
    sink.request("reset", 0)
    testbed.environment["BENCH_RATE"] = str(RATE / FEEDERS)
    count = int(RATE * SECONDS / FEEDERS)
    with ThreadPoolExecutor(FEEDERS) as pool:
        fed = [pool.submit(testbed.enqueue, "steady", f"{prefix}-{each}", count) for each in range(FEEDERS)]
        returned = testbed.enqueue("paced", f"{prefix}-probe", PROBES)
        for each in fed:
            each.result()
    testbed.arrived(FEEDERS * count + PROBES)
    mails, _, first, last = sink.request("count")
    arrivals = dict(sink.request("arrivals", f"{prefix}-probe"))
    picked = sorted((arrivals[reference] - at) * 1000 for reference, at in returned.items())
    measured = mails / (last - first), quantile(picked, 50), quantile(picked, 95)
    print("emails/s {:.0f}, pickup p50 {:.0f} ms, p95 {:.0f} ms".format(*measured), file=sys.stderr, flush=True)
    return measured


if __name__ == "__main__":
    main()
