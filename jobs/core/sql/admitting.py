"""The statements of `jobs.queue.admission`. A function of PostgreSQL decides and writes; on SQLite this module does."""

import json
from collections.abc import Sequence
from datetime import datetime, timedelta
from typing import Any

from django.db import connection
from django.db.models import Q
from django.db.models.functions import Now

from jobs.core import sql
from jobs.core.job import CLAIMABLE, JobLog, Status
from jobs.core.sql import channels, short, statements


def admit(
    jobs: Sequence[JobLog], asked: list[list[Any]], queues: list[str] | None, wake: channels.Notification | None
) -> list[tuple[Any, ...]]:
    """Write the admitted ones of `jobs`; return of each (equal job, status of a deleted job, wait), None when written.

    asked: the values that decide, for each job. queues: of each job, the key of the queue in which PostgreSQL also
    stores its first message; None for no messages. wake: commit as well, and then send this to PostgreSQL's listeners.
    """
    if sql.is_postgresql():
        return _admit(jobs, asked, queues or [None] * len(jobs), wake)
    return list(map(_admit_portably, jobs, asked))


def _admit(
    jobs: Sequence[JobLog], asked: list[list[Any]], queues: Sequence[str | None], wake: channels.Notification | None
) -> list[tuple[Any, ...]]:
    """Admit the jobs one after another in one statement: each counts those before it."""
    values: list[Any] = []
    for job, one, queue in zip(jobs, asked, queues, strict=True):
        values += [*one, json.dumps(job.payload), job.max_attempts, job.request_id, job.policy.lifetime]
        values += [_due(job), job.unique_key, job.policy.unique.period if job.policy.unique else None, queue]
    admitting: sql.Other = " UNION ALL ".join([statements.ADMIT] * len(jobs)), values
    rows = short.fetch_and_notify(*admitting, wake) if wake else sql.fetch_all(*admitting)
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
