"""Sums that only grow, for /metrics: they outlive the rows they were counted from, and every process adds to them.

A count belongs to the transaction of what it counts (`add`). Where there is none, or it must not be made slower, it is
collected in memory (`note`) and written with the next settlement of a worker, or every two seconds by a web process.
Rows are spread over SLOTS, so that processes do not wait for each other's commits; they are locked in one order, so
that two which share a slot cannot dead-lock.
"""

import os
import socket
import threading
import zlib
from collections import Counter as Tally
from collections.abc import Iterable
from dataclasses import dataclass

import structlog
from django.db import Error, connection, models
from django.db.models import Sum
from django.db.models.functions import Now

log = structlog.get_logger("jobs.counters")

SLOTS = 32
WRITE_SECONDS = 2.0
BOUNDS = (0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0, 30.0, 60.0, 300.0, 3600.0)
BEYOND = "+Inf"
NOW = {"postgresql": "clock_timestamp()", "sqlite": "STRFTIME('%%Y-%%m-%%d %%H:%%M:%%f', 'NOW')"}
UPSERT = (
    "INSERT INTO job_counters (slot, name, labels, bucket, count, total, at) VALUES {values} "
    "ON CONFLICT (slot, name, labels, bucket) DO UPDATE SET count = job_counters.count + excluded.count, "
    "total = job_counters.total + excluded.total, at = excluded.at"
)


@dataclass(frozen=True, order=True)
class Count:
    """What is counted: `name`, with its labels' values in their order, and for a histogram the bucket."""

    name: str
    labels: tuple[str, ...] = ()
    bucket: str = ""


class Counter(models.Model):
    slot = models.PositiveSmallIntegerField()
    name = models.CharField(max_length=40)
    labels = models.CharField(max_length=200, blank=True)
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
    """An observation of a histogram: the bucket it falls into, and itself. Clocks that differ make no negative one."""
    seconds = max(0.0, seconds)
    bucket = next((str(bound) for bound in BOUNDS if seconds <= bound), BEYOND)
    return Count(name, labels, bucket), seconds


def note(what: Count, seconds: float = 0.0) -> None:
    """Counts in this process's memory, for the next write."""
    with _lock:
        _noted[what] += 1
        _seconds[what] = _seconds.get(what, 0.0) + seconds


def drain() -> Sums:
    """What has been noted since the last time; the caller writes it."""
    with _lock:
        taken = {what: (count, _seconds[what]) for what, count in _noted.items()}
        _noted.clear()
        _seconds.clear()
    return taken


def sums(observed: Iterable[tuple[Count, float]]) -> Sums:
    """Single counts and observations as the sums that `add` takes."""
    made: Sums = {}
    for what, seconds in observed:
        count, total = made.get(what, (0, 0.0))
        made[what] = (count + 1, total + seconds)
    return made


def add(*parts: Sums) -> None:
    """Adds sums with one statement; they commit or roll back with the caller's transaction."""
    joined: Sums = {}
    for what, (count, total) in ((what, part[what]) for part in parts for what in part):
        before = joined.get(what, (0, 0.0))
        joined[what] = (before[0] + count, before[1] + total)
    if not joined:
        return
    slot = zlib.crc32(f"{socket.gethostname()}:{os.getpid()}".encode()) % SLOTS
    rows = [(slot, what.name, "|".join(what.labels)[:200], what.bucket, *joined[what]) for what in sorted(joined)]
    values = ", ".join([f"(%s, %s, %s, %s, %s, %s, {NOW[connection.vendor]})"] * len(rows))
    with connection.cursor() as cursor:
        cursor.execute(UPSERT.format(values=values), [value for row in rows for value in row])


def write_noted() -> None:
    """Writes what this process has noted; keeps it for the next time when the database is away."""
    taken = drain()
    try:
        add(taken)
    except Error:
        with _lock:
            for what, (count, seconds) in taken.items():
                _noted[what] += count
                _seconds[what] = _seconds.get(what, 0.0) + seconds
        raise


def keep_writing(stop: threading.Event) -> None:
    """Until `stop`, writes every WRITE_SECONDS what a web process has noted. For a thread of its own."""
    while True:
        last = stop.wait(WRITE_SECONDS)
        try:
            if _noted:
                write_noted()
        except Error as away:
            log.warning("counts could not be written, they are kept", error=type(away).__name__)
            connection.close()
        if last:
            connection.close()
            return


def read() -> dict[Count, tuple[int, float]]:
    """Every sum, over all slots."""
    rows = Counter.objects.values_list("name", "labels", "bucket").annotate(n=Sum("count"), s=Sum("total"))
    return {
        Count(name, tuple(labels.split("|")) if labels else (), bucket): (int(n), float(s))
        for name, labels, bucket, n, s in rows.order_by()
    }
