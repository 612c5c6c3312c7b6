"""What follows from the settlement of tasks: their return values are stored, and `task_finished` is sent."""

from functools import partial

from django.db import transaction

from jobs.core import sql
from jobs.core.errors import Failure
from jobs.core.job import JobLog, Status
from jobs.tasks import isolation, results, stored
from jobs.tasks.compat import TaskResultStatus, task_finished


def settled(pairs: list[tuple[JobLog, Failure | None]]) -> None:
    """Store the return values of these jobs, in the transaction of their settlement; send `task_finished` after it."""
    values = {job.pk: job.returned for job, failure in pairs if failure is None and job.returned is not None}
    if values:
        with sql.savepoint():
            stored.store_values(values)
    for job, _ in pairs:
        if job.status in results.SETTLED and job.status != Status.ENQUEUED:
            transaction.on_commit(partial(_send_finished, job.job_id), robust=True)


def _send_finished(job_id: str) -> None:
    """Send `task_finished`; a receiver that raises is logged by Django, and one that leaves a transaction open undone."""
    result = results.load(job_id)
    if result.status in (TaskResultStatus.SUCCESSFUL, TaskResultStatus.FAILED):
        with isolation.no_open_transaction():
            task_finished.send_robust(type(result.task.get_backend()), task_result=result)
