"""Celery on Redis, without results."""

import os

from celery import Celery

from benchmarks.tasks import work
from benchmarks.tasks.contenders import KINDS

app = Celery("bench", broker=os.environ["BENCH_REDIS"])
app.conf.update(task_ignore_result=True, broker_connection_retry_on_startup=True, worker_hijack_root_logger=False)
TASKS = {kind: app.task(getattr(work, kind), name=kind) for kind in KINDS}


def enqueue(kind: str, number: int) -> None:
    """Enqueue one task."""
    TASKS[kind].delay(number)
