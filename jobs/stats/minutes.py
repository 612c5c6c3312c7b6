"""Statistics of each minute for the overview's charts, so that the overview never counts the jobs themselves.

The watchdog of one host at a time writes them (`count_new_minutes`) while there is something to count (`due`). A minute
in which nothing happened has no row. Each minute is counted completely and overwrites its row, so counting it twice, or
on two hosts, changes nothing. After an absence the missing minutes are counted.
Durations are kept as histograms over BUCKETS, which add up over minutes; percentiles do not.
"""

from collections import defaultdict
from datetime import UTC, datetime, timedelta
from functools import reduce
from itertools import pairwise
from operator import or_
from typing import Any

from django.db import models
from django.db.models import Case, Count, ExpressionWrapper, F, Max, Q, Subquery, Value, When
from django.db.models.functions import Coalesce, Now, TruncMinute

from jobs.core.attempts import JobAttempt
from jobs.core.counters import BUCKETS
from jobs.core.job import WAITING, JobLog, Status
from jobs.core.leases import LeaderLease

LEASE = "rollups"  # the name of the leader lease
MINUTES_KEPT = timedelta(days=32)
CATCH_UP = timedelta(days=7)  # after a longer absence, older minutes are left out
LATE_COMMIT = timedelta(seconds=30)  # a settlement that commits later after its minute is not counted
STALE = timedelta(minutes=3)  # without a count for this long the statistics are behind
SKEW = timedelta(minutes=5)  # keys follow created_at, except within transactions shorter than this
MOST_WAITING = 100_000
COUNTED = ("enqueued", "completed", "died", "failures", "pickups", "runs", "last_id")


def empty() -> list[int]:
    """Return a histogram of nothing."""
    return [0] * (len(BUCKETS) + 1)


class Minute(models.Model):
    """The statistics of one minute."""

    minute = models.DateTimeField(primary_key=True)
    enqueued = models.PositiveIntegerField(default=0)
    completed = models.PositiveIntegerField(default=0)
    died = models.PositiveIntegerField(default=0)  # jobs that became dead letters
    failures = models.JSONField(default=dict)  # failed attempts by class of error
    pickups = models.JSONField(default=empty)  # completed jobs by the bucket of their wait
    runs = models.JSONField(default=empty)  # completed jobs by the bucket of their run time
    last_id = models.BigIntegerField(null=True)  # the highest key of the jobs enqueued in it
    waiting = models.PositiveIntegerField(null=True)  # the most that a count saw
    oldest_wait = models.FloatField(null=True)  # seconds, the most that a count saw

    class Meta:
        db_table = "job_minutes"

    def __str__(self) -> str:
        return self.minute.isoformat()


def count_new_minutes(now: datetime) -> None:
    """Count every minute since the last count, sample the waiting jobs, delete old minutes.

    now: the database's time.
    """
    last = Minute.objects.aggregate(last=Max("minute"))["last"] or now - CATCH_UP
    start = max(now - CATCH_UP, min(now - LATE_COMMIT, last - timedelta(minutes=1)))
    while start < now:
        end = min(now, start + timedelta(days=1))
        count_between(start, end)
        start = end
    _sample(now)
    Minute.objects.filter(minute__lt=now - MINUTES_KEPT).delete()


def due() -> list[models.QuerySet[Any]]:
    """Return queries that find a row when there is something to count.

    That is a settlement or failure since the last count, a late commit, or a job that waits or runs.
    """
    late = Q(_happened(LATE_COMMIT), acquired_at__lt=Now() - LATE_COMMIT)
    return [
        LeaderLease.objects.filter(_happened(timedelta(0)) | late, name=LEASE),
        JobLog.objects.filter(status__in=WAITING).order_by("lane", "run_at"),
        JobLog.objects.filter(status=Status.PROCESSING).order_by("lease_until"),
    ]


def is_behind() -> bool:
    """Return whether an attempt that ended more than STALE ago has not been counted."""
    before = Now() - STALE
    lease = LeaderLease.objects.filter(name=LEASE)
    if lease.exists():
        return lease.filter(_happened(LATE_COMMIT, before)).exists()
    return any(ended.filter(**{f"{column}__lt": before}).exists() for ended, column in _ended())


def _ended() -> list[tuple[models.QuerySet[Any], str]]:
    """Return the attempts that ended, by how, and the column of the time."""
    completed = JobLog.objects.filter(status=Status.COMPLETED)
    return [
        (completed, "processed_at"),
        (JobLog.objects.dead(), "processed_at"),
        (JobAttempt.objects.all(), "ended_at"),
    ]


def _happened(late: timedelta, before: Any = None) -> Q:
    """Match the lease if an attempt ended since `late` before its acquisition, and before the time `before`."""
    last = []
    for ended, column in _ended():
        chosen = ended if before is None else ended.filter(**{f"{column}__lt": before})
        last.append(chosen.order_by(f"-{column}").values(column)[:1])
    times = (ExpressionWrapper(Subquery(each) + late, models.DateTimeField()) for each in last)
    # an empty table gives NULL, which must not become "unknown" when the condition is negated
    return reduce(or_, (Q(acquired_at__lt=Coalesce(time, F("acquired_at"))) for time in times))


def rebuild(now: datetime, days: int) -> None:
    """Count every minute of the last `days` again."""
    for day in range(days, -1, -1):
        count_between(now - timedelta(days=day), min(now, now - timedelta(days=day - 1)))


