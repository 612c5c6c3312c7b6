"""django-q2 with its ORM broker: the message commits with the ledger."""

from typing import Any

from django.db import transaction
from django_q.tasks import async_task

from benchmarks import ledger

TASK = "benchmarks.work.work"


def enqueue(reference: str, payload: dict[str, Any]) -> None:
    """Enqueue one job."""
    with transaction.atomic():
        async_task(TASK, ledger.accepted(reference, payload), reference, payload)
