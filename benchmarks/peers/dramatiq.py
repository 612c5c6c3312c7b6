"""Dramatiq on Redis."""

import os
from typing import Any

import dramatiq
from dramatiq.brokers.redis import RedisBroker

from benchmarks import ledger
from benchmarks.work import work

dramatiq.set_broker(RedisBroker(url=os.environ["BENCH_REDIS"]))
actor = dramatiq.actor(work)


def enqueue(reference: str, payload: dict[str, Any]) -> None:
    """Enqueue one job."""
    actor.send(ledger.accepted(reference, payload), reference, payload)
