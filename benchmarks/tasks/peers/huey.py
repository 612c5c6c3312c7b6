"""Huey with its own storages: PostgreSQL and Redis."""

import os

from huey import PostgresHuey, RedisHuey

from benchmarks.tasks import work
from benchmarks.tasks.contenders import KINDS

postgres = PostgresHuey("bench", dsn=os.environ["DATABASE_URL"])
redis = RedisHuey("bench", url=os.environ["BENCH_REDIS"])
QUEUES = {"huey-postgres": postgres, "huey-redis": redis}
TASKS = {(name, kind): queue.task(name=kind)(getattr(work, kind)) for name, queue in QUEUES.items() for kind in KINDS}


def enqueue(kind: str, number: int) -> None:
    """Enqueue one task."""
    TASKS[os.environ["BENCH_CONTENDER"], kind](number)
