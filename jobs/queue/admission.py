"""Admission: decide whether jobs may be enqueued, and write them, in one round trip, since a user waits for it."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from django.db import connection

from jobs.brokers import messages
from jobs.core import used_ids
from jobs.core.job import JobLog
from jobs.core.sql import admitting, channels

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
    sends: on PostgreSQL, also store the first message of each job that is written.
    commits: on PostgreSQL, outside of a transaction: also commit, and notify the clusters.
    Raises IntegrityError when another transaction has just written a job of such an id.
    """
    asked = [_values(job, limits) for job in jobs]
    keys = list(map(messages.queue_key, jobs)) if sends else None
    wake = channels.Notification(messages.CHANNEL, messages.word_for(keys or [])) if commits else None
    why = admitting.admit(jobs, asked, keys, wake)
    return [Admission(existing, used, None if wait is None else max(1, 1 + int(wait))) for existing, used, wait in why]


def _values(job: JobLog, limits: Limits) -> list[Any]:
    digest = used_ids.UsedJobId._meta.pk.get_db_prep_value(used_ids.hash_job_id(job.job_id), connection)
    recipient = str(job.payload.get(limits.recipient_key) or "") if limits.per_address else ""
    others = limits.per_hour - 1 if limits.per_hour else NO_LIMIT
    asked = [job.job_id, digest, job.job_type, job.user_id, job.source, job.lane, others]
    return [*asked, recipient or None, limits.per_address - 1]
