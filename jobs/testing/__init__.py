"""For tests of code that enqueues jobs and tasks: run them in this process, as a worker would."""

from contextlib import suppress

from django.db.models.functions import Now
from django.test import TestCase

from jobs.core.job import WAITING, JobLog
from jobs.worker import entry

MOST_JOBS = 1_000


def run_jobs(*, wait: bool = True, most: int = MOST_JOBS) -> list[JobLog]:
    """Run every job that waits, and those that they enqueue, until none is left; return them in the order they ran.

    A job that fails is tried again until it is completed or dead, without its waits. Callbacks of `on_commit` run
    too, also within a TestCase.
    wait: whether jobs whose time has not come (a retry, `run_after`) run now as well; False leaves them waiting.
    Raises AssertionError when `most` attempts were not enough: jobs enqueue each other without an end.
    """
    ran: dict[int, JobLog] = {}
    for _ in range(most):
        with TestCase.captureOnCommitCallbacks(execute=True):
            if wait:
                JobLog.objects.filter(status__in=WAITING, run_at__gt=Now()).update(run_at=Now())
            job = JobLog.objects.runnable().order_by("run_at", "pk").first()
            if job is None:
                break
            with suppress(SystemExit):  # the job took too long, and is settled
                entry.run(job.pk, job.attempt_count + 1)
        ran.pop(job.pk, None)
        ran[job.pk] = job
    else:
        raise AssertionError(f"{most} attempts were made, and jobs are still waiting")
    for job in ran.values():
        job.refresh_from_db()
    return list(ran.values())
