"""Enqueueing: a job and its message in one transaction, at most one job for each id."""

import json
import re
import uuid
from collections.abc import Sequence
from datetime import datetime, timedelta
from typing import Any

import structlog
from django.db import IntegrityError, OperationalError, transaction
from django.utils import timezone
from structlog.contextvars import get_contextvars

from jobs import tracing
from jobs.brokers import messages
from jobs.brokers.lanes import ORDER
from jobs.core import job_types, used_ids
from jobs.core.job import JOB_ID, STORED_ID, THIS_SITE, JobLog
from jobs.core.sql import short, together
from jobs.queue import admission
from jobs.queue.admission import Admission, Limits
from jobs.stats import job_counts

log = structlog.get_logger("jobs")

LONGEST_DELAY = timedelta(days=366)  # from an enqueue to the first attempt


class Refused(Exception):
    """The job was not enqueued; nothing was written."""


class Duplicate(Refused):
    """A job with this id exists already, or an equal one where the type's policy has `Unique`: `job`."""

    def __init__(self, job: JobLog) -> None:
        super().__init__(f"job {job.job_id} exists already ({job.status})")
        self.job = job


class RateLimited(Refused):
    """The user's hourly limit for this type is used up; the next job is accepted in `retry_after` seconds."""

    def __init__(self, retry_after: int) -> None:
        super().__init__(f"too many jobs for this user; try again in {retry_after} s")
        self.retry_after = retry_after


def enqueue(
    job_type: str,
    payload: dict[str, Any],
    *,
    job_id: str,
    user_id: str,
    source: str = THIS_SITE,
    lane: str = "",
    run_at: datetime | None = None,
) -> JobLog:
    """Write a job and its message; both commit or roll back with the caller's transaction.

    job_id: the idempotency key (1-128 of `A-Z a-z 0-9 . _ : -`).
    user_id: the user, within `source`, whose hourly limit it counts against; "" for a job of no user, without a limit.
    lane: how urgent it is; "" for the lane of its type.
    run_at: when the job is due first, with a time zone, at most a year ahead; a past time, like None, is now.
    Raises Duplicate, RateLimited, ValueError (bad job_id, lane or run_at) and LookupError (unknown type).
    """
    job = new_job(job_type, payload, job_id=job_id, user_id=user_id, source=source, lane=lane, run_at=run_at)
    try:
        if _are_sent_with_rows() and short.is_possible() and not tracing.is_on():
            [refused] = _write([job], sends=True, commits=True)
        else:
            with transaction.atomic():
                [refused] = enqueue_jobs([job])
    except OperationalError as error:
        committed = JobLog.objects.filter(job_id=job_id).first() if short.is_committed(error) else None
        if committed is None:
            raise
        log.warning("listeners cannot be notified", error=str(error))
        job, refused = committed, None
    except IntegrityError:  # another transaction wrote this id at the same time: the unique job_id is the lock
        raise Duplicate(JobLog.objects.get(job_id=job_id)) from None
    if refused:
        raise refused
    return job


def new_job(
    job_type: str,
    payload: dict[str, Any],
    *,
    job_id: str,
    user_id: str,
    source: str = THIS_SITE,
    lane: str = "",
    run_at: datetime | None = None,
    traceparent: str = "",
) -> JobLog:
    """Return a job that is not written yet; lane and run_at: see `enqueue`. traceparent: instead of the present span.

    Raises ValueError (bad job_id, lane or run_at) and LookupError (unknown type).
    """
    allowed = JOB_ID if source == THIS_SITE else STORED_ID
    if not re.match(allowed, job_id):
        raise ValueError(f"job_id must match {allowed}")
    if not source:
        raise ValueError("source must name a site")
    if lane and lane not in ORDER:
        raise ValueError(f"lane must be one of {', '.join(ORDER)}")
    kind = job_types.get(job_type)
    return JobLog(
        job_id=job_id,
        job_type=job_type,
        user_id=user_id,
        source=source,
        lane=str(lane or kind.lane),
        payload=payload,
        unique_key=_hash_unique(kind, source, payload),
        **({} if run_at is None else {"run_at": check_run_at(run_at)}),
        max_attempts=kind.policy.attempts,
        request_id=get_contextvars().get("request_id", ""),
        traceparent=traceparent,
    )


