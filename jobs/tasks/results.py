"""The result of a task as Django's interface describes it, read from the rows of its job."""

from contextlib import suppress
from dataclasses import replace
from typing import Any

from django.utils.dateparse import parse_datetime

from jobs.core.attempts import JobAttempt
from jobs.core.job import JobLog, Status
from jobs.tasks import names, stored
from jobs.tasks.compat import (
    InvalidTask,
    InvalidTaskBackend,
    Task,
    TaskError,
    TaskResult,
    TaskResultDoesNotExist,
    TaskResultStatus,
)

STATUSES = {
    Status.ENQUEUED: TaskResultStatus.READY,
    Status.FAILED: TaskResultStatus.READY,  # it waits for its next attempt
    Status.PROCESSING: TaskResultStatus.RUNNING,
    Status.COMPLETED: TaskResultStatus.SUCCESSFUL,
    Status.DLQ: TaskResultStatus.FAILED,
    Status.DISCARDED: TaskResultStatus.FAILED,
}
SETTLED = (Status.COMPLETED, Status.DLQ, Status.DISCARDED)
HAS_WORKER = (Status.PROCESSING, Status.COMPLETED)  # of an attempt that has no row, since it has not failed
TIMEOUT = "Timeout"  # the fingerprint of an attempt that took too long


class WorkerLost(Exception):
    """The worker died while it ran the task, or lost the database."""


class NotRun(Exception):
    """The queue did not run the task: it expired, its workers had died too often, or an operator discarded it."""


def as_payload(task: Task, args: Any, kwargs: Any) -> dict[str, Any]:
    """Return the payload of a task's job: its arguments, and the attributes that differ from the task as it is defined.

    args, kwargs: JSON (`json_values.as_stored`).
    """
    payload = {"args": args, "kwargs": kwargs}
    changed = {"priority": task.priority, "queue_name": task.queue_name, "backend": task.backend}
    if task.run_after is not None:
        changed["run_after"] = task.run_after.isoformat()
    return {**payload, "task": changed}


def load_task(job: JobLog) -> Task:
    """Return the task of a job with the attributes that it was enqueued with.

    Raises LookupError when this version of the site has no such task.
    """
    task = names.load(job.job_type)
    changed = dict(job.payload.get("task", {}))
    changed["run_after"] = parse_datetime(changed.get("run_after") or "")
    if all(getattr(task, name, None) == value for name, value in changed.items()):
        return task  # a copy would be validated again
    with suppress(InvalidTask, InvalidTaskBackend):  # its queue or backend is not in the settings any more
        return replace(task, **changed)
    return task


def load(result_id: str) -> TaskResult:
    """Return the result with that id. Raises TaskResultDoesNotExist."""
    valid = isinstance(result_id, str) and "\x00" not in result_id
    job = JobLog.objects.filter(job_id=result_id, job_type__startswith=names.PREFIX).first() if valid else None
    if job is None:
        raise TaskResultDoesNotExist(result_id)
    if not job.payload:
        raise TaskResultDoesNotExist(f"{result_id}: its data was deleted after RETENTION_DAYS_PAYLOAD days")
    try:
        return of_job(job, load_task(job))
    except LookupError as error:
        raise TaskResultDoesNotExist(f"{result_id}: {error}") from error


def of_job(job: JobLog, task: Task, row: stored.TaskResultRow | None = None) -> TaskResult:
    """Return the result of a job whose row is up to date.

    row: what the task returned, if it is known; else that is read too.
    """
    attempts = [] if _never_failed(job) else list(job.attempts.all())
    running = [job.worker] if job.status in HAS_WORKER else []
    began = [attempt.started_at for attempt in attempts if attempt.started_at] + [job.processing_at]
    result: TaskResult = TaskResult(
        task=task,
        id=job.job_id,
        status=STATUSES[Status(job.status)],
        enqueued_at=job.created_at,
        started_at=began[0],
        finished_at=job.processed_at if job.status in SETTLED else None,
        last_attempted_at=job.processing_at,
        args=job.payload.get("args", []),
        kwargs=job.payload.get("kwargs", {}),
        backend=task.backend,
        errors=[_as_error(attempt) for attempt in attempts] + _cancelled(job, attempts),
        worker_ids=[attempt.worker for attempt in attempts] + running,
    )
    if job.status == Status.COMPLETED and (row := row or stored.find(job)):
        object.__setattr__(result, "_return_value", row.value)
    return result


def _never_failed(job: JobLog) -> bool:
    """Return whether no attempt of the job has ended yet, except the one that completed it."""
    return job.attempt_count == 0 or (job.attempt_count == 1 and job.status in HAS_WORKER)


def _as_error(attempt: JobAttempt) -> TaskError:
    if attempt.outcome == JobAttempt.Outcome.LOST:
        return TaskError(exception_class_path=_path(WorkerLost), traceback="its worker died, or lost the database")
    other = _path(TimeoutError) if attempt.fingerprint == TIMEOUT else _path(NotRun)
    path = attempt.exception_path or other
    return TaskError(exception_class_path=path, traceback=attempt.trace or attempt.error)


def _cancelled(job: JobLog, attempts: list[JobAttempt]) -> list[TaskError]:
    """Return the error of a job that was discarded without any attempt that failed."""
    if job.status != Status.DISCARDED or attempts:
        return []
    return [TaskError(exception_class_path=_path(NotRun), traceback=job.error or "discarded before it ran")]


def _path(error: type[BaseException]) -> str:
    return f"{error.__module__}.{error.__qualname__}"
