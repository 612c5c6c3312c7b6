"""The backends of Django's Tasks interface, ours among them: the same code, another setting."""

from benchmarks.tasks import work

try:
    from django.tasks import task
except ImportError:  # Django 5.2
    from django_tasks import task


@task
def empty(number: int) -> None:
    work.empty(number)


@task
def row(number: int) -> None:
    work.row(number)


@task
def busy(number: int) -> None:
    work.busy(number)


TASKS = {"empty": empty, "row": row, "busy": busy}


def enqueue(kind: str, number: int) -> None:
    """Enqueue one task."""
    TASKS[kind].enqueue(number)
