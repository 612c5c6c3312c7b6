"""`make bench-growth`: ours with growing tables and clusters. It writes a table to docs/performance.md.

JOBS=6000 are timed ROUNDS=3 times on each stage. SCALE=0.1 makes a tenth of the rows. ONLY=empty,finished selects
stages. With either, the document stays unchanged.
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
from benchmarks.testbed import Testbed

JOBS, ROUNDS = int(os.environ.get("JOBS", 6000)), int(os.environ.get("ROUNDS", 3))
KINDS = {"finished": rows.finished, "waiting": rows.waiting, "delayed": rows.delayed}
SCALE, ONLY = float(os.environ.get("SCALE", 1)), os.environ.get("ONLY", "")


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
    *(Stage(f"workers-{count}", f"{count} workers", workers=count) for count in (1, 4, 8)),
    *(Stage(f"clusters-{count}", f"{count} clusters of 2 workers", clusters=count) for count in (2, 4)),
)


def main() -> None:
    chosen = [stage for stage in STAGES if not ONLY or stage.name in ONLY.split(",")]
    with services() as running, closing(Testbed(OURS, running)) as testbed:
        intro = [machine.describe(running), f"{JOBS} jobs a drain, {ROUNDS} drains of each, instant replies."]
        drains, before = {}, None
        for stage in chosen:
            _fill(testbed, stage, before)
            drains[stage.title], before = _drains(stage, testbed), stage
    first = statistics.median(rate for rate, _ in next(iter(drains.values())))
    heads = ["", "emails/s", "of the first line", "lowest", "highest", "PSS MB"]
    lines = []
    for title, each in drains.items():
        rates, memory = [rate for rate, _ in each], max(used for _, used in each)
        middle = statistics.median(rates)
        values = [number(middle), f"{middle / first:.0%}", number(min(rates)), number(max(rates)), number(memory)]
        lines.append([title, *values])
    print(text := "\n\n".join([*intro, table(heads, lines)]))
    if not ONLY and SCALE == 1:
        document.replace_section("growth", text)


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


def _drains(stage: Stage, testbed: Testbed) -> list[tuple[float, float]]:
    """Return the rate and memory of each drain of the stage."""
    drains = []
    for turn in range(ROUNDS):
        drains.append(_drain(stage, testbed, f"{stage.name}{turn}"))
        print(f"{stage.title}: {drains[-1][0]:.0f} emails/s", file=sys.stderr, flush=True)
    return drains


def _drain(stage: Stage, testbed: Testbed, prefix: str) -> tuple[float, float]:
    """Enqueue the timed jobs ahead of all others, and drain the queue up to the last of them."""
    testbed.enqueue("bulk", prefix, JOBS)
    rows.first_in_line(testbed, f"{prefix}-%", JOBS)
    rows.vacuum(testbed)
    testbed.services.sink.request("reset", 0)
    cluster = (*MANAGE, "qcluster", "--workers", str(stage.workers))
    with testbed.workers((cluster,) * stage.clusters) as programs:
        testbed.arrived(JOBS)
        memory = pss_mb(programs.pids)
    times = sorted(at for _, at in testbed.services.sink.request("arrivals", f"{prefix}-"))
    return (len(times) - 1) / (times[-1] - times[0]), memory


if __name__ == "__main__":
    try:
        main()
    except subprocess.CalledProcessError as failed:
        sys.exit(f"{failed}")
