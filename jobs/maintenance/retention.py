"""Retention: delete old data, first the personal data of settled jobs, then their rows. The hash of a job_id stays.

It walks through the jobs in the order of their keys. Each chunk is a transaction of its own that locks only settled
rows. After each chunk it rests as long as the chunk took, so that workers never wait. It may be stopped at any time,
and may run on several hosts at the same time.
"""

import time
from collections.abc import Iterable, Iterator
from contextvars import ContextVar
from datetime import timedelta
from typing import Any

import structlog
from django.db import models, transaction
from django.db.models import BooleanField, ExpressionWrapper, Q
from django.db.models.fields.json import KeyTextTransform
from django.db.models.functions import Left, Lower, Now

from jobs.conf import conf
from jobs.core import audit, job_types
from jobs.core.attempts import JobAttempt
from jobs.core.job import JobLog, JobQuerySet, Status
from jobs.core.used_ids import UsedJobId, hash_job_id
from jobs.queue import actions, bulk_replay
from jobs.stats import job_counts
from jobs.tasks.stored import TaskResultRow

log = structlog.get_logger("jobs.maintenance.retention")

PRUNE_CHUNK = 1_000  # rows a transaction
LEASE = "prune"  # acquired or renewed when all old data are deleted
SETTLED = (Status.COMPLETED, Status.DISCARDED)
BLANKED: dict[str, Any] = {"payload": {}, "error": "", "stack_trace": ""}


_until: ContextVar[float | None] = ContextVar("time.monotonic() after which no chunk begins", default=None)


class RetentionMark(models.Model):
    """The progress of a pass: every job up to this key is done."""

    name = models.CharField(max_length=32, primary_key=True)
    reached = models.BigIntegerField(default=0)

    class Meta:
        db_table = "job_retention_marks"

    def __str__(self) -> str:
        return f"{self.name} {self.reached}"


def prune(*, dry_run: bool = False) -> dict[str, int]:
    """Delete data older than RETENTION_DAYS_*; return how many rows of each kind.

    With dry_run, only count them.
    """
    counts = {
        "dead letters discarded": _discard_old(dry_run),
        "jobs deleted": _delete_old(dry_run),
        "jobs blanked": _blank_old(dry_run),
        "job ids forgotten": _delete(UsedJobId, "deleted_at", conf.RETENTION_DAYS_JOB_IDS, dry_run),
        "task results deleted": _delete(TaskResultRow, "written_at", conf.RETENTION_DAYS_PAYLOAD, dry_run),
        "audit entries deleted": _delete(audit.AuditEntry, "at", conf.RETENTION_DAYS_AUDIT, dry_run),
    }
    for more in job_types.pruners():
        counts |= more(dry_run)
    if not dry_run:
        log.info("old data pruned", **{name.replace(" ", "_"): count for name, count in counts.items()})
    return counts


def prune_for(seconds: float) -> tuple[dict[str, int], bool]:
    """Begin chunks for so many seconds; return the counts of `prune`, and whether nothing is left."""
    limit = _until.set(time.monotonic() + seconds)
    try:
        return prune(), not _is_over()
    finally:
        _until.reset(limit)


def _is_over() -> bool:
    until = _until.get()
    return until is not None and time.monotonic() >= until


def days_ago(days: int) -> Any:
    """Return an expression for the database's time, `days` ago."""
    return Now() - timedelta(days=days)


def _discard_old(dry_run: bool) -> int:
    """Discard dead letters whose personal data must go: without it they cannot be replayed."""
    old = JobLog.objects.dead().filter(processed_at__lt=days_ago(conf.RETENTION_DAYS_PAYLOAD)).order_by("processed_at")
    if dry_run:
        return old.count()
    done = 0
    for ids in _chunks(old):
        for job in JobLog.objects.filter(pk__in=ids):
            with transaction.atomic():
                if job.discard():
                    _blank([job.pk])
                    job_counts.count_moves("discarded", [job])
                    audit.record("retention", audit.AuditEntry.Act.DISCARD, job.job_id)
                    done += 1
    return done


def _blank_old(dry_run: bool) -> int:
    """Blank payloads and errors of settled jobs.

    The mark stays before the oldest job that is not settled.
    """
    mark, _ = RetentionMark.objects.get_or_create(name="blanked")
    before = days_ago(conf.RETENTION_DAYS_PAYLOAD)
    old = JobLog.objects.filter(status__in=SETTLED, processed_at__lt=before).exclude(payload={}, error="")
    if dry_run:
        return old.count()
    done = 0
    for ids in _walk(mark.reached, before):
        with transaction.atomic():
            mine = old.filter(pk__in=ids).select_for_update(skip_locked=True).order_by("pk")
            done += _blank(list(mine.values_list("pk", flat=True)))
        if not JobLog.objects.filter(pk__gt=mark.reached, pk__lte=ids[-1]).exclude(status__in=SETTLED).exists():
            mark.reached = ids[-1]
            mark.save(update_fields=["reached"])
    return done


