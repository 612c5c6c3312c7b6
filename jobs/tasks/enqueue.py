"""Enqueueing a task as a job."""

import uuid
from collections.abc import Mapping, Sequence
from datetime import datetime, timedelta
from typing import Any

from jobs.core.job import JobLog
from jobs.queue.enqueue import enqueue
from jobs.tasks import names, results
from jobs.tasks.compat import Task, TaskResult, task_enqueued
from jobs.tasks.json_values import as_stored


def enqueue_task(
    task: Task,
    args: Sequence[Any] = (),
    kwargs: Mapping[str, Any] | None = None,
    *,
    job_id: str | None = None,
    run_at: datetime | None = None,
    lane: str = "",
) -> JobLog:
    """Write the job of a task and its message, in the caller's transaction.

    args, kwargs: JSON, at most `json_values.LONGEST` bytes.
    job_id: the idempotency key, and the id of the result; None: a new one.
    run_at: when the task is due first; None: its `run_after`, else now.
    lane: "" for the lane of the task's priority.
    Raises jobs.queue.enqueue.Duplicate for a used job_id, or an equal task where its options have `unique`. Raises
    TypeError or ValueError for arguments that cannot be stored, ValueError for a bad job_id, run_at or lane, and
    InvalidTask when no worker could find the task.
    """
    job, _ = enqueue_with_result(task, args, kwargs, job_id=job_id, run_at=run_at, lane=lane)
    return job


def enqueue_with_result(
    task: Task,
    args: Sequence[Any],
    kwargs: Mapping[str, Any] | None,
    *,
    job_id: str | None = None,
    run_at: datetime | None = None,
    lane: str = "",
) -> tuple[JobLog, TaskResult]:
    """Do as `enqueue_task`, and also return the result that the receivers of `task_enqueued` got."""
    names.check_found(task)
    values = as_stored([list(args), dict(kwargs or {})], f"the arguments of {task.module_path}")
    job = enqueue(
        names.type_name(task),
        results.as_payload(task, *values),
        job_id=job_id or str(uuid.uuid4()),
        user_id="",
        lane=lane or names.lane_of(task.priority),
        run_at=run_at or task.run_after,
    )
    _read_times(job)
    result = results.of_job(job, task)
    task_enqueued.send(type(task.get_backend()), task_result=result)
    return job, result


def _read_times(job: JobLog) -> None:
    """Replace the expressions of a new job's times by the database's times."""
    times: list[Any] = [job.created_at, job.run_at]
    created, asked = times
    if isinstance(created, datetime):
        job.run_at = max(asked, created) if isinstance(asked, datetime) else created
        job.expires_at = job.run_at + timedelta(seconds=job.policy.lifetime)
    else:
        job.refresh_from_db()
