"""Procrastinate in Django: the job commits with the ledger."""

from typing import Any

from django.db import transaction
from procrastinate.contrib.django import app

from benchmarks import ledger
from benchmarks.work import work


@app.task(name="work")
def task(key: int, reference: str, payload: dict[str, Any]) -> None:
    """Run one job. Called by the worker."""
    work(key, reference, payload)


def enqueue(reference: str, payload: dict[str, Any]) -> None:
    """Enqueue one job."""
    with transaction.atomic():
        task.defer(key=ledger.accepted(reference, payload), reference=reference, payload=payload)
