"""What is old goes: personal data of settled jobs first, then their rows; of a row, the hash of its job_id stays.

Works through the jobs in the order of their ids, in chunks that each commit alone and lock only settled rows, and rests
as long as it worked, so that workers never wait. Safe to stop anywhere and on several hosts at once.
"""

import time
from collections.abc import Iterator
from datetime import timedelta
from typing import Any

import structlog
from django.conf import settings
from django.db import models, transaction
from django.db.models import BooleanField, ExpressionWrapper, Q
from django.db.models.functions import Now

from jobs import audit, bulk, measures, queue, registry
from jobs.models import JobAttempt, JobLog, Status
from jobs.spent import SpentJobId, digest

log = structlog.get_logger("jobs.retention")

CHUNK = 1_000
OVER = (Status.COMPLETED, Status.DISCARDED)
BLANK: dict[str, Any] = {"payload": {}, "error": "", "stack_trace": ""}


class Mark(models.Model):
    """How far a pass has come: every job up to this id has been seen to."""

    name = models.CharField(max_length=32, primary_key=True)
    reached = models.BigIntegerField(default=0)

    class Meta:
        db_table = "job_retention_marks"

    def __str__(self) -> str:
        return f"{self.name} {self.reached}"


def prune(*, dry_run: bool = False) -> dict[str, int]:
    """Everything that is older than RETENTION_DAYS_*; how many of each, or how many there would be."""
    counts = {
        "dead letters discarded": _discard_old(dry_run),
        "jobs deleted": _delete_old(dry_run),
        "jobs blanked": _blank_old(dry_run),
        "job ids forgotten": _delete(SpentJobId, "gone_at", settings.RETENTION_DAYS_JOB_IDS, dry_run),
        "audit entries deleted": _delete(audit.AuditEntry, "at", settings.RETENTION_DAYS_AUDIT, dry_run),
    }
    for more in registry.pruners():
        counts |= more(dry_run)
    if not dry_run:
        log.info("old data pruned", **{name.replace(" ", "_"): count for name, count in counts.items()})
    return counts


def ago(days: int) -> Any:
    """The database's time, so many days before now."""
    return Now() - timedelta(days=days)


def _discard_old(dry_run: bool) -> int:
    """Dead letters as old as their personal data may become: without it they could not be tried again."""
    old = JobLog.objects.dead().filter(processed_at__lt=ago(settings.RETENTION_DAYS_PAYLOAD)).order_by("processed_at")
    if dry_run:
        return old.count()
    done = 0
    for ids in _chunks(old):
        for job in JobLog.objects.filter(pk__in=ids):
            with transaction.atomic():
                if job.discard():
                    _blank([job.pk])
                    measures.moved("discarded", [job])
                    audit.record("retention", audit.AuditEntry.Act.DISCARD, job.job_id)
                    done += 1
    return done


def _blank_old(dry_run: bool) -> int:
    """Payloads and errors of settled jobs. The mark stays before the oldest job that is not settled yet."""
    mark, _ = Mark.objects.get_or_create(name="blanked")
    before = ago(settings.RETENTION_DAYS_PAYLOAD)
    old = JobLog.objects.filter(status__in=OVER, processed_at__lt=before).exclude(payload={}, error="")
    if dry_run:
        return old.count()
    done = 0
    for ids in _walk(mark.reached, before):
        with transaction.atomic():
            mine = old.filter(pk__in=ids).select_for_update(skip_locked=True).order_by("pk")
            done += _blank(list(mine.values_list("pk", flat=True)))
        if not JobLog.objects.filter(pk__gt=mark.reached, pk__lte=ids[-1]).exclude(status__in=OVER).exists():
            mark.reached = ids[-1]
            mark.save(update_fields=["reached"])
    return done


def _blank(ids: list[int]) -> int:
    JobAttempt.objects.filter(job__in=ids).update(error="", trace="")
    return JobLog.objects.filter(pk__in=ids).update(**BLANK)


def _delete_old(dry_run: bool) -> int:
    before = ago(settings.RETENTION_DAYS_JOBS)
    old = JobLog.objects.filter(status__in=OVER, processed_at__lt=before)
    if dry_run:
        return old.count()
    done = 0
    for ids in _walk(0, before):
        with transaction.atomic():
            mine = old.filter(pk__in=ids).select_for_update(skip_locked=True).order_by("pk")
            done += _bury(list(mine.values_list("pk", "job_id", "job_type", "status")))
    return done


def _bury(rows: list[tuple[int, str, str, str]]) -> int:
    """Deletes rows of jobs and writes the hashes of their ids: one transaction, so one of the two is always there."""
    ids = [row[0] for row in rows]
    SpentJobId.objects.bulk_create(
        [SpentJobId(digest=digest(job_id), status=status) for _, job_id, _, status in rows], ignore_conflicts=True
    )
    measures.pruned([(job_type, status) for _, _, job_type, status in rows])
    bulk.BulkReplay.objects.filter(canary__in=ids).update(canary=None)
    for model, key in ((JobAttempt, "job__in"), (JobLog, "pk__in")):
        found = model._default_manager.filter(**{key: ids})
        found._raw_delete(found.db)
    return len(ids)


def _delete(model: type[models.Model], moment: str, days: int, dry_run: bool) -> int:
    """Rows of a model that nothing refers to, older than `days`; how many."""
    old = model._default_manager.filter(**{f"{moment}__lt": ago(days)})
    if dry_run:
        return old.count()
    done = 0
    for ids in _chunks(old.order_by(moment)):
        found = model._default_manager.filter(pk__in=ids)
        done += found._raw_delete(found.db)
    return done


def _walk(after: int, before: Any) -> Iterator[list[int]]:
    """Ids of all jobs enqueued `before`, in chunks, rising; ids rise with time, so a young chunk ends it."""
    while True:
        began = time.monotonic()
        old = ExpressionWrapper(Q(created_at__lt=before), output_field=BooleanField())
        some = JobLog.objects.filter(pk__gt=after).order_by("pk").annotate(old=old)
        rows = list(some.values_list("pk", "old")[:CHUNK])
        ids = [pk for pk, old in rows if old]
        if not ids:
            return
        yield ids
        after = ids[-1]
        _rest(began)


def _chunks(rows: models.QuerySet[Any]) -> Iterator[list[Any]]:
    """Keys of rows that the caller removes from `rows` as it goes; ends when it has not."""
    last: list[Any] = []
    while ids := list(rows.values_list("pk", flat=True)[:CHUNK]):
        if ids == last:
            return
        began = time.monotonic()
        yield ids
        last = ids
        _rest(began)


def _rest(began: float) -> None:
    time.sleep(min(1.0, time.monotonic() - began))


def of_user(user_id: str, source: str) -> list[dict[str, Any]]:
    """Everything that is kept of one user's jobs, as JSON-ready values."""
    names = ("job_id", "job_type", "status", "payload", "error", "created_at", "processed_at", "attempt_count")
    return list(JobLog.objects.filter(user_id=user_id, source=source).order_by("pk").values(*names))


def erase_user(user_id: str, source: str) -> int:
    """Gives a user's waiting and dead jobs up, and blanks all of them; how many were blanked."""
    mine = JobLog.objects.filter(user_id=user_id, source=source)
    for job in mine.exclude(status__in=[*OVER, Status.PROCESSING]):
        queue.discard(job)
    return _blank(list(mine.values_list("pk", flat=True)))
