"""`make bench-ideas`: ours with one idea turned off at a time, as far as settings and the mail server allow.

ROUNDS=3 JOBS=4000, in turns; medians. ONLY=shipped,plain measures some, and the document stays unchanged.
"""

import os
import sys
from dataclasses import asdict, dataclass, field

from benchmarks import document, machine
from benchmarks.contenders import OURS
from benchmarks.measuring import Measurement, drain, drain_slowly, measure_at_rest
from benchmarks.report import Row, medians, number, table
from benchmarks.services import Services, services
from benchmarks.testbed import Testbed

JOBS, ROUNDS = int(os.environ.get("JOBS", 4000)), int(os.environ.get("ROUNDS", 3))
ONLY = os.environ.get("ONLY", "")
COLUMNS = ("rate", "rate_slow", "cpu", "p50", "statements", "commits")


@dataclass(frozen=True)
class Variant:
    """One combination of settings."""

    name: str
    title: str
    settings: dict[str, str] = field(default_factory=dict)  # override the shipped ones
    pipelining: bool = True  # whether the mail server offers it


VARIANTS = (
    Variant("shipped", "as shipped"),
    Variant("one", "a message at a time (`JOB_BATCH_SIZE=1`): no batches, one connection", {"JOB_BATCH_SIZE": "1"}),
    Variant("ten", "batches of 10 (`JOB_BATCH_SIZE=10`)", {"JOB_BATCH_SIZE": "10"}),
    Variant("hundred", "batches of 100 (`JOB_BATCH_SIZE=100`)", {"JOB_BATCH_SIZE": "100"}),
    Variant("no-pipelining", "a mail server without PIPELINING", pipelining=False),
    Variant("plain", "neither batches nor PIPELINING", {"JOB_BATCH_SIZE": "1"}, pipelining=False),
    Variant("redis", "messages in Redis (`Q_BROKER=redis`)", {"Q_BROKER": "redis"}),
)


def main() -> None:
    chosen = [variant for variant in VARIANTS if not ONLY or variant.name in ONLY.split(",")]
    with services() as running:
        intro = [machine.describe(running), f"{JOBS} jobs a drain, medians of {ROUNDS} rounds."]
        measurements: dict[str, list[Measurement]] = {variant.title: [] for variant in chosen}
        for _ in range(ROUNDS):
            for variant in chosen:
                measurements[variant.title].append(_measure(variant, running))
                print(variant.name, measurements[variant.title][-1], file=sys.stderr, flush=True)
    rows = {title: medians([asdict(each) for each in rounds]) for title, rounds in measurements.items()}
    print(text := "\n\n".join([*intro, _table(rows)]))
    if not ONLY:
        document.replace_section("ideas", text)


def _measure(variant: Variant, running: Services) -> Measurement:
    testbed = Testbed(OURS, running, **variant.settings, REDIS_URL=running.redis_url)
    measured = Measurement()
    running.sink.request("offer", variant.pipelining)
    try:
        testbed.fresh()
        measure_at_rest(testbed, measured, pickups=20, idle=0)
        testbed.fresh()
        drain(testbed, measured, JOBS)
        testbed.fresh()
        drain_slowly(testbed, measured, max(50, JOBS // 8))
    finally:
        testbed.close()
        running.sink.request("offer", True)
    return measured


def _table(rows: dict[str, Row]) -> str:
    heads = ["", "emails/s at 0 ms", "at 50 ms", "CPU-ms an email", "pickup p50 ms", "statements a job", "commits"]
    return table(heads, [[title, *(number(row[each]) for each in COLUMNS)] for title, row in rows.items()])


if __name__ == "__main__":
    main()
