"""One row for each minute: what the operators' overview draws, so that it never counts the jobs themselves.

The keeper of one host at a time writes them (`keep_up`), as long as there is something to count (`due`): of a minute
in which nothing happened there is no row. Each minute is counted whole and written over what was there, so a turn taken
twice, or by two hosts, changes nothing. After an absence it catches up.
Times are kept as histograms over BOUNDS, which add up over minutes as percentiles do not.
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

from jobs.models import WAITING, JobAttempt, JobLog, Status
from jobs.reconciler import Turn

TURN = "rollups"
KEPT = timedelta(days=32)
CATCH_UP = timedelta(days=7)  # after a longer absence the minutes before are left out
LATE = timedelta(seconds=30)  # a settlement that commits later than this after its minute is not counted
STALE = timedelta(minutes=3)
SKEW = timedelta(minutes=5)  # keys are given in the order of created_at, but for transactions shorter than this
MOST_WAITING = 100_000
BOUNDS = (0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0, 30.0, 60.0, 300.0, 1800.0)  # seconds; then the rest
COUNTED = ("enqueued", "completed", "died", "failures", "pickups", "runs", "last_id")


def empty() -> list[int]:
    """A histogram without anything in it."""
    return [0] * (len(BOUNDS) + 1)


class Minute(models.Model):
    """pickups, runs: of the completed jobs, how many in each bucket. failures: failed attempts by class of error.
    last_id: the highest key of the jobs enqueued in it. waiting, oldest_wait: the most that a turn saw."""

    minute = models.DateTimeField(primary_key=True)
    enqueued = models.PositiveIntegerField(default=0)
    completed = models.PositiveIntegerField(default=0)
    died = models.PositiveIntegerField(default=0)
    failures = models.JSONField(default=dict)
    pickups = models.JSONField(default=empty)
    runs = models.JSONField(default=empty)
    last_id = models.BigIntegerField(null=True)
    waiting = models.PositiveIntegerField(null=True)
    oldest_wait = models.FloatField(null=True)

    class Meta:
        db_table = "job_minutes"

    def __str__(self) -> str:
        return self.minute.isoformat()


def keep_up(now: datetime) -> None:
    """Counts every minute since the last turn, again and whole; samples what waits; drops what is too old.

    now: the database's time.
    """
    last = Minute.objects.aggregate(last=Max("minute"))["last"] or now - CATCH_UP
    start = max(now - CATCH_UP, min(now - LATE, last - timedelta(minutes=1)))
    while start < now:
        end = min(now, start + timedelta(days=1))
        fill(start, end)
        start = end
    _sample(now)
    Minute.objects.filter(minute__lt=now - KEPT).delete()


def due() -> list[models.QuerySet[Any]]:
    """What there may be to count: what has happened since the last turn or come late for it; jobs that wait or run."""
    late = Q(_happened(LATE), taken_at__lt=Now() - LATE)
    return [
        Turn.objects.filter(_happened(timedelta(0)) | late, name=TURN),
        JobLog.objects.filter(status__in=WAITING).order_by("run_at"),
        JobLog.objects.filter(status=Status.PROCESSING).order_by("lease_until"),
    ]


def behind() -> bool:
    """Whether something has happened that nobody counts, for STALE already."""
    turn = Turn.objects.filter(name=TURN)
    return not turn.filter(Q(taken_at__gt=Now() - STALE) | ~_happened(LATE)).exists()


def _happened(late: timedelta) -> Q:
    """Of the turn's row: that a job was settled, or an attempt failed, `late` before the turn or since."""
    last = (
        JobLog.objects.filter(status=Status.COMPLETED).order_by("-processed_at").values("processed_at"),
        JobLog.objects.dead().order_by("-processed_at").values("processed_at"),
        JobAttempt.objects.order_by("-ended_at").values("ended_at"),
    )
    moments = (ExpressionWrapper(Subquery(each[:1]) + late, models.DateTimeField()) for each in last)
    # NULL, of a table without any, must not become "unknown" where this is negated
    return reduce(or_, (Q(taken_at__lt=Coalesce(moment, F("taken_at"))) for moment in moments))


