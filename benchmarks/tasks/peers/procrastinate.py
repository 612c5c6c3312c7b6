"""Procrastinate in Django."""

from procrastinate.contrib.django import app

from benchmarks.tasks import work
from benchmarks.tasks.contenders import KINDS

TASKS = {kind: app.task(getattr(work, kind), name=kind) for kind in KINDS}


def enqueue(kind: str, number: int) -> None:
    """Enqueue one task."""
    TASKS[kind].defer(number=number)
