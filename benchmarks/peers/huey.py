"""Huey on Redis, without results."""

import os
from typing import Any

from huey import RedisHuey

from benchmarks import ledger
from benchmarks.work import work

huey = RedisHuey("bench", url=os.environ["BENCH_REDIS"], results=False)
task = huey.task()(work)


def enqueue(reference: str, payload: dict[str, Any]) -> None:
    """Enqueue one job."""
    task(ledger.accepted(reference, payload), reference, payload)
