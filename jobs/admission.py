"""What decides whether a job may be enqueued, asked in one round trip because a person waits for it.

The user is locked first, by a statement of its own: the next one sees what whoever held the lock before has committed.
"""

from dataclasses import dataclass

from django.db import connection

from jobs import spent

HOUR = 3600  # seconds
NO_LIMIT = 2**31
LOCK = "SELECT pg_advisory_xact_lock(hashtextextended(%s, 0)); "  # SQLite has one writer anyway (IMMEDIATE)
ASK = """
SELECT (SELECT id FROM job_logs WHERE job_id = %s),
       (SELECT status FROM job_ids_spent WHERE digest = %s),
       (SELECT {wait} FROM job_logs WHERE user_id = %s AND job_type = %s AND source = %s AND created_at > {hour_ago}
        ORDER BY created_at DESC LIMIT 1 OFFSET %s)
"""
DIALECT = {
    "postgresql": {
        "wait": f"EXTRACT(EPOCH FROM created_at - clock_timestamp())::float8 + {HOUR}",
        "hour_ago": "clock_timestamp() - interval '1 hour'",
    },
    "sqlite": {
        "wait": f"(JULIANDAY(created_at) - JULIANDAY('NOW')) * 86400 + {HOUR}",
        "hour_ago": "STRFTIME('%%Y-%%m-%%d %%H:%%M:%%f', 'NOW', '-1 hour')",
    },
}


@dataclass(frozen=True)
class Answer:
    """there: the key of the job of that id. gone: what had become of one whose row is deleted. retry_after: seconds
    until the user may have one more in a sliding hour, None for now."""

    there: int | None
    gone: str | None
    retry_after: int | None


def ask(job_id: str, *, job_type: str, source: str, user_id: str, per_hour: int | None) -> Answer:
    """What there is before a job of that id for that user; nobody else enqueues for this user until the transaction
    ends. per_hour: how many jobs of the type a user may have, None for no limit."""
    digest = spent.SpentJobId._meta.pk.get_db_prep_value(spent.digest(job_id), connection)
    values = [job_id, digest, user_id, job_type, source, per_hour - 1 if per_hour else NO_LIMIT]
    question = ASK.format(**DIALECT[connection.vendor])
    with connection.cursor() as cursor:
        if connection.vendor == "postgresql":
            cursor.execute(LOCK + question, [f"{source}:{user_id}:{job_type}", *values])
            cursor.nextset()
        else:
            cursor.execute(question, values)
        there, gone, wait = cursor.fetchone()
    return Answer(there, gone, None if wait is None else max(1, 1 + int(wait)))
