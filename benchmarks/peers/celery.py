"""Celery on Redis, without results."""

import os
from typing import Any

from celery import Celery

from benchmarks import ledger
from benchmarks.work import work

app = Celery("bench", broker=os.environ["BENCH_REDIS"])
app.conf.update(task_ignore_result=True, broker_connection_retry_on_startup=True, worker_hijack_root_logger=False)
task = app.task(work, name="work")


def enqueue(reference: str, payload: dict[str, Any]) -> None:
    """Enqueue one job."""
    task.delay(ledger.accepted(reference, payload), reference, payload)
