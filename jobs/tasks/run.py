"""The handler of a task's job: calls the function, and notes what it returned."""

import time
from dataclasses import dataclass, field
from typing import Any

from jobs.brokers.django_q import TaskTimeout
from jobs.core.errors import Permanent, Temporary
from jobs.core.job import JobLog, Status
from jobs.tasks import isolation, results, stored
from jobs.tasks.compat import Task, TaskContext, TaskResult, task_started
from jobs.tasks.json_values import as_stored

EVERY_SECONDS = 0.5  # between two writes of the progress


@dataclass(frozen=True, kw_only=True)
class Context(TaskContext):  # type: ignore[misc]  # its stub is not frozen, as the class is
    """Django's TaskContext, and the progress that operators see."""

    job_key: int
    """The primary key of the job."""
    written: list[float] = field(default_factory=list, repr=False)
    """When the progress was last written, by time.monotonic(); empty before that."""

    def progress(self, done: int, total: int) -> None:
        """Report that `done` of `total` parts are done. Written at most twice a second, and always the last.

        Within a transaction of the task, operators see it after the commit.
        Raises ValueError unless both are whole numbers and 0 <= done <= total.
        """
        stored.check_progress(done, total)
        now = time.monotonic()
        if done == total or not self.written or now - self.written[0] >= EVERY_SECONDS:
            self.written[:] = [now]
            stored.store_progress(self.job_key, done, total)


def run_task(job: JobLog) -> None:
    """Run the task of a claimed job; its return value becomes `job.returned`.

    Raises what the task raises, Permanent when its return value cannot be stored, and LookupError when this version of
    the site has no such task. SystemExit, KeyboardInterrupt and the like are failed attempts too.
    """
    job.returned = None
    task = results.load_task(job)
    current = job if job.attempt_count == 1 and job.processing_at else JobLog.objects.get(pk=job.pk)
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
        raise  # the sentinel replaces this process, even while a thread of an async task still runs
    except Exception:
        raise
    except BaseException as error:
        raise Temporary(f"the task raised {type(error).__name__}: {error}") from error
