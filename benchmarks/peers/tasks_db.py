"""django-tasks with its database backend: the task commits with the ledger."""

from typing import Any

from django.db import transaction
from django_tasks import task

from benchmarks import ledger
from benchmarks.work import work


@task()
def job(key: int, reference: str, payload: dict[str, Any]) -> None:
    """Run one job. Called by the worker."""
    work(key, reference, payload)


def enqueue(reference: str, payload: dict[str, Any]) -> None:
    """Enqueue one job."""
    with transaction.atomic():
        job.enqueue(ledger.accepted(reference, payload), reference, payload)
