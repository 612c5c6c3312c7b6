"""Realistic jobs by the million, to see the operators' pages as they are after years. They are loaded, not enqueued."""

import random
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from itertools import islice
from typing import Any, cast

from django.conf import settings
from django.db import connection, models

from jobs.core.attempts import JobAttempt
from jobs.core.job import THIS_SITE, JobLog, Reason, Status
from jobs.core.job_types import all_types
from jobs.core.sql import loading

USERS = 200_000
CHUNK_ROWS = 20_000
HOURLY_LOAD = (
    1,
    1,
    1,
    1,
    1,
    2,
    4,
    8,
    12,
    13,
    12,
    11,
    11,
    12,
    12,
    11,
    10,
    10,
    11,
    12,
    10,
    7,
    4,
    2,
)  # from 00:00
FAILURES = (  # share of a thousand, reason, error class, fingerprint, attempts, SMTP code, error
    (520, Reason.EXHAUSTED, "unreachable", "SMTPServerDisconnected", 5, None, "Connection unexpectedly closed"),
    (180, Reason.EXHAUSTED, "temporary", "SMTP 451", 5, 451, "451 4.3.0 Temporary lookup failure"),
    (170, Reason.PERMANENT, "permanent", "SMTP 550", 1, 550, "550 5.1.1 No such user here"),
    (60, Reason.PERMANENT, "permanent", "SMTP 552", 1, 552, "552 5.2.2 Mailbox is full"),
    (40, Reason.EXPIRED, "expired", "Expired", 1, None, "not sent within 24 hours"),
    (30, Reason.POISON, "poison", "WorkerLost", 5, None, "5 workers died while they ran this job"),
)
DEVICES = (("Chrome", "Windows"), ("Safari", "iOS"), ("Firefox", "Linux"), ("Chrome Mobile", "Android"))


@dataclass
class Seeded:
    """A job and its failed attempts."""

    job: JobLog
    attempts: list[JobAttempt]