def _blank(ids: list[int]) -> int:
    JobAttempt.objects.filter(job__in=ids).update(error="", trace="")
    return JobLog.objects.filter(pk__in=ids).update(**BLANKED)


def _delete_old(dry_run: bool) -> int:
    before = days_ago(conf.RETENTION_DAYS_JOBS)
    old = JobLog.objects.filter(status__in=SETTLED, processed_at__lt=before)
    if dry_run:
        return old.count()
    done = 0
    for ids in _walk(0, before):
        with transaction.atomic():
            mine = old.filter(pk__in=ids).select_for_update(skip_locked=True).order_by("pk")
            done += _delete_rows(list(mine.values_list("pk", "job_id", "job_type", "status")))
    return done


def _delete_rows(rows: list[tuple[int, str, str, str]]) -> int:
    """Delete jobs and write the hashes of their ids, in the caller's transaction."""
    ids = [row[0] for row in rows]
    UsedJobId.objects.bulk_create(
        [UsedJobId(digest=hash_job_id(job_id), status=status) for _, job_id, _, status in rows], ignore_conflicts=True
    )
    job_counts.count_pruned([(job_type, status) for _, _, job_type, status in rows])
    bulk_replay.BulkReplay.objects.filter(canary__in=ids).update(canary=None)
    for model, key in ((JobAttempt, "job__in"), (JobLog, "pk__in")):
        found = model._default_manager.filter(**{key: ids})
        found._raw_delete(found.db)
    return len(ids)


def _delete(model: type[models.Model], column: str, days: int, dry_run: bool) -> int:
    """Delete rows older than `days` of a model that nothing refers to; return how many."""
    old = model._default_manager.filter(**{f"{column}__lt": days_ago(days)})
    if dry_run:
        return old.count()
    done = 0
    for ids in _chunks(old.order_by(column)):
        found = model._default_manager.filter(pk__in=ids)
        done += found._raw_delete(found.db)
    return done


def _walk(after: int, before: Any) -> Iterator[list[int]]:
    """Yield the keys of all jobs enqueued `before`, in rising chunks; keys rise with time."""
    while True:
        began = time.monotonic()
        old = ExpressionWrapper(Q(created_at__lt=before), output_field=BooleanField())
        some = JobLog.objects.filter(pk__gt=after).order_by("pk").annotate(old=old)
        rows = list(some.values_list("pk", "old")[:PRUNE_CHUNK])
        ids = [pk for pk, old in rows if old]
        if not ids or _is_over():
            return
        yield ids
        after = ids[-1]
        _rest(began)


def _chunks(rows: models.QuerySet[Any]) -> Iterator[list[Any]]:
    """Yield chunks of keys that the caller removes from `rows`; stop if it does not."""
    last: list[Any] = []
    while ids := list(rows.values_list("pk", flat=True)[:PRUNE_CHUNK]):
        if ids == last or _is_over():
            return
        began = time.monotonic()
        yield ids
        last = ids
        _rest(began)


def _rest(began: float) -> None:
    time.sleep(min(1.0, time.monotonic() - began))


def jobs_of_user(user_id: str, source: str) -> JobQuerySet:
    """Return the jobs of one user of a source."""
    return JobLog.objects.filter(user_id=user_id, source=source)


def jobs_to_addresses(addresses: Iterable[str], *, except_source: str) -> JobQuerySet:
    """Return the jobs of other sources that were addressed to any of these addresses."""
    sought = [address.lower()[: job_types.RECIPIENT_LENGTH] for address in addresses]
    sent = JobLog.objects.exclude(source=except_source)
    found = [
        sent.annotate(to=Lower(Left(KeyTextTransform(key, "payload"), job_types.RECIPIENT_LENGTH))).filter(
            to__in=sought
        )
        for key in job_types.recipient_keys()
    ]
    return JobLog.objects.filter(pk__in=[pk for jobs in found for pk in jobs.values_list("pk", flat=True)])


def export_jobs(jobs: JobQuerySet) -> list[dict[str, Any]]:
    """Return everything that is stored of some jobs, as values for JSON."""
    names = ("job_id", "job_type", "status", "payload", "error", "created_at", "processed_at", "attempt_count")
    return list(jobs.order_by("pk").values(*names))


def erase_jobs(mine: JobQuerySet) -> int:
    """Discard the unsettled of these jobs, and blank all of them; return how many."""
    for job in mine.exclude(status__in=[*SETTLED, Status.PROCESSING]):
        actions.discard(job, who=None)
    return _blank(list(mine.values_list("pk", flat=True)))
