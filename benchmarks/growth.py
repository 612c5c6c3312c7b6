"""`make bench-growth`: ours as its tables and its clusters grow; a table for docs/performance.md.

JOBS=6000 timed ROUNDS=3 times on each stage. SCALE=0.1 for a tenth of the rows. ONLY=empty,finished for some stages.
With either nothing is written down.
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
from benchmarks.stands import Stand

JOBS, ROUNDS = int(os.environ.get("JOBS", 6000)), int(os.environ.get("ROUNDS", 3))
KINDS = {"finished": rows.finished, "waiting": rows.waiting, "delayed": rows.delayed}
SCALE, ONLY = float(os.environ.get("SCALE", 1)), os.environ.get("ONLY", "")


@dataclass(frozen=True)
class Stage:
    """What the tables hold beside the timed jobs, and who does these."""

    name: str
    title: str
    finished: int = 0
    waiting: int = 0
    delayed: int = 0
    workers: int = 2
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
    with services() as running, closing(Stand(OURS, running)) as stand:
        told = [machine.describe(running), f"{JOBS} jobs a drain, {ROUNDS} drains of each, instant replies."]
        drains, before = {}, None
        for stage in chosen:
            _fill(stand, stage, before)
            drains[stage.title], before = _drains(stage, stand), stage
    first = statistics.median(rate for rate, _ in next(iter(drains.values())))
    heads = ["", "mails/s", "of the first line", "lowest", "highest", "PSS MB"]
    lines = []
    for title, each in drains.items():
        rates, memory = [rate for rate, _ in each], max(used for _, used in each)
        middle = statistics.median(rates)
        told_of = [number(middle), f"{middle / first:.0%}", number(min(rates)), number(max(rates)), number(memory)]
        lines.append([title, *told_of])
    print(text := "\n\n".join([*told, table(heads, lines)]))
    if not ONLY and SCALE == 1:
        document.put("growth", text)


def _fill(stand: Stand, stage: Stage, before: Stage | None) -> None:
    """The stage's rows: added to those of the stage before, where it has none that are too many."""
    if before is None or any(getattr(before, kind) > getattr(stage, kind) for kind in KINDS):
        stand.fresh()
        before = None
    stand.enqueue("bulk", f"pattern-{stage.name}", 1)  # whose message those of the others copy
    for kind, add in KINDS.items():
        there = int(getattr(before, kind) * SCALE) if before else 0
        add(stand, int(getattr(stage, kind) * SCALE) - there, after=there)
    rows.count_minutes(stand)


def _drains(stage: Stage, stand: Stand) -> list[tuple[float, float]]:
    """Rate and memory of each of its drains."""
    drains = []
    for turn in range(ROUNDS):
        drains.append(_drain(stage, stand, f"{stage.name}{turn}"))
        print(f"{stage.title}: {drains[-1][0]:.0f} mails/s", file=sys.stderr, flush=True)
    return drains


def _drain(stage: Stage, stand: Stand, prefix: str) -> tuple[float, float]:
    """Enqueues the timed jobs before all others, and drains as far as the last of them."""
    stand.enqueue("bulk", prefix, JOBS)
    rows.first_in_line(stand, f"{prefix}-%", JOBS)
    rows.settle_down(stand)
    stand.services.sink.ask("reset", 0)
    cluster = (*MANAGE, "qcluster", "--workers", str(stage.workers))
    with stand.workers((cluster,) * stage.clusters) as programs:
        stand.arrived(JOBS)
        memory = pss_mb(programs.pids)
    moments = sorted(at for _, at in stand.services.sink.ask("arrivals", f"{prefix}-"))
    return (len(moments) - 1) / (moments[-1] - moments[0]), memory


if __name__ == "__main__":
    try:
        main()
    except subprocess.CalledProcessError as failed:
        sys.exit(f"{failed}")
