"""Cumulative counters for /metrics: they outlive the rows that they count, and every process adds to them.

A count belongs to the transaction of the event (`add`). Where there is none, or it must not become slower, the count is
collected in memory (`note`) and written with a worker's next settlement, or every two seconds by a web process.
Rows are spread over SLOTS, so that processes do not wait for each other's commits. They are locked in one order, so
that two processes with the same slot cannot deadlock.
"""

import os
import socket
import threading
import zlib
from collections import Counter as Tally
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from typing import Any

import structlog
from django.db import Error, connection, models
from django.db.models import Sum
from django.db.models.functions import Now

from jobs.core import sql
from jobs.core.sql import statements

log = structlog.get_logger("jobs.core.counters")

SLOTS = 32
WRITE_SECONDS = 2.0
# upper bounds of the buckets of durations, in seconds; the last bucket is INFINITY
BUCKETS = (0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0, 30.0, 60.0, 300.0, 3600.0)
INFINITY = "+Inf"
ROW, COLUMNS = "(%s, %s, %s, %s, %s, %s, {clock})", 6  # of a sum, and how many values it takes


@dataclass(frozen=True, order=True)
class Count:
    """The key of a count: its name, its labels' values in their order, and for a histogram the bucket."""

    name: str
    labels: tuple[str, ...] = ()
    bucket: str = ""


class Counter(models.Model):
    """One cumulative number, for Prometheus."""

    slot = models.PositiveSmallIntegerField()
    name = models.CharField(max_length=40)
    labels = models.CharField(max_length=300, blank=True)
    bucket = models.CharField(max_length=10, blank=True)
    count = models.BigIntegerField(default=0)
    total = models.FloatField(default=0)
    at = models.DateTimeField(db_default=Now())

    class Meta:
        db_table = "job_counters"
        constraints = [models.UniqueConstraint(fields=["slot", "name", "labels", "bucket"], name="one_row_a_counter")]

    def __str__(self) -> str:
        return f"{self.name} {self.labels} {self.bucket}"


Sums = dict[Count, tuple[int, float]]

_noted: Tally[Count] = Tally()
_seconds: dict[Count, float] = {}
_lock = threading.Lock()


def timed(name: str, seconds: float, *labels: str) -> tuple[Count, float]:
    """Return an observation as its bucket and seconds; a negative duration counts as 0."""
    seconds = max(0.0, seconds)
    bucket = next((str(bound) for bound in BUCKETS if seconds <= bound), INFINITY)
    return Count(name, labels, bucket), seconds


def note(what: Count, seconds: float = 0.0) -> None:
    """Count in this process's memory, for the next write."""
    with _lock:
        _noted[what] += 1
        _seconds[what] = _seconds.get(what, 0.0) + seconds


def drain() -> Sums:
    """Return the counts that were noted since the last call.

    The caller writes them, or calls `restore`.
    """
    with _lock:
        taken = {what: (count, _seconds[what]) for what, count in _noted.items()}
        _noted.clear()
        _seconds.clear()
    return taken


def sums(observed: Iterable[tuple[Count, float]]) -> Sums:
    """Return single counts and observations as the sums that `add` takes."""
    made: Sums = {}
    for what, seconds in observed:
        count, total = made.get(what, (0, 0.0))
        made[what] = (count + 1, total + seconds)
    return made


def add(*parts: Sums) -> None:
    """Add sums with one statement; they commit or roll back with the caller's transaction."""
    if rows := _rows(parts):
        values = ", ".join([ROW.format(clock=sql.clock())] * (len(rows) // COLUMNS))
        sql.execute(statements.UPSERT_COUNTERS.format(rows=f"VALUES {values}"), rows)


def adding(count: int, *parts: Sums) -> list[sql.Other]:
    """Return the statement that adds sums if `first` has `count` rows, for `together.combine`; none without sums."""
    if not (rows := _rows(parts)):
        return []
    values = ", ".join([ROW.format(clock=sql.clock())] * (len(rows) // COLUMNS))
    chosen = f"SELECT counts.* FROM (VALUES {values}) AS counts WHERE (SELECT count(*) FROM first) = %s"  # noqa: S608
    return [(statements.UPSERT_COUNTERS.format(rows=chosen), [*rows, count])]


def _rows(parts: Iterable[Sums]) -> list[Any]:
    """Return the values of ROW for each sum, one after another."""
    joined: Sums = {}
    for what, (count, total) in ((what, part[what]) for part in parts for what in part):
        before = joined.get(what, (0, 0.0))
        joined[what] = (before[0] + count, before[1] + total)
    slot = zlib.crc32(f"{socket.gethostname()}:{os.getpid()}".encode()) % SLOTS
    rows = [(slot, what.name, "|".join(what.labels)[:200], what.bucket, *joined[what]) for what in sorted(joined)]
    return [value for row in rows for value in row]


def restore(taken: Sums) -> None:
    """Put back sums that `drain` returned and that could not be written."""
    with _lock:
        for what, (count, seconds) in taken.items():
            _noted[what] += count
            _seconds[what] = _seconds.get(what, 0.0) + seconds


def write_noted() -> None:
    """Write the counts that this process has noted.

    Put them back when the database refuses them.
    """
    taken = drain()
    try:
        add(taken)
    except Error:
        restore(taken)
        raise


def keep_writing(stop: threading.Event, *others: Callable[[], None]) -> None:
    """Write what a web process has noted, every WRITE_SECONDS until `stop`.

    Runs in a thread of its own. others: functions that write what other modules have noted, if anything.
    """
    while True:
        last = stop.wait(WRITE_SECONDS)
        try:
            if _noted:
                write_noted()
            for write in others:
                write()
        except Error as away:
            log.warning("counts could not be written, they are kept", error=type(away).__name__)
            connection.close()
        if last:
            connection.close()
            return


def read(*names: str) -> dict[Count, tuple[int, float]]:
    """Return the sums of the counters with these names, over all slots; without names, of all counters."""
    chosen = Counter.objects.filter(name__in=names) if names else Counter.objects.all()
    rows = chosen.values_list("name", "labels", "bucket").annotate(n=Sum("count"), s=Sum("total"))
    return {
        Count(name, tuple(labels.split("|")) if labels else (), bucket): (int(n), float(s))
        for name, labels, bucket, n, s in rows.order_by()
    }
