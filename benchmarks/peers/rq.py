"""RQ on Redis. Its SimpleWorker forks for no job, so that connections can be kept."""

import os
from typing import Any

from redis import Redis
from rq import Queue

from benchmarks import ledger
from benchmarks.work import work

queue = Queue(connection=Redis.from_url(os.environ["BENCH_REDIS"]))


def enqueue(reference: str, payload: dict[str, Any]) -> None:
    """One job; nothing is kept of its result."""
    queue.enqueue(work, ledger.accepted(reference, payload), reference, payload, result_ttl=0)
