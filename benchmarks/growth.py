"""`make bench-growth`: ours with growing tables and clusters. It writes a table to docs/performance.md.

JOBS=6000 are timed ROUNDS=3 times on each stage. SCALE=0.1 makes a tenth of the rows. ONLY=empty,finished selects
stages. With either, the document stays unchanged. `make bench` runs the stages of its goals.
"""

import os
import statistics
import subprocess
import sys
from contextlib import closing
from dataclasses import dataclass

from benchmarks import document, machine, rows
from benchmarks.contenders import MANAGE, OURS
from benchmarks.processes import pss_mb
from benchmarks.report import number, table
from benchmarks.services import services
from benchmarks.stored import store
from benchmarks.testbed import Testbed

JOBS, ROUNDS = int(os.environ.get("JOBS", 6000)), int(os.environ.get("ROUNDS", 3))
KINDS = {"finished": rows.finished, "waiting": rows.waiting, "delayed": rows.delayed}
SCALE, ONLY = float(os.environ.get("SCALE", 1)), os.environ.get("ONLY", "")
CONNECTIONS = "SELECT count(*) FROM pg_stat_activity WHERE datname = %s"


@dataclass(frozen=True)
class Drain:
    """One drain: emails a second, MB of the clusters, and their connections to PostgreSQL at its end."""

    rate: float
    memory: float
    connections: int


@dataclass(frozen=True)
class Stage:
    """The rows in the tables besides the timed jobs, and the workers that run those."""

    name: str
    title: str
    finished: int = 0
    waiting: int = 0
    delayed: int = 0
    workers: int = 2  # of each cluster
    clusters: int = 1


STAGES = (
    Stage("empty", "empty tables, one cluster of 2 workers"),
    Stage("waiting", "200,000 more waiting", waiting=200_000),
    Stage("waiting-2m", "2,000,000 more waiting", waiting=2_000_000),
    Stage("delayed", "200,000 delayed retries", delayed=200_000),
    Stage("finished", "5,000,000 finished", finished=5_000_000),
    Stage("all", "5,000,000 finished, 200,000 waiting, 200,000 delayed", 5_000_000, 200_000, 200_000),
    Stage("finished-waiting", "5,000,000 finished, 2,000,000 waiting", 5_000_000, 2_000_000),
    *(Stage(f"workers-{count}", f"{count} workers", workers=count) for count in (1, 4, 8)),
    *(Stage(f"clusters-{count}", f"{count} clusters of 2 workers", clusters=count) for count in (2, 4)),
)


def main() -> None:
    chosen = [stage for stage in STAGES if not ONLY or stage.name in ONLY.split(",")]
    with services() as running, closing(Testbed(OURS, running)) as testbed:
        intro = [machine.describe(running), f"{JOBS} jobs a drain, {ROUNDS} drains of each, instant replies."]
        drains: dict[Stage, list[Drain]] = {}
        before = None
        for stage in chosen:
            _fill(testbed, stage, before)
            drains[stage], before = _drains(stage, testbed), stage
    rates = {stage.name: statistics.median(each.rate for each in drains[stage]) for stage in chosen}
    connections = {stage.name: max(each.connections for each in drains[stage]) for stage in chosen}
    store("growth", {"rates": rates, "connections": connections})
    print(text := "\n\n".join([*intro, _table(drains, rates)]))
    if not ONLY and SCALE == 1:
        document.replace_section("growth", text)


def _table(drains: dict[Stage, list[Drain]], rates: dict[str, float]) -> str:
    heads = ["", "emails/s", "of the first line", "lowest", "highest", "PSS MB", "connections"]
    first, lines = next(iter(rates.values())), []
    for stage, each in drains.items():
        middle, all_rates = rates[stage.name], [drain.rate for drain in each]
        largest = [max(drain.memory for drain in each), max(drain.connections for drain in each)]
        values = [number(middle), f"{middle / first:.0%}", number(min(all_rates)), number(max(all_rates))]
        lines.append([stage.title, *values, number(largest[0]), str(largest[1])])
    return table(heads, lines)


def _fill(testbed: Testbed, stage: Stage, before: Stage | None) -> None:
    """Add the stage's rows to those of the stage before, or to an empty database when that one has too many."""
    if before is None or any(getattr(before, kind) > getattr(stage, kind) for kind in KINDS):
        testbed.fresh()
        before = None
    testbed.enqueue("bulk", f"pattern-{stage.name}", 1)  # the others copy its message
    for kind, add in KINDS.items():
        there = int(getattr(before, kind) * SCALE) if before else 0
        add(testbed, int(getattr(stage, kind) * SCALE) - there, after=there)
    rows.count_minutes(testbed)


def _drains(stage: Stage, testbed: Testbed) -> list[Drain]:
    drains = []
    for turn in range(ROUNDS):
        drains.append(_drain(stage, testbed, f"{stage.name}{turn}"))
        print(f"{stage.title}: {drains[-1].rate:.0f} emails/s", file=sys.stderr, flush=True)
    return drains


def _drain(stage: Stage, testbed: Testbed, prefix: str) -> Drain:
    """Enqueue the timed jobs ahead of all others, and drain the queue up to the last of them."""
    testbed.enqueue("bulk", prefix, JOBS)
    rows.first_in_line(testbed, f"{prefix}-%", JOBS)
    rows.vacuum(testbed)
    testbed.services.sink.request("reset", 0)
    cluster = (*MANAGE, "qcluster", "--workers", str(stage.workers))
    with testbed.workers((cluster,) * stage.clusters) as programs:
        testbed.arrived(JOBS)
        memory = pss_mb(programs.pids)
        ((connections,),) = testbed.services.sql(CONNECTIONS, testbed.database)
    times = sorted(at for _, at in testbed.services.sink.request("arrivals", f"{prefix}-"))
    return Drain((len(times) - 1) / (times[-1] - times[0]), memory, connections)


if __name__ == "__main__":
    try:
        main()
    except subprocess.CalledProcessError as failed:
        sys.exit(f"{failed}")
