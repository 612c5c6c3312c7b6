"""The overview's figures, read from the statistics of the minutes: points of charts, and the last minutes."""

from dataclasses import dataclass
from datetime import datetime, timedelta
from functools import lru_cache

from django.db.models import Subquery

from jobs.core.attempts import JobAttempt
from jobs.core.job import JobLog, Status
from jobs.stats import minutes
from jobs.stats.minutes import Minute

RECENT = timedelta(minutes=5)
ENOUGH = 20  # completed jobs after the last failure, for the failures to be over
CACHE_FOR = timedelta(minutes=5)
# How long a chart reaches back, and the time between two of its points.
SPANS = {
    "1h": (timedelta(hours=1), timedelta(minutes=1)),
    "24h": (timedelta(days=1), timedelta(minutes=30)),
    "7d": (timedelta(days=7), timedelta(hours=3)),
}


@dataclass(frozen=True)
class Point:
    """One step of a chart, from `at` on. Rates are per minute, durations are seconds; None without a measurement."""

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
    """The last minutes, as long as RECENT."""

    per_minute: float  # completed jobs
    attempts: int
    failed: int
    failures: dict[str, int]  # failed attempts by class of error
    behind: bool  # whether the minutes are not being counted
    over: bool = False  # whether ENOUGH jobs were completed since the last failure: its cause seems to be fixed
    pickups: tuple[int, ...] = ()  # histograms of the completed jobs: until a worker took them, and their run time
    runs: tuple[int, ...] = ()

    @property
    def failure_rate(self) -> float:
        """The share of the attempts that failed."""
        return self.failed / self.attempts if self.attempts else 0.0

    def pickup(self, share: float) -> float | None:
        """Return the seconds within which a worker took that share of the due jobs; None without any."""
        return minutes.percentile(list(self.pickups), share)

    def run(self, share: float) -> float | None:
        """Return the seconds within which that share of the jobs ran; None without any."""
        return minutes.percentile(list(self.runs), share)


def load_points(span: str, now: datetime) -> list[Point]:
    """Return the points of a span, oldest first, up to the last whole step."""
    step = SPANS[span][1]
    end = minutes.floor(now) if step < timedelta(hours=1) else now
    end = datetime.fromtimestamp(end.timestamp() // step.total_seconds() * step.total_seconds(), tz=now.tzinfo)
    if span == "1h":
        return _load_points(span, end)
    return list(_cached_points(span, end, int(now.timestamp() // CACHE_FOR.total_seconds())))


@lru_cache(maxsize=8)
def _cached_points(span: str, end: datetime, _period: int) -> tuple[Point, ...]:
    """Cache long charts for CACHE_FOR: they read thousands of minutes, and change rarely."""
    return tuple(_load_points(span, end))


def _load_points(span: str, end: datetime) -> list[Point]:
    length, step = SPANS[span]
    columns = ("minute", "completed", "failures", "pickups", "runs", "oldest_wait")
    found = Minute.objects.filter(minute__gte=end - length, minute__lt=end).values_list(*columns)
    steps: list[list[tuple]] = [[] for _ in range(round(length / step))]
    for row in found:
        steps[int((row[0] - (end - length)) / step)].append(row)
    return [_point(end - length + at * step, rows, step) for at, rows in enumerate(steps)]


def _point(at: datetime, rows: list[tuple], step: timedelta) -> Point:
    length = step / timedelta(minutes=1)
    pickups, runs = minutes.merged([row[3] for row in rows]), minutes.merged([row[4] for row in rows])
    waits = [row[5] for row in rows if row[5] is not None]
    return Point(
        at=at,
        done=sum(row[1] for row in rows) / length,
        failed=sum(sum(row[2].values()) for row in rows) / length,
        pickup_p50=minutes.percentile(pickups, 0.50),
        pickup_p95=minutes.percentile(pickups, 0.95),
        run_p50=minutes.percentile(runs, 0.50),
        run_p95=minutes.percentile(runs, 0.95),
        oldest=max(waits) if waits else None,
    )


def load_recent(now: datetime) -> Recent:
    """Return the last minutes, the present one included."""
    rows = list(Minute.objects.filter(minute__gt=now - RECENT - timedelta(minutes=1)).order_by("minute"))
    failures = minutes.summed([row.failures for row in rows])
    done, failed = sum(row.completed for row in rows), sum(failures.values())
    span = (now - rows[0].minute) / timedelta(minutes=1) if rows else 1.0
    pickups, runs = (tuple(minutes.merged([getattr(row, name) for row in rows])) for name in ("pickups", "runs"))
    counts = (done / max(1.0, span), done + failed, failed, failures)
    return Recent(*counts, behind=minutes.is_behind(), over=_over(), pickups=pickups, runs=runs)


def _over() -> bool:
    """Return whether ENOUGH jobs were completed after the last failed attempt."""
    last = JobAttempt.objects.order_by("-ended_at").values("ended_at")[:1]
    since = JobLog.objects.filter(status=Status.COMPLETED, processed_at__gt=Subquery(last))
    return since.order_by("processed_at").values("pk")[:ENOUGH].count() == ENOUGH
