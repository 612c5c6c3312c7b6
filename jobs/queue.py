"""The ways into and out of the queue: enqueue, replay, discard. Each is one transaction with its message."""

import re
from datetime import timedelta
from typing import Any

import structlog
from django.conf import settings
from django.db import IntegrityError, connection, transaction
from django.db.models.functions import Now
from structlog.contextvars import get_contextvars

from jobs import broker, measures, registry, spent
from jobs.models import JOB_ID, JobLog, from_now

log = structlog.get_logger("jobs")

HOUR = timedelta(hours=1)


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
    with transaction.atomic():
        _lock_user(f"{source}:{user_id}:{job_type}")
        there, gone = spent.earlier(job_id)
        if there:
            raise Duplicate(JobLog.objects.get(pk=there))
        if gone:
            raise Duplicate(JobLog(job_id=job_id, status=gone, source=source))
        if kind.per_hour is not None:
            _check_limit(kind.per_hour, source=source, user_id=user_id, job_type=job_type)
        job = JobLog(
            job_id=job_id,
            job_type=job_type,
            user_id=user_id,
            source=source,
            payload=payload,
            max_attempts=settings.JOB_MAX_ATTEMPTS,
            expires_at=from_now(settings.JOB_EXPIRES_HOURS * 3600),
            request_id=get_contextvars().get("request_id", ""),
        )
        _insert(job)
        broker.send(job.pk, attempt=1)
    log.info("job enqueued", job_id=job_id, job_type=job_type, source=source)
    return job


def _lock_user(name: str) -> None:
    """One enqueue at a time for this user, until the transaction ends. SQLite has one writer anyway (IMMEDIATE)."""
    if connection.vendor == "postgresql":
        with connection.cursor() as cursor:
            cursor.execute("SELECT pg_advisory_xact_lock(hashtextextended(%s, 0))", [name])


def _check_limit(per_hour: int, **whose: str) -> None:
    recent = JobLog.objects.filter(**whose, created_at__gt=Now() - HOUR).order_by("-created_at")
    full = recent.annotate(now=Now()).values_list("created_at", "now")[per_hour - 1 : per_hour]
    for oldest, now in full:
        measures.rate_limited(whose["job_type"])
        raise RateLimited(max(1, 1 + int((oldest + HOUR - now).total_seconds())))


def _insert(job: JobLog) -> None:
    """The unique job_id is the lock: of two users' jobs with one id, one is written."""
    try:
        with transaction.atomic():
            job.save(force_insert=True)
    except IntegrityError:
        raise Duplicate(JobLog.objects.get(job_id=job.job_id)) from None


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
