"""`make soak`: an hour at 60 % of the top rate. It shows whether memory, tables and latency stay constant.

MINUTES=60; RATE= jobs a second, by default 60 % of the cluster's rate while two processes enqueue at full speed. In a
run under eight minutes, the document stays unchanged.
"""

import os
import statistics
import sys
import time
from concurrent.futures import ThreadPoolExecutor

from benchmarks import document, machine
from benchmarks.contenders import OURS
from benchmarks.processes import Programs, pss_mb
from benchmarks.report import number, quantile, table
from benchmarks.services import services
from benchmarks.testbed import Testbed

MINUTES, RATE = int(os.environ.get("MINUTES", 60)), float(os.environ.get("RATE", 0))
SHARE, FEEDERS, PROBES, SECONDS = 0.6, 2, 150, 55
TOP_JOBS = 3000  # of each feeder
SLACK = 1.15  # the last quarter against the first
HEADS = ["minute", "emails/s", "waiting", "pickup p50 ms", "p95", "PSS MB", "messages MB", "dead", "jobs MB", "dead"]
FLAT = {"pickup p50": 3, "pickup p95": 4, "memory": 5, "size of the messages' table": 6, "its dead rows": 7}
SIZES = """
SELECT pg_total_relation_size(relid) / 1048576.0, n_dead_tup FROM pg_stat_user_tables
WHERE relname IN ('django_q_ormq', 'job_logs') ORDER BY relname
"""


def main() -> None:
    with services() as running:
        testbed = Testbed(OURS, running)
        testbed.fresh()
        with testbed.workers() as programs:
            rate = RATE or SHARE * top_rate(testbed)
            intro = [machine.describe(running), f"{rate:.0f} jobs a second for {MINUTES} minutes, instant replies."]
            lines = [_minute(testbed, programs, minute, rate) for minute in range(1, MINUTES + 1)]
        testbed.close()
    shown = [[number(value) for value in line] for line in lines]
    print(text := "\n\n".join([*intro, table(HEADS, shown), verdict(lines)]))
    if MINUTES >= 8:
        document.replace_section("soak", text)


def top_rate(testbed: Testbed) -> float:
    """Return the emails a second while FEEDERS processes enqueue without pauses."""
    sink = testbed.services.sink
    sink.request("reset", 0)
    with ThreadPoolExecutor(FEEDERS) as pool:
        for _ in pool.map(lambda each: testbed.enqueue("bulk", f"top{each}", TOP_JOBS), range(FEEDERS)):
            pass
    testbed.arrived(FEEDERS * TOP_JOBS)
    mails, _, first, last = sink.request("count")
    return (mails - 1) / (last - first)


def _minute(testbed: Testbed, programs: Programs, minute: int, rate: float) -> list[float]:
    """Enqueue for SECONDS, time single jobs among the others, and return all values of this minute."""
    sink, started = testbed.services.sink, time.monotonic()
    sink.request("reset", 0)
    testbed.environment["BENCH_RATE"] = str(rate / FEEDERS)
    with ThreadPoolExecutor(FEEDERS) as pool:
        count = int(rate * SECONDS / FEEDERS)
        fed = [pool.submit(testbed.enqueue, "steady", f"m{minute}-{each}", count) for each in range(FEEDERS)]
        returned = testbed.enqueue("paced", f"probe{minute}", PROBES)
        for each in fed:
            each.result()
    waiting = testbed.services.sql("SELECT count(*) FROM django_q_ormq", database=testbed.database)[0][0]
    testbed.arrived(FEEDERS * count + PROBES)
    mails, _, first, last = sink.request("count")
    arrivals = dict(sink.request("arrivals", f"probe{minute}-"))
    picked = sorted((arrivals[reference] - at) * 1000 for reference, at in returned.items())
    messages, jobs = testbed.services.sql(SIZES, database=testbed.database)
    time.sleep(max(0.0, started + 60 - time.monotonic()))
    line = [minute, mails / (last - first), waiting, quantile(picked, 50), quantile(picked, 95), pss_mb(programs.pids)]
    line += [float(each) for each in (*messages, *jobs)]
    print("  ".join(number(each) for each in line), file=sys.stderr, flush=True)
    return line


def verdict(lines: list[list[float]]) -> str:
    """Compare the last quarter with the first."""
    quarter = max(1, len(lines) // 4)
    comparisons = []
    for name, column in FLAT.items():
        first = statistics.median(line[column] for line in lines[:quarter])
        last = statistics.median(line[column] for line in lines[-quarter:])
        flat = "flat" if last <= first * SLACK + 1 else "NOT FLAT"
        comparisons.append(f"- {name}: {number(first)} in the first quarter, {number(last)} in the last: {flat}")
    return "\n".join(comparisons)


if __name__ == "__main__":
    main()