def count_between(start: datetime, end: datetime) -> None:
    """Count and write the minutes from `start` to `end`, both included."""
    start = floor(start)
    counted: dict[datetime, Minute] = {}

    def row_of(minute: datetime) -> Minute:
        return counted.setdefault(minute, Minute(minute=minute))

    stop = floor(end) + timedelta(minutes=1)
    for minute, count, last_id in _enqueued(start, stop):
        row_of(minute).enqueued, row_of(minute).last_id = count, last_id
    for minute, pickup, run, count in _completed(start, stop):
        row = row_of(minute)
        row.completed += count
        row.pickups[pickup] += count
        row.runs[run] += count
    for minute, error_class, count in _failed(start, stop):
        row_of(minute).failures[error_class or JobAttempt.Outcome.LOST] = count
    for minute, count in _died(start, stop):
        row_of(minute).died = count
    Minute.objects.bulk_create(
        counted.values(), 2_000, update_conflicts=True, unique_fields=["minute"], update_fields=COUNTED
    )


def _by_minute(rows: models.QuerySet[Any], column: str, start: datetime, stop: datetime) -> models.QuerySet[Any]:
    within = rows.filter(**{f"{column}__gte": start, f"{column}__lt": stop}).order_by()
    return within.annotate(minute=TruncMinute(column, tzinfo=UTC))


def _enqueued(start: datetime, stop: datetime) -> Any:
    """Count by a range of the primary key, since created_at has no index."""
    newer = JobLog.objects.filter(pk__gt=key_before(start) or 0)
    return (
        _by_minute(newer, "created_at", start, stop)
        .values("minute")
        .annotate(count=Count("pk"), last=Max("pk"))
        .values_list("minute", "count", "last")
    )


def _completed(start: datetime, stop: datetime) -> Any:
    done = JobLog.objects.filter(status=Status.COMPLETED, processing_at__isnull=False)
    return (
        _by_minute(done, "processed_at", start, stop)
        .annotate(pickup=_bucket("run_at", "processing_at"), run=_bucket("processing_at", "processed_at"))
        .values("minute", "pickup", "run")
        .annotate(count=Count("pk"))
        .values_list("minute", "pickup", "run", "count")
    )


def _failed(start: datetime, stop: datetime) -> Any:
    tried = _by_minute(JobAttempt.objects.all(), "ended_at", start, stop)
    return tried.values("minute", "error_class").annotate(n=Count("pk")).values_list("minute", "error_class", "n")


def _died(start: datetime, stop: datetime) -> Any:
    dead = _by_minute(JobLog.objects.dead(), "processed_at", start, stop)
    return dead.values("minute").annotate(count=Count("pk")).values_list("minute", "count")


def _bucket(begin: str, end: str) -> Case:
    """Return the number of the bucket for the time from one column to another."""
    steps = [
        When(**{f"{end}__lte": F(begin) + timedelta(seconds=bound)}, then=Value(at)) for at, bound in enumerate(BUCKETS)
    ]
    return Case(*steps, default=Value(len(BUCKETS)))


def _sample(now: datetime) -> None:
    """Sample the waiting jobs; the minute keeps the most that was seen."""
    row, _ = Minute.objects.get_or_create(minute=floor(now))
    row.waiting = max(row.waiting or 0, waiting())
    row.oldest_wait = max(row.oldest_wait or 0.0, JobLog.objects.runnable().oldest_wait())
    row.save(update_fields=["waiting", "oldest_wait"])


def waiting() -> int:
    """Count the waiting jobs, to MOST_WAITING at most."""
    return JobLog.objects.filter(status__in=WAITING).order_by().values("pk")[:MOST_WAITING].count()


def key_before(time: datetime) -> int | None:
    """Return a key slightly below those of all jobs enqueued since `time`, if known."""
    rows = Minute.objects.filter(minute__lt=time - SKEW, last_id__isnull=False).order_by("-minute")
    return rows.values_list("last_id", flat=True).first()


def key_after(time: datetime) -> int | None:
    """Return a key slightly above those of all jobs enqueued before `time`, if known."""
    rows = Minute.objects.filter(minute__gte=time + SKEW, last_id__isnull=False).order_by("minute")
    return rows.values_list("last_id", flat=True).first()


def percentile(histogram: list[int], share: float) -> float | None:
    """Return the duration of a percentile, interpolated in its bucket; None without any."""
    total, below = sum(histogram), 0
    if not total:
        return None
    for (low, high), count in zip(pairwise((0.0, *BUCKETS, 2 * BUCKETS[-1])), histogram, strict=True):
        if count and below + count >= share * total:
            return low + (high - low) * (share * total - below) / count
        below += count
    return 2 * BUCKETS[-1]


def merged(histograms: list[list[int]]) -> list[int]:
    """Return the sum of histograms."""
    return [sum(counts) for counts in zip(*histograms, strict=True)] if histograms else empty()


def summed(counts: list[dict[str, int]]) -> dict[str, int]:
    """Return the sums of counts by name."""
    total: dict[str, int] = defaultdict(int)
    for each in counts:
        for name, count in each.items():
            total[name] += count
    return dict(total)


def floor(time: datetime) -> datetime:
    """Return the start of the minute of `time`."""
    return time.astimezone(UTC).replace(second=0, microsecond=0)
