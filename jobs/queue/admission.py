"""Admission: decide whether jobs may be enqueued, and write them, in one round trip, since a user waits for it."""

import json
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

from django.db import connection
from django.db.models import Q
from django.db.models.functions import Now

from jobs.brokers import messages
from jobs.core import sql, used_ids
from jobs.core.job import CLAIMABLE, JobLog, Status
from jobs.core.sql import short, statements

NO_LIMIT = 2**31


@dataclass(frozen=True)
class Limits:
    """How many jobs of a type are admitted in a sliding hour."""

    per_hour: int | None
    """For one user and lane; None for no limit."""
    recipient_key: str = ""
    """The payload's key of the address that may have `per_address` jobs; "" for no such limit."""
    per_address: int = 0
    """For one address and lane, over all users of the source."""


@dataclass(frozen=True)
class Admission:
    """Why a job was not written; all None when it was."""

    existing: int | None  # the key of the job that has its id, or is equal to it (`job_types.Unique`)
    used: str | None  # the status of a job that had its id and whose row is deleted
    retry_after: int | None  # seconds until the user may have one more in a sliding hour


def admit(jobs: Sequence[JobLog], limits: Limits, *, sends: bool = False, commits: bool = False) -> list[Admission]:
    """Write each of `jobs` whose id is new, if its user and recipient are within their limits.

    A job without `run_at` is due now. Its times are the database's; only `created_at` is read back, from PostgreSQL. No
    other transaction enqueues for this user until this one ends.
    sends: also stores the first message of each job that is written, on PostgreSQL.
    commits: outside of a transaction, on PostgreSQL: also commits, and notifies the clusters.
    Raises IntegrityError when another transaction has just written a job of such an id.
    """
    asked = [_values(job, limits) for job in jobs]
    why = _admit(jobs, asked, sends, commits) if sql.is_postgresql() else list(map(_admit_portably, jobs, asked))
    return [Admission(existing, used, None if wait is None else max(1, 1 + int(wait))) for existing, used, wait in why]


def _values(job: JobLog, limits: Limits) -> list[Any]:
    digest = used_ids.UsedJobId._meta.pk.get_db_prep_value(used_ids.hash_job_id(job.job_id), connection)
    recipient = str(job.payload.get(limits.recipient_key) or "") if limits.per_address else ""
    others = limits.per_hour - 1 if limits.per_hour else NO_LIMIT
    asked = [job.job_id, digest, job.job_type, job.user_id, job.source, job.lane, others]
    return [*asked, recipient or None, limits.per_address - 1]


def _admit(jobs: Sequence[JobLog], asked: list[list[Any]], sends: bool, commits: bool) -> list[tuple[Any, ...]]:
    """Admit the jobs one after another in one statement: each counts those before it."""
    values: list[Any] = []
    for job, one in zip(jobs, asked, strict=True):
        values += [*one, json.dumps(job.payload), job.max_attempts, job.request_id, job.policy.lifetime]
        values += [_due(job), job.unique_key, job.policy.unique.period if job.policy.unique else None]
        values.append(messages.queue_key(job) if sends else None)
    admitting: sql.Other = " UNION ALL ".join([statements.ADMIT] * len(jobs)), values
    rows = short.fetch_and_notify(*admitting, messages.CHANNEL) if commits else sql.fetch_all(*admitting)
    for job, (written, at, *_) in zip(jobs, rows, strict=True):
        job.pk, job.created_at = written, at
        job._state.adding, job._state.db = written is None, connection.alias
    return [row[2:] for row in rows]


def _admit_portably(job: JobLog, asked: list[Any]) -> tuple[Any, ...]:
    recipient, others = asked[-2:]
    where = [job.job_type, job.source, job.lane, recipient, others]
    wait = sql.fetch_one(statements.ASK_RECIPIENT, where) if recipient else None
    why = sql.fetch_one(statements.ASK, asked[:-2])
    if why[:2] == (None, None) and (equal := _find_equal(job)):
        return equal, None, None
    if why == (None, None, None) and wait:
        return None, None, wait[0]
    if why == (None, None, None):
        asked_for = _due(job)
        due = sql.not_past(asked_for) if asked_for else Now()
        job.run_at, job.expires_at = due, due + timedelta(seconds=job.policy.lifetime)
        job.save(force_insert=True)
        job.run_at = asked_for or due
    return why


def _find_equal(job: JobLog) -> int | None:
    """Return the key of the job that refuses this one as equal to it; None when there is none."""
    if job.policy.unique is None or job.unique_key is None:
        return None
    recent = Q(created_at__gt=Now() - timedelta(seconds=job.policy.unique.period))
    equal = JobLog.objects.filter(recent | Q(status__in=CLAIMABLE), unique_key=job.unique_key)
    return equal.exclude(status=Status.DISCARDED).order_by("-pk").values_list("pk", flat=True).first()


def _due(job: JobLog) -> datetime | None:
    """Return when a new job is due; None for now."""
    return job.run_at if isinstance(job.run_at, datetime) else None
