"""Pages of dead letters by position, not by number: page 10,000 costs what page 1 costs, and none shifts."""

from datetime import UTC, datetime

from django.core import signing
from django.db.models import Q

from jobs.models import JobLog, JobQuerySet
from notifier.api.problems import Problem

_signer = signing.Signer(salt="notifier.api.cursor")


def page(jobs: JobQuerySet, cursor: str, limit: int) -> tuple[list[JobLog], str | None]:
    """`limit` dead letters of `jobs`, the latest first, after the place `cursor` names; and the next cursor.

    Raises Problem for a cursor that we did not make.
    """
    ordered = jobs.order_by("-processed_at", "-pk").defer("payload", "stack_trace")
    if cursor:
        ordered = ordered.filter(_after(cursor))
    found = list(ordered[: limit + 1])
    return found[:limit], _cursor(found[limit - 1]) if len(found) > limit else None


def _cursor(job: JobLog) -> str:
    at = job.processed_at or datetime.fromtimestamp(0, tz=UTC)
    return _signer.sign_object([at.isoformat(), job.pk])


def _after(cursor: str) -> Q:
    try:
        moment, pk = _signer.unsign_object(cursor)
    except signing.BadSignature:
        raise Problem("invalid-cursor") from None
    at = datetime.fromisoformat(moment)
    return Q(processed_at__lte=at) & (Q(processed_at__lt=at) | Q(pk__lt=pk))
