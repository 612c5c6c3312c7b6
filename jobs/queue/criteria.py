"""Which jobs an operator means: one set of criteria for the admin, the API, the command line and bulk replays."""

from dataclasses import dataclass, fields, replace
from datetime import datetime
from typing import Any, Self

from django.db.models import Q
from django.utils.dateparse import parse_datetime

from jobs.core.job import JobLog, JobQuerySet, Status
from jobs.stats import minutes

EQUAL = {
    "reason": "dlq_reason",
    "error_class": "error_class",
    "fingerprint": "fingerprint",
    "job_type": "job_type",
    "source": "source",
    "lane": "lane",
    "worker": "worker",
    "min_attempts": "attempt_count__gte",
    "statuses": "status__in",
    "user_ids": "user_id__in",
    "job_ids": "job_id__in",
    "died_since": "processed_at__gte",
    "died_before": "processed_at__lt",
}


@dataclass(frozen=True)
class JobCriteria:
    """Jobs that meet every criterion that is set; without one, all jobs."""

    statuses: tuple[str, ...] = ()
    reason: str = ""  # why a dead letter died: a `Reason`
    error_class: str = ""
    fingerprint: str = ""
    job_type: str = ""
    source: str = ""
    lane: str = ""
    worker: str = ""
    min_attempts: int = 0
    user_ids: tuple[str, ...] = ()
    job_ids: tuple[str, ...] = ()
    search: str = ""  # a job id or a user id
    created_since: datetime | None = None
    created_before: datetime | None = None
    died_since: datetime | None = None
    died_before: datetime | None = None

    @classmethod
    def from_json(cls, stored: dict[str, Any]) -> Self:
        """Read what `as_json` returned.

        Raises ValueError for any other key or a value of another type.
        """
        known = {field.name: field.default for field in fields(cls)}
        for name in stored:
            if name not in known:
                raise ValueError(f"unknown criterion {name!r}: one of {', '.join(known)}")
        return cls(**{name: _read(name, value, known[name]) for name, value in stored.items()})

    def as_json(self) -> dict[str, Any]:
        """Return the criteria that are set, as JSON values."""
        chosen = {field.name: getattr(self, field.name) for field in fields(self)}
        return {name: _plain(value) for name, value in chosen.items() if value}

    def jobs(self) -> JobQuerySet:
        """Return the jobs that meet the criteria, in no order."""
        where = Q(**{lookup: getattr(self, name) for name, lookup in EQUAL.items() if getattr(self, name)})
        if self.search:
            where &= Q(job_id=self.search) | Q(user_id=self.search)
        return JobLog.objects.filter(where & self._created())

    def dead_letters(self) -> JobQuerySet:
        """Return the dead letters among them."""
        return replace(self, statuses=(Status.DLQ,)).jobs()

    def _created(self) -> Q:
        """Limit created_at, and with it the keys, since created_at has no index."""
        where = Q()
        if self.created_since:
            where &= Q(created_at__gte=self.created_since)
            if (key := minutes.key_before(self.created_since)) is not None:
                where &= Q(pk__gt=key)
        if self.created_before:
            where &= Q(created_at__lt=self.created_before)
            if (key := minutes.key_after(self.created_before)) is not None:
                where &= Q(pk__lte=key)
        return where


def _plain(value: Any) -> Any:
    """Return a criterion's value as JSON has it."""
    if isinstance(value, datetime):
        return value.isoformat()
    return list(value) if isinstance(value, tuple) else value


def _read(name: str, value: Any, default: Any) -> Any:
    """Return the criterion's value that a JSON value means. Raises ValueError."""
    match value, default:
        case list(), tuple() if all(isinstance(text, str) for text in value):
            return tuple(value)
        case str(), str():
            return value
        case int(), int() if not isinstance(value, bool):
            return value
        case str(), None:
            time = parse_datetime(value)
            if time is not None and time.tzinfo is not None:
                return time
    raise ValueError(f"criterion {name!r} has a value of the wrong type")
