"""The ways into and out of the queue: enqueue, replay, discard. Each is one transaction with its message."""

import re
from typing import Any

import structlog
from django.conf import settings
from django.db import IntegrityError, transaction
from structlog.contextvars import get_contextvars

from jobs import admission, broker, measures, registry
from jobs.models import JOB_ID, JobLog

log = structlog.get_logger("jobs")


class Refused(Exception):
    """The job was not enqueued, and nothing was written."""


class Duplicate(Refused):
    """There is a job with this id already: `job`."""

    def __init__(self, job: JobLog) -> None:
        super().__init__(f"job {job.job_id} is there already ({job.status})")
        self.job = job


class RateLimited(Refused):
    """The user has had all the jobs of this type that an hour allows; the next one may come in `retry_after` s."""

    def __init__(self, retry_after: int) -> None:
        super().__init__(f"too many for this user; again in {retry_after} s")
        self.retry_after = retry_after


def enqueue(job_type: str, payload: dict[str, Any], *, job_id: str, user_id: str, source: str = "signal") -> JobLog:
    """Writes a job and its message; both commit or roll back with the caller's transaction.

    job_id: the idempotency key (1-128 of `A-Z a-z 0-9 . _ : -`). user_id: whose hourly limit it counts against,
    within `source`. Raises Duplicate, RateLimited, ValueError (bad job_id), LookupError (unknown type).
    """
    kind = registry.get(job_type)
    if not re.match(JOB_ID, job_id):
        raise ValueError(f"job_id must match {JOB_ID}")
    try:
        with transaction.atomic():
            job = _admit(kind, payload, job_id=job_id, user_id=user_id, source=source)
            broker.send(job.pk, attempt=1)
    except IntegrityError:  # another user's job of this id, at this very moment: the unique job_id is the lock
        raise Duplicate(JobLog.objects.get(job_id=job_id)) from None
    log.info("job enqueued", job_id=job_id, job_type=job_type, source=source)
    return job


def _admit(kind: registry.JobType, payload: dict[str, Any], *, job_id: str, user_id: str, source: str) -> JobLog:
    """The job, written, if its id is new and its user has not had too many."""
    job = JobLog(
        job_id=job_id,
        job_type=kind.name,
        user_id=user_id,
        source=source,
        payload=payload,
        max_attempts=settings.JOB_MAX_ATTEMPTS,
        request_id=get_contextvars().get("request_id", ""),
    )
    refused = admission.admit(job, per_hour=kind.per_hour)
    if refused.there:
        raise Duplicate(JobLog.objects.get(pk=refused.there))
    if refused.gone:
        raise Duplicate(JobLog(job_id=job_id, status=refused.gone, source=source))
    if refused.retry_after is not None:
        measures.rate_limited(kind.name)
        raise RateLimited(refused.retry_after)
    return job


def replay(job: JobLog, *, by_itself: bool = False) -> bool:
    """A dead letter is tried again; False when it is none (any more)."""
    with transaction.atomic():
        if not job.replay(by_itself=by_itself):
            return False
        broker.send(job.pk, attempt=job.attempt_count + 1)
        measures.moved("replayed", [job])
    log.info("job replayed", job_id=job.job_id, job_type=job.job_type, by_itself=by_itself)
    return True


def replay_many(jobs: list[JobLog], *, by_itself: bool = False) -> int:
    """Replays those of `jobs` that are dead letters still; how many. One transaction, one call to the clusters."""
    with transaction.atomic():
        dead = JobLog.objects.select_for_update().dead().filter(pk__in=[job.pk for job in jobs])
        moved = [job for job in dead if job.replay(by_itself=by_itself)]
        broker.send_many([(job.pk, job.attempt_count + 1) for job in moved])
        measures.moved("replayed", moved)
    for job in moved:
        log.info("job replayed", job_id=job.job_id, job_type=job.job_type, by_itself=by_itself)
    return len(moved)


def discard(job: JobLog) -> bool:
    """A dead letter or waiting job is given up; False when it is running or settled."""
    with transaction.atomic():
        done = job.discard()
        if done:
            measures.moved("discarded", [job])
    if done:
        log.info("job discarded", job_id=job.job_id, job_type=job.job_type)
    return done
