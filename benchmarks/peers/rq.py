"""RQ on Redis. Its SimpleWorker does not fork for each job, so that connections stay open."""

import os
from typing import Any

from redis import Redis
from rq import Queue

from benchmarks import ledger
from benchmarks.work import work

queue = Queue(connection=Redis.from_url(os.environ["BENCH_REDIS"]))


def enqueue(reference: str, payload: dict[str, Any]) -> None:
    """Enqueue one job, without storing its result."""
    queue.enqueue(work, ledger.accepted(reference, payload), reference, payload, result_ttl=0)