def jobs(count: int, *, first_key: int, days: int, now: datetime, waiting: bool = False) -> Iterator[Seeded]:
    """Yield `count` jobs over the `days` before `now`, oldest first.

    `first_key` is the key of the first job; the others follow. The same arguments give the same jobs. waiting: the last
    few are still waiting or running, as on a busy site. A worker would send them, so all are settled by default.
    """
    unfinished = min(400, count // 100) if waiting else 0
    chance = random.Random(count)  # noqa: S311  (not for security)
    kind = next(kind.name for kind in all_types())
    for at, created in enumerate(_creation_times(count, days, now)):
        yield _job(chance, first_key + at, kind, created, left=count - at, unfinished=unfinished)


def _creation_times(count: int, days: int, now: datetime) -> Iterator[datetime]:
    """Yield `count` times in order, many by day and few at night."""
    begin = now - timedelta(days=days)
    hours = [begin + timedelta(hours=each) for each in range(days * 24)]
    total, done, weight = sum(HOURLY_LOAD[(hour.hour + 8) % 24] for hour in hours), 0, 0
    for hour in hours:
        weight += HOURLY_LOAD[(hour.hour + 8) % 24]
        share = count * weight // total - done
        for each in range(share):
            yield hour + timedelta(hours=(each + 0.5) / share)
        done += share


def _job(chance: random.Random, key: int, kind: str, created: datetime, left: int, unfinished: int) -> Seeded:
    user = chance.randrange(USERS)
    pickup, run = chance.lognormvariate(-4.5, 1.0), chance.lognormvariate(-3.2, 0.6)
    started = created + timedelta(seconds=pickup)
    job = JobLog(
        id=key,
        job_id=f"seed-{key}",
        job_type=kind,
        user_id=str(user),
        source=THIS_SITE if key % 3 else "shop",
        status=Status.COMPLETED,
        payload=_payload(chance, user, created),
        attempt_count=1,
        max_attempts=5,
        created_at=created,
        run_at=created,
        expires_at=created + timedelta(days=1),
        worker=f"worker-{key % 3}:4711/{4720 + key % 8}",
        processing_at=started,
        processed_at=started + timedelta(seconds=run),
    )
    luck = chance.random()
    if left <= unfinished:
        return _unfinished(job, left)
    if luck < 0.004:
        return _dead(chance, job)
    if luck < 0.005:
        job.status = Status.DISCARDED
    elif luck < 0.02:
        return _completed_later(job)
    return Seeded(job, [])


def _payload(chance: random.Random, user: int, created: datetime) -> dict[str, Any]:
    browser, system = chance.choice(DEVICES)
    return {
        "userId": str(user),
        "email": f"user{user}@example.com",
        "name": f"Хэрэглэгч {user}",
        "provider": "github" if user % 2 else "password",
        "ipAddress": f"203.0.113.{chance.randrange(256)}",
        "browser": browser,
        "system": system,
        "timestamp": created.astimezone(UTC).isoformat(timespec="seconds"),
        "locale": settings.LANGUAGES[-1 if user % 5 == 0 else 0][0],
        "timezone": "Asia/Ulaanbaatar",
        "newDevice": user % 7 == 0,
    }


def _unfinished(job: JobLog, left: int) -> Seeded:
    """Make a job wait, run, or wait between two attempts, like the newest jobs of a busy site."""
    job.processed_at = None
    if left % 40 == 0:
        job.status, job.lease_until = Status.PROCESSING, job.created_at + timedelta(hours=1)
        return Seeded(job, [])
    if left % 5 == 0:
        _fail(job, FAILURES[1])
        job.status, job.run_at = Status.FAILED, job.created_at + timedelta(hours=1)
        return Seeded(job, [_attempt(job, 1, FAILURES[1])])
    job.status, job.attempt_count, job.worker, job.processing_at = Status.ENQUEUED, 0, "", None
    return Seeded(job, [])


def _dead(chance: random.Random, job: JobLog) -> Seeded:
    cause = chance.choices(FAILURES, [each[0] for each in FAILURES])[0]
    job.status, job.dlq_reason, job.attempt_count = Status.DLQ, cause[1], cause[4]
    job.replayed_automatically = True  # or the worker would replay it, and email an invented address
    job.processed_at = job.created_at + timedelta(seconds=2.0 ** cause[4])
    _fail(job, cause)
    return Seeded(job, [_attempt(job, number, cause) for number in range(1, cause[4] + 1)])


def _completed_later(job: JobLog) -> Seeded:
    first = _attempt(job, 1, FAILURES[1])
    job.attempt_count, wait = 2, timedelta(seconds=2.1)
    job.run_at, job.processing_at, job.processed_at = (
        job.run_at + wait,
        (job.processing_at or job.created_at) + wait,
        (job.processed_at or job.created_at) + wait,
    )
    return Seeded(job, [first])


def _fail(job: JobLog, cause: tuple[Any, ...]) -> None:
    job.error_class, job.fingerprint, job.error = cause[2], cause[3], cause[6]
    job.stack_trace = f'Traceback (most recent call last):\n  File "smtplib.py", line 882, in sendmail\n{cause[6]}'


def _attempt(job: JobLog, number: int, cause: tuple[Any, ...]) -> JobAttempt:
    started = job.created_at + timedelta(seconds=2.0 ** (number - 1))
    return JobAttempt(
        job_id=job.pk,
        number=number,
        worker=job.worker,
        started_at=started,
        ended_at=started + timedelta(seconds=0.4),
        outcome=JobAttempt.Outcome.FAILED,
        error_class=cause[2],
        fingerprint=cause[3],
        error_code=cause[5],
        error=cause[6],
        trace="",
    )


def load(seeded: Iterator[Seeded], jobs_into: str = "job_logs", attempts_into: str = "job_attempts") -> None:
    """Write jobs and attempts, on PostgreSQL into the named tables."""
    while chunk := list(islice(seeded, CHUNK_ROWS)):
        attempts = [attempt for each in chunk for attempt in each.attempts]
        loading.load([each.job for each in chunk], jobs_into)
        loading.load(attempts, attempts_into)


def multiply(seeded: Iterator[Seeded], *, days: int, share: int) -> None:
    """Load one day's `share` jobs, and let PostgreSQL repeat that day for each of `days`, oldest first.

    Jobs of earlier days have smaller keys. Only the last day can have jobs that wait or run.
    """
    with connection.cursor() as cursor:
        for table in ("job_logs", "job_attempts"):
            cursor.execute(f"CREATE TEMPORARY TABLE seed_{table} (LIKE {table} INCLUDING DEFAULTS INCLUDING IDENTITY)")
        load(seeded, "seed_job_logs", "seed_job_attempts")
        cursor.execute("CREATE INDEX ON seed_job_logs (id)")
        cursor.execute("ANALYZE seed_job_logs")
        for day in range(days - 1, -1, -1):
            settled = "j.status NOT IN ('enqueued', 'failed', 'processing')" if day else "true"
            for model in (JobLog, JobAttempt):
                columns = [(str(field.column), _shifted(field)) for field in model._meta.concrete_fields]
                columns = [(column, shift) for column, shift in columns if model is JobLog or column != "id"]
                cursor.execute(
                    f"INSERT INTO {model._meta.db_table} ({', '.join(column for column, _ in columns)})"  # noqa: S608
                    f" SELECT {', '.join(shift for _, shift in columns)} FROM seed_{model._meta.db_table} t"
                    f" JOIN seed_job_logs j ON j.id = t.{'id' if model is JobLog else 'job_id'} WHERE {settled}"
                    f" ORDER BY t.id",
                    cast("dict[str, Any]", {"days": timedelta(days=day), "keys": day * share}),
                )
        cursor.execute("DROP TABLE seed_job_logs, seed_job_attempts")


def _shifted(field: models.Field) -> str:
    """Return the SQL of a column's value on an earlier day."""
    column = f't."{field.column}"'
    if field.model is JobLog and field.column == "job_id":
        return "'seed-' || (t.id - %(keys)s)"
    if field.primary_key or isinstance(field, models.ForeignKey):
        return f"{column} - %(keys)s"
    return f"{column} - %(days)s" if isinstance(field, models.DateTimeField) else column