def check_run_at(run_at: datetime) -> datetime:
    """Return a time at which a job may be due. Raises ValueError that says why for any other."""
    if not isinstance(run_at, datetime):
        raise ValueError(f"run_at must be a datetime with a time zone, not {type(run_at).__name__}")
    if timezone.is_naive(run_at):
        raise ValueError("run_at must have a time zone: write django.utils.timezone.make_aware(run_at)")
    if run_at > timezone.now() + LONGEST_DELAY:
        raise ValueError(f"run_at must be at most {LONGEST_DELAY.days} days ahead")
    return run_at


def _hash_unique(kind: job_types.JobType, source: str, payload: dict[str, Any]) -> uuid.UUID | None:
    """Return the hash of what equal jobs have in common; None when the type has no `Unique` policy."""
    if (unique := kind.policy.unique) is None:
        return None
    return used_ids.hash_job_id(json.dumps([kind.name, source, unique.compared(payload)], sort_keys=True))


def enqueue_jobs(jobs: Sequence[JobLog], limits: Limits | None = None) -> list[Refused | None]:
    """Write jobs of one type and their messages, without a savepoint; return why each was not written, else None.

    limits: instead of those of the job type. Each job counts against the limits of those after it.
    Raises LookupError (unknown type). A database error leaves it to the caller to roll back.
    """
    sends = _are_sent_with_rows()
    refused = _write(jobs, limits, sends=sends)
    written = [job for job, why in zip(jobs, refused, strict=True) if why is None]
    if tracing.is_on():
        _trace(written)
    if not sends:
        _send_messages(written)
    elif written:
        messages.notify_clusters(map(messages.queue_key, written))
    return refused


def _write(
    jobs: Sequence[JobLog], limits: Limits | None = None, *, sends: bool, commits: bool = False
) -> list[Refused | None]:
    """Write the rows of jobs of one type; return why each was not written, else None.

    sends, commits: see `admission.admit`.
    """
    kind = job_types.get(jobs[0].job_type)
    usual = Limits(kind.per_hour, kind.presentation.recipient, kind.per_address or 0)
    admitted = admission.admit(jobs, limits or usual, sends=sends, commits=commits)
    refused = [_explain(job, why) for job, why in zip(jobs, admitted, strict=True)]
    for job, why in zip(jobs, refused, strict=True):
        if why is None:
            log.info("job enqueued", job_id=job.job_id, job_type=job.job_type, source=job.source)
    return refused


def _are_sent_with_rows() -> bool:
    """Return whether the statement that writes the rows of jobs also stores their first messages."""
    return together.is_possible() and messages.in_our_database()


def write_discarded(job: JobLog, why: str) -> JobLog:
    """Write a job that has nothing to do, and return it: its id is used, and `why` is its error.

    Raises IntegrityError when its id is used already.
    """
    job.insert_discarded(why)
    log.info("job discarded", job_id=job.job_id, job_type=job.job_type, source=job.source)
    return job


def _send_messages(jobs: Sequence[JobLog]) -> None:
    """Send the first message of each job, in its transaction; the message of a scheduled job is visible when due."""
    scheduled = [job for job in jobs if isinstance(job.run_at, datetime)]
    messages.send_many([messages.to(job, 1) for job in jobs if job not in scheduled])
    for job in scheduled:
        messages.send_next(job)


def _trace(jobs: Sequence[JobLog]) -> None:
    """Make a producer span for each written job, and store its context in the row."""
    for job in jobs:
        named = {"messaging__message__id": job.job_id, "messaging__destination__name": job.lane}
        with tracing.span(f"send {job.job_type}", "producer", parent=job.traceparent, **named):
            job.traceparent = tracing.traceparent()
        JobLog.objects.filter(job_id=job.job_id).update(traceparent=job.traceparent)


def _explain(job: JobLog, why: Admission) -> Refused | None:
    if why.existing:
        return Duplicate(JobLog.objects.get(pk=why.existing))
    if why.used:
        return Duplicate(JobLog(job_id=job.job_id, status=why.used, source=job.source))
    if why.retry_after is not None:
        job_counts.count_rate_limited(job.job_type)
        return RateLimited(why.retry_after)
    return None
