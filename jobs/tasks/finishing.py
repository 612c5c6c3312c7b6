"""What follows from the settlement of tasks: their return values are stored, and `task_finished` is sent."""

from contextlib import suppress

from django.db import transaction

from jobs.core import sql
from jobs.core.errors import Failure
from jobs.core.job import JobLog, Status
from jobs.tasks import isolation, results, stored
from jobs.tasks.compat import TaskResult, TaskResultDoesNotExist, task_finished


def settled(pairs: list[tuple[JobLog, Failure | None]]) -> None:
    """Store the return values of these jobs, in the transaction of their settlement; send `task_finished` after it."""
    values = {job.pk: job.returned for job, failure in pairs if failure is None and job.returned is not None}
    if values:
        with sql.savepoint():
            stored.store_values(values)
    if finished := [job for job, _ in pairs if job.status in results.SETTLED]:
        transaction.on_commit(lambda: _send_finished(finished), robust=True)


def _send_finished(jobs: list[JobLog]) -> None:
    """Send `task_finished`. A receiver that raises is logged by Django; a transaction left open is undone."""
    for job in jobs:
        with suppress(TaskResultDoesNotExist, LookupError):  # a task that this version of the site does not have
            result = _of_settled(job)
            with isolation.no_open_transaction():
                task_finished.send_robust(type(result.task.get_backend()), task_result=result)


def _of_settled(job: JobLog) -> TaskResult:
    """Return the result of a job. One that its first attempt completed is as its worker knows it, with all times."""
    if job.status == Status.COMPLETED and job.attempt_count == 1 and job.processing_at and job.processed_at:
        return results.of_job(job, results.load_task(job), stored.TaskResultRow(value=job.returned))
    return results.load(job.job_id)
