"""The handler of a task's job: calls the function, and notes what it returned."""

import os
from multiprocessing.util import Finalize
from typing import Any

from jobs.brokers.django_q import TaskTimeout
from jobs.core.errors import Permanent, Temporary
from jobs.core.job import JobLog, Status
from jobs.tasks import isolation, results
from jobs.tasks.compat import Task, TaskResult, task_started
from jobs.tasks.context import Context
from jobs.tasks.json_values import as_stored

LAST = -100  # of the exit's steps: after the queue of results is flushed


def run_task(job: JobLog) -> None:
    """Run the task of a claimed job; its return value becomes `job.returned`.

    Raises what the task raises, Permanent when its return value cannot be stored, and LookupError when this version of
    the site has no such task. SystemExit, KeyboardInterrupt and the like are failed attempts too.
    """
    job.returned = None
    task = results.load_task(job)
    current = JobLog.objects.get(pk=job.pk)
    current.status, current.worker, current.attempt_count = Status.PROCESSING, job.worker, job.attempt_count
    result = results.of_job(current, task)
    with isolation.contained():
        task_started.send_robust(type(task.get_backend()), task_result=result)
        value = _call(task, result, job.pk)
    try:
        job.returned = as_stored(value, f"the return value of {task.module_path}")
    except (TypeError, ValueError) as error:
        raise Permanent(f"the task did its work, but {error}") from error


def _call(task: Task, result: TaskResult, pk: int) -> Any:
    args = [Context(task_result=result, job_key=pk)] if task.takes_context else []
    try:
        return task.call(*args, *result.args, **result.kwargs)
    except TaskTimeout:
        # A thread of an async task may still run: it must not keep this process, which ends now, from ending.
        Finalize(None, os._exit, args=(0,), exitpriority=LAST)
        raise
    except Exception:
        raise
    except BaseException as error:
        raise Temporary(f"the task raised {type(error).__name__}: {error}") from error
