"""Cursor paging: page 10,000 costs as much as page 1, and no row is skipped or repeated."""

from datetime import UTC, datetime

from django.core import signing
from django.db.models import Q

from jobs.core.job import JobLog, JobQuerySet
from notifier.api.problems import Problem

_signer = signing.Signer(salt="notifier.api.cursor")


def page_of(jobs: JobQuerySet, cursor: str, limit: int) -> tuple[list[JobLog], str | None]:
    """Return up to `limit` dead letters after `cursor`, the latest first, and the next cursor.

    The next cursor is None on the last page. Raises Problem when the cursor was not made by `page_of`.
    """
    ordered = jobs.order_by("-processed_at", "-pk").defer("payload", "stack_trace")
    if cursor:
        ordered = ordered.filter(_rows_after(cursor))
    rows = list(ordered[: limit + 1])
    return rows[:limit], _cursor_of(rows[limit - 1]) if len(rows) > limit else None


def newest_of(jobs: JobQuerySet, cursor: str, limit: int) -> tuple[list[JobLog], str | None]:
    """Return up to `limit` jobs after `cursor`, the latest first, and the next cursor, as `page_of` does."""
    ordered = jobs.order_by("-pk").defer("payload", "stack_trace")
    if cursor:
        ordered = ordered.filter(pk__lt=_read(cursor)[1])
    rows = list(ordered[: limit + 1])
    return rows[:limit], _signer.sign_object(["", rows[limit - 1].pk]) if len(rows) > limit else None


def _cursor_of(job: JobLog) -> str:
    processed_at = job.processed_at or datetime.fromtimestamp(0, tz=UTC)
    return _signer.sign_object([processed_at.isoformat(), job.pk])


def _read(cursor: str) -> tuple[str, int]:
    """Return the time and the key that a cursor holds. Raise Problem when it was not made here."""
    try:
        timestamp, pk = _signer.unsign_object(cursor)
    except signing.BadSignature:
        raise Problem("invalid-cursor") from None
    return timestamp, pk


def _rows_after(cursor: str) -> Q:
    timestamp, pk = _read(cursor)
    if not timestamp:  # a cursor of another list
        raise Problem("invalid-cursor")
    processed_at = datetime.fromisoformat(timestamp)
    return Q(processed_at__lte=processed_at) & (Q(processed_at__lt=processed_at) | Q(pk__lt=pk))
