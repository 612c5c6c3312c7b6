"""`make bench-ideas`: ours with one idea switched off at a time, as far as settings and the mail server can do that.

ROUNDS=3 JOBS=4000, in turns; medians. ONLY=shipped,plain for some; then nothing is written down.
"""

import os
import sys
from dataclasses import asdict, dataclass, field

from benchmarks import document, machine
from benchmarks.contenders import OURS
from benchmarks.measuring import Figures, at_rest, drain, drain_slowly
from benchmarks.report import Row, medians, number, table
from benchmarks.services import Services, services
from benchmarks.stands import Stand

JOBS, ROUNDS = int(os.environ.get("JOBS", 4000)), int(os.environ.get("ROUNDS", 3))
ONLY = os.environ.get("ONLY", "")
FIGURES = ("rate", "rate_slow", "cpu", "p50", "statements", "commits")


@dataclass(frozen=True)
class Variant:
    """settings: over those of the product. pipelining: whether the mail server offers it."""

    name: str
    title: str
    settings: dict[str, str] = field(default_factory=dict)
    pipelining: bool = True


VARIANTS = (
    Variant("shipped", "as shipped"),
    Variant("one", "a message at a time (`JOB_BATCH_SIZE=1`): no batches, one sender", {"JOB_BATCH_SIZE": "1"}),
    Variant("ten", "batches of 10 (`JOB_BATCH_SIZE=10`)", {"JOB_BATCH_SIZE": "10"}),
    Variant("hundred", "batches of 100 (`JOB_BATCH_SIZE=100`)", {"JOB_BATCH_SIZE": "100"}),
    Variant("no-pipelining", "a mail server without PIPELINING", pipelining=False),
    Variant("plain", "neither batches nor PIPELINING", {"JOB_BATCH_SIZE": "1"}, pipelining=False),
    Variant("redis", "messages in Redis (`Q_BROKER=redis`): no LISTEN, no batches", {"Q_BROKER": "redis"}),
)


def main() -> None:
    chosen = [variant for variant in VARIANTS if not ONLY or variant.name in ONLY.split(",")]
    with services() as running:
        told = [machine.describe(running), f"{JOBS} jobs a drain, medians of {ROUNDS} rounds."]
        found: dict[str, list[Figures]] = {variant.title: [] for variant in chosen}
        for _ in range(ROUNDS):
            for variant in chosen:
                found[variant.title].append(_measure(variant, running))
                print(variant.name, found[variant.title][-1], file=sys.stderr, flush=True)
    rows = {title: medians([asdict(each) for each in rounds]) for title, rounds in found.items()}
    print(text := "\n\n".join([*told, _table(rows)]))
    if not ONLY:
        document.put("ideas", text)


def _measure(variant: Variant, running: Services) -> Figures:
    stand = Stand(OURS, running, **variant.settings, REDIS_URL=running.redis_url)
    figures = Figures()
    running.sink.ask("offer", variant.pipelining)
    try:
        stand.fresh()
        at_rest(stand, figures, pickups=20, idle=0)
        stand.fresh()
        drain(stand, figures, JOBS)
        stand.fresh()
        drain_slowly(stand, figures, max(50, JOBS // 8))
    finally:
        stand.close()
        running.sink.ask("offer", True)
    return figures


def _table(rows: dict[str, Row]) -> str:
    heads = ["", "mails/s at 0 ms", "at 50 ms", "CPU-ms a mail", "pickup p50 ms", "statements a job", "commits"]
    return table(heads, [[title, *(number(row[each]) for each in FIGURES)] for title, row in rows.items()])


if __name__ == "__main__":
    main()
