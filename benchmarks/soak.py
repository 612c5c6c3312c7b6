"""`make soak`: an hour at 60 % of the top rate; a line a minute, and whether memory, tables and latency stay flat.

MINUTES=60; RATE= jobs a second, else 60 % of what the cluster does while two processes enqueue as fast as they can.
In a run under eight minutes nothing is written down.
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
from benchmarks.stands import Stand

MINUTES, RATE = int(os.environ.get("MINUTES", 60)), float(os.environ.get("RATE", 0))
SHARE, FEEDERS, PROBES, SECONDS = 0.6, 2, 150, 55
TOP_JOBS = 3000  # of each feeder
SLACK = 1.15  # the last quarter against the first
HEADS = ["minute", "mails/s", "waiting", "pickup p50 ms", "p95", "PSS MB", "messages MB", "dead", "jobs MB", "dead"]
FLAT = {"pickup p50": 3, "pickup p95": 4, "memory": 5, "size of the messages' table": 6, "its dead rows": 7}
SIZES = """
SELECT pg_total_relation_size(relid) / 1048576.0, n_dead_tup FROM pg_stat_user_tables
WHERE relname IN ('django_q_ormq', 'job_logs') ORDER BY relname
"""


def main() -> None:
    with services() as running:
        stand = Stand(OURS, running)
        stand.fresh()
        with stand.workers() as programs:
            rate = RATE or SHARE * top_rate(stand)
            told = [machine.describe(running), f"{rate:.0f} jobs a second for {MINUTES} minutes, instant replies."]
            lines = [_minute(stand, programs, minute, rate) for minute in range(1, MINUTES + 1)]
        stand.close()
    shown = [[number(value) for value in line] for line in lines]
    print(text := "\n\n".join([*told, table(HEADS, shown), verdict(lines)]))
    if MINUTES >= 8:
        document.put("soak", text)


def top_rate(stand: Stand) -> float:
    """Mails a second while FEEDERS processes enqueue without a rest."""
    sink = stand.services.sink
    sink.ask("reset", 0)
    with ThreadPoolExecutor(FEEDERS) as pool:
        for _ in pool.map(lambda each: stand.enqueue("bulk", f"top{each}", TOP_JOBS), range(FEEDERS)):
            pass
    stand.arrived(FEEDERS * TOP_JOBS)
    mails, _, first, last = sink.ask("count")
    return (mails - 1) / (last - first)


def _minute(stand: Stand, programs: Programs, minute: int, rate: float) -> list[float]:
    """Enqueues for SECONDS with single jobs among them that are timed, and looks at everything."""
    sink, began = stand.services.sink, time.monotonic()
    sink.ask("reset", 0)
    stand.environment["BENCH_RATE"] = str(rate / FEEDERS)
    with ThreadPoolExecutor(FEEDERS) as pool:
        count = int(rate * SECONDS / FEEDERS)
        fed = [pool.submit(stand.enqueue, "steady", f"m{minute}-{each}", count) for each in range(FEEDERS)]
        returned = stand.enqueue("paced", f"probe{minute}", PROBES)
        for each in fed:
            each.result()
    waiting = stand.services.sql("SELECT count(*) FROM django_q_ormq", database=stand.database)[0][0]
    stand.arrived(FEEDERS * count + PROBES)
    mails, _, first, last = sink.ask("count")
    came = dict(sink.ask("arrivals", f"probe{minute}-"))
    picked = sorted((came[reference] - at) * 1000 for reference, at in returned.items())
    messages, jobs = stand.services.sql(SIZES, database=stand.database)
    time.sleep(max(0.0, began + 60 - time.monotonic()))
    line = [minute, mails / (last - first), waiting, quantile(picked, 50), quantile(picked, 95), pss_mb(programs.pids)]
    line += [float(each) for each in (*messages, *jobs)]
    print("  ".join(number(each) for each in line), file=sys.stderr, flush=True)
    return line


def verdict(lines: list[list[float]]) -> str:
    """The last quarter against the first."""
    quarter = max(1, len(lines) // 4)
    told = []
    for name, column in FLAT.items():
        first = statistics.median(line[column] for line in lines[:quarter])
        last = statistics.median(line[column] for line in lines[-quarter:])
        flat = "flat" if last <= first * SLACK + 1 else "NOT FLAT"
        told.append(f"- {name}: {number(first)} in the first quarter, {number(last)} in the last: {flat}")
    return "\n".join(told)


if __name__ == "__main__":
    main()