def rebuild(now: datetime, days: int) -> None:
    """Counts every minute of the last `days` again."""
    for day in range(days, -1, -1):
        fill(now - timedelta(days=day), min(now, now - timedelta(days=day - 1)))


def fill(start: datetime, end: datetime) -> None:
    """Counts the minutes from the one of `start` to the one of `end`, and writes them."""
    start = floor(start)
    counted: dict[datetime, Minute] = {}

    def of(minute: datetime) -> Minute:
        return counted.setdefault(minute, Minute(minute=minute))

    stop = floor(end) + timedelta(minutes=1)
    for minute, count, last_id in _enqueued(start, stop):
        of(minute).enqueued, of(minute).last_id = count, last_id
    for minute, pickup, run, count in _completed(start, stop):
        row = of(minute)
        row.completed += count
        row.pickups[pickup] += count
        row.runs[run] += count
    for minute, error_class, count in _failed(start, stop):
        of(minute).failures[error_class or JobAttempt.Outcome.LOST] = count
    for minute, count in _died(start, stop):
        of(minute).died = count
    Minute.objects.bulk_create(
        counted.values(), 2_000, update_conflicts=True, unique_fields=["minute"], update_fields=COUNTED
    )


def _by_minute(rows: models.QuerySet[Any], column: str, start: datetime, stop: datetime) -> models.QuerySet[Any]:
    within = rows.filter(**{f"{column}__gte": start, f"{column}__lt": stop}).order_by()
    return within.annotate(minute=TruncMinute(column, tzinfo=UTC))


def _enqueued(start: datetime, stop: datetime) -> Any:
    """By the primary key's range: created_at has no index of its own."""
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
    """Which bucket of BOUNDS the time from one column to another falls in."""
    steps = [
        When(**{f"{end}__lte": F(begin) + timedelta(seconds=bound)}, then=Value(at)) for at, bound in enumerate(BOUNDS)
    ]
    return Case(*steps, default=Value(len(BOUNDS)))


def _sample(now: datetime) -> None:
    """What waits at this moment; the minute keeps the most that its turns saw."""
    row, _ = Minute.objects.get_or_create(minute=floor(now))
    row.waiting = max(row.waiting or 0, waiting())
    row.oldest_wait = max(row.oldest_wait or 0.0, JobLog.objects.due().waited())
    row.save(update_fields=["waiting", "oldest_wait"])


def waiting() -> int:
    """How many jobs wait, for a worker or for their next attempt; counted to MOST_WAITING at most."""
    return JobLog.objects.filter(status__in=WAITING).order_by().values("pk")[:MOST_WAITING].count()


def key_before(moment: datetime) -> int | None:
    """A key below those of all jobs enqueued since `moment`, and not much below; None when no minute tells."""
    told = Minute.objects.filter(minute__lt=moment - SKEW, last_id__isnull=False).order_by("-minute")
    return told.values_list("last_id", flat=True).first()


def key_after(moment: datetime) -> int | None:
    """A key not below those of all jobs enqueued before `moment`, and not much above; None when no minute tells."""
    told = Minute.objects.filter(minute__gte=moment + SKEW, last_id__isnull=False).order_by("minute")
    return told.values_list("last_id", flat=True).first()


def percentile(histogram: list[int], share: float) -> float | None:
    """The seconds within which `share` of the times lie, drawn straight through their bucket; None for none."""
    total, below = sum(histogram), 0
    if not total:
        return None
    for (low, high), count in zip(pairwise((0.0, *BOUNDS, 2 * BOUNDS[-1])), histogram, strict=True):
        if count and below + count >= share * total:
            return low + (high - low) * (share * total - below) / count
        below += count
    return 2 * BOUNDS[-1]


def merged(histograms: list[list[int]]) -> list[int]:
    """Histograms added up."""
    return [sum(counts) for counts in zip(*histograms, strict=True)] if histograms else empty()


def summed(counts: list[dict[str, int]]) -> dict[str, int]:
    """Counts by name, added up."""
    total: dict[str, int] = defaultdict(int)
    for each in counts:
        for name, count in each.items():
            total[name] += count
    return dict(total)


def floor(moment: datetime) -> datetime:
    """The minute that `moment` lies in."""
    return moment.astimezone(UTC).replace(second=0, microsecond=0)
