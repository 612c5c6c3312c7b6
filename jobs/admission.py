"""What decides whether a job may be enqueued, and writes it: one round trip, because a person waits for it."""

import json
from dataclasses import dataclass
from typing import Any

from django.conf import settings
from django.db import connection

from jobs import spent
from jobs.models import JobLog, from_now

NO_LIMIT = 2**31
# PostgreSQL's function does what ASK and an INSERT do here, and locks the user before (migration 0012).
ADMIT = "SELECT written, there, gone, wait FROM admit_job(%s, %s, %s, %s, %s, %s, %s::jsonb, %s, %s, %s)"
# SQLite has one writer anyway (IMMEDIATE).
ASK = """
SELECT (SELECT id FROM job_logs WHERE job_id = %s),
       (SELECT status FROM job_ids_spent WHERE digest = %s),
       (SELECT (JULIANDAY(created_at) - JULIANDAY('NOW')) * 86400 + 3600 FROM job_logs
        WHERE job_type = %s AND user_id = %s AND source = %s
        AND created_at > STRFTIME('%%Y-%%m-%%d %%H:%%M:%%f', 'NOW', '-1 hour')
        ORDER BY created_at DESC LIMIT 1 OFFSET %s)
"""


@dataclass(frozen=True)
class Answer:
    """Why a job was not written; all None when it was. there: the key of the job of that id. gone: what had become of
    one whose row is deleted. retry_after: seconds until the user may have one more in a sliding hour."""

    there: int | None
    gone: str | None
    retry_after: int | None


def admit(job: JobLog, *, per_hour: int | None) -> Answer:
    """Writes `job`, waiting and due at once, if its id is new and its user may have it; its times are the database's
    and not read back. Nobody else enqueues for this user until the transaction ends.

    per_hour: how many jobs of the type a user may have, None for no limit. Raises IntegrityError when another
    transaction has just written a job of this id.
    """
    digest = spent.SpentJobId._meta.pk.get_db_prep_value(spent.digest(job.job_id), connection)
    asked = [job.job_id, digest, job.job_type, job.user_id, job.source, per_hour - 1 if per_hour else NO_LIMIT]
    there, gone, wait = _admit(job, asked) if connection.vendor == "postgresql" else _admit_portably(job, asked)
    return Answer(there, gone, None if wait is None else max(1, 1 + int(wait)))


def _admit(job: JobLog, asked: list[Any]) -> tuple[Any, ...]:
    new: list[Any] = [json.dumps(job.payload), job.max_attempts, job.request_id, settings.JOB_EXPIRES_HOURS]
    with connection.cursor() as cursor:
        cursor.execute(ADMIT, [*asked, *new])
        job.pk, *why = cursor.fetchone()
    job._state.adding, job._state.db = job.pk is None, connection.alias
    return tuple(why)


def _admit_portably(job: JobLog, asked: list[Any]) -> tuple[Any, ...]:
    with connection.cursor() as cursor:
        cursor.execute(ASK, asked)
        why = cursor.fetchone()
    if why == (None, None, None):
        job.expires_at = from_now(settings.JOB_EXPIRES_HOURS * 3600)
        job.save(force_insert=True)
    return why
