"""The figures of the overview, read from the rollup: points of a chart, and how the last minutes went."""

from dataclasses import dataclass
from datetime import datetime, timedelta
from functools import lru_cache

from django.db.models import Subquery

from jobs import rollups
from jobs.models import JobAttempt, JobLog, Status
from jobs.rollups import Minute

RECENT = timedelta(minutes=5)
ENOUGH = 20
REMEMBERED = timedelta(minutes=5)
# How long a chart reaches back, and the time between two of its points.
SPANS = {
    "1h": (timedelta(hours=1), timedelta(minutes=1)),
    "24h": (timedelta(days=1), timedelta(minutes=30)),
    "7d": (timedelta(days=7), timedelta(hours=3)),
}


@dataclass(frozen=True)
class Point:
    """One step of a chart, from `at` on. Rates are a minute's, times are seconds; None where nothing was measured."""

    at: datetime
    done: float
    failed: float
    pickup_p50: float | None
    pickup_p95: float | None
    run_p50: float | None
    run_p95: float | None
    oldest: float | None


@dataclass(frozen=True)
class Recent:
    """The last RECENT minutes. failures: failed attempts by class. behind: nobody counts what happens.
    over: so many jobs were completed since the last failure that its cause seems mended."""

    per_minute: float
    attempts: int
    failed: int
    failures: dict[str, int]
    behind: bool
    over: bool = False

    @property
    def failure_rate(self) -> float:
        return self.failed / self.attempts if self.attempts else 0.0


def points(span: str, now: datetime) -> list[Point]:
    """The chart of a span (a key of SPANS), oldest first, up to the last whole step."""
    step = SPANS[span][1]
    end = rollups.floor(now) if step < timedelta(hours=1) else now
    end = datetime.fromtimestamp(end.timestamp() // step.total_seconds() * step.total_seconds(), tz=now.tzinfo)
    if span == "1h":
        return _counted(span, end)
    return list(_remembered(span, end, int(now.timestamp() // REMEMBERED.total_seconds())))


@lru_cache(maxsize=8)
def _remembered(span: str, end: datetime, period: int) -> tuple[Point, ...]:
    """Long charts are read again only every REMEMBERED: thousands of minutes, whose last whole step seldom moves."""
    return tuple(_counted(span, end))


def _counted(span: str, end: datetime) -> list[Point]:
    length, step = SPANS[span]
    columns = ("minute", "completed", "failures", "pickups", "runs", "oldest_wait")
    found = Minute.objects.filter(minute__gte=end - length, minute__lt=end).values_list(*columns)
    steps: list[list[tuple]] = [[] for _ in range(round(length / step))]
    for row in found:
        steps[int((row[0] - (end - length)) / step)].append(row)
    return [_point(end - length + at * step, rows, step) for at, rows in enumerate(steps)]


def _point(at: datetime, rows: list[tuple], step: timedelta) -> Point:
    minutes = step / timedelta(minutes=1)
    pickups, runs = rollups.merged([row[3] for row in rows]), rollups.merged([row[4] for row in rows])
    waits = [row[5] for row in rows if row[5] is not None]
    return Point(
        at=at,
        done=sum(row[1] for row in rows) / minutes,
        failed=sum(sum(row[2].values()) for row in rows) / minutes,
        pickup_p50=rollups.percentile(pickups, 0.50),
        pickup_p95=rollups.percentile(pickups, 0.95),
        run_p50=rollups.percentile(runs, 0.50),
        run_p95=rollups.percentile(runs, 0.95),
        oldest=max(waits) if waits else None,
    )


def recent(now: datetime) -> Recent:
    """How the last RECENT minutes went, the present one included."""
    rows = list(Minute.objects.filter(minute__gt=now - RECENT - timedelta(minutes=1)).order_by("minute"))
    failures = rollups.summed([row.failures for row in rows])
    done, failed = sum(row.completed for row in rows), sum(failures.values())
    span = (now - rows[0].minute) / timedelta(minutes=1) if rows else 1.0
    return Recent(done / max(1.0, span), done + failed, failed, failures, rollups.behind(), over=_over())


def _over() -> bool:
    """Whether ENOUGH jobs were completed after the last failed attempt."""
    last = JobAttempt.objects.order_by("-ended_at").values("ended_at")[:1]
    since = JobLog.objects.filter(status=Status.COMPLETED, processed_at__gt=Subquery(last))
    return since.order_by("processed_at").values("pk")[:ENOUGH].count() == ENOUGH
