"""The ticker: a thread of each cluster that enqueues the job of each tick when it comes.

All clusters tick. For each tick, the one that gets the lock of the schedule's row enqueues the job and moves the row
to the next tick, in one transaction; a job with the id of the tick exists once, whatever happens to the row. The
database's clock decides, since two hosts never show the same time.

It sleeps until the next tick. What changes meanwhile, for example a schedule that is resumed, the heartbeat notices.
"""

import threading
import time
from datetime import UTC, datetime, timedelta
from typing import NoReturn

import structlog
from django.db import close_old_connections, connection, transaction
from django.db.models.functions import Now

from jobs.core import sql
from jobs.maintenance.faults import Faults
from jobs.queue.enqueue import Duplicate
from jobs.schedules import cron, registry, state
from jobs.schedules.registry import Schedule
from jobs.schedules.state import LATE_SECONDS, ScheduleState

log = structlog.get_logger("jobs.schedules.ticker")

RETRY_SECONDS = 5.0  # after a schedule whose job could not be enqueued, and after a failed round
BUSY_SECONDS = 0.2  # while another cluster holds the row of a schedule that is due
IDLE_SECONDS = 300.0  # a second line of defence
KEPT_SECONDS = 30.0  # a connection is kept over shorter waits
IDLE_IN_TRANSACTION_MS = 10_000  # then the database ends the session of a process that hangs, and with it its lock
DUE_SOON_SECONDS = 15.0  # longer than the time between two heartbeats


class Ticker:
    """Ticks the schedules of the settings. faults: notes those whose jobs cannot be enqueued."""

    def __init__(self, faults: Faults) -> None:
        self._faults = faults
        self._wake = threading.Event()
        self._loaded_at: datetime | None = None  # of the settings of this process, by the database's clock
        self._schedules: dict[str, Schedule] = {}
        self._retry: dict[str, float] = {}  # time.monotonic() of the next try of a schedule that failed

    def wake(self) -> None:
        """Look at the schedules now."""
        self._wake.set()

    def run(self) -> NoReturn:
        """Tick for as long as the process lives, on a database connection of this thread."""
        while True:
            self._wake.clear()
            wait = RETRY_SECONDS
            with self._faults.caught("jobs.schedules"):
                close_old_connections()
                wait = self.tick_all()
            if wait > KEPT_SECONDS:
                connection.close()
            self._wake.wait(wait)

    def tick_all(self) -> float:
        """Enqueue the jobs of every tick that has come; return the seconds until the next one."""
        loaded_for = timedelta(seconds=time.monotonic() - registry.LOADED)
        now = sql.now()
        if self._loaded_at is None:
            self._start(now, now - loaded_for)
        rows = [(row.name, row.spec, row.next_tick) for row in state.waiting() if row.next_tick]
        if any(self._is_forgotten(*row, now) for row in rows):
            state.adopt(self._schedules, self._loaded_at or now, now)
        waits = [self._tick_when_due(name, next_tick, now) for name, spec, next_tick in rows if self._owns(name, spec)]
        return min(waits, default=IDLE_SECONDS)

    def _start(self, now: datetime, loaded_at: datetime) -> None:
        self._schedules = registry.all_schedules()
        state.adopt(self._schedules, loaded_at, now)
        self._loaded_at = loaded_at

    def _owns(self, name: str, spec: str) -> bool:
        """Return whether the settings of this process have the schedule as its row has it."""
        return name in self._schedules and self._schedules[name].spec == spec

    def _is_forgotten(self, name: str, spec: str, next_tick: datetime, now: datetime) -> bool:
        """Return whether a schedule of ours is overdue by the settings of another process, which no longer runs."""
        late = now - next_tick > timedelta(seconds=LATE_SECONDS)
        return late and name in self._schedules and not self._owns(name, spec)

    def _tick_when_due(self, name: str, next_tick: datetime, now: datetime) -> float:
        """Tick a schedule if it is due; return the seconds until it is to be looked at again."""
        wait = max((next_tick - now).total_seconds(), self._retry.get(name, 0.0) - time.monotonic())
        if wait > 0:
            return min(wait, IDLE_SECONDS)
        failed = True
        with self._faults.caught(f"schedule {name}"):
            following = tick(self._schedules[name])
            failed = False
        if failed:
            self._retry[name] = time.monotonic() + RETRY_SECONDS
            return RETRY_SECONDS
        self._retry.pop(name, None)
        return BUSY_SECONDS if following is None else min(IDLE_SECONDS, max(0.0, (following - now).total_seconds()))


def tick(schedule: Schedule) -> datetime | None:
    """Enqueue the job of each tick of the schedule that has come, and return its next tick.

    None when it is not due, or another cluster is about to do it. Raises what its job raises when it is enqueued; the
    row notes it.
    """
    try:
        with transaction.atomic():
            sql.limit_idle(IDLE_IN_TRANSACTION_MS)
            return _tick_locked(schedule)
    except Exception as error:
        if not sql.is_away(error):
            noted = f"{type(error).__name__}: {str(error).splitlines()[0] if str(error) else ''}"[:255]
            ScheduleState.objects.filter(name=schedule.name).update(error=noted, failed_at=Now())
        raise


def _tick_locked(schedule: Schedule) -> datetime | None:
    due = state.due().filter(name=schedule.name, spec=schedule.spec)
    row = due.select_for_update(skip_locked=True).first()
    if row is None or row.next_tick is None:
        return None
    ticks = due_ticks(schedule, row.next_tick, sql.now())
    for at in ticks:
        row.last_job_id = tick_id(schedule.name, at)
        try:
            schedule.work.enqueue(row.last_job_id, schedule.lane)
        except Duplicate as there:  # the row was restored from a backup, or the task is unique and still runs
            log.info("tick has no job of its own", schedule=schedule.name, job_id=row.last_job_id)
            row.last_job_id = there.job.job_id
    row.last_tick, row.next_tick = ticks[-1], schedule.next_tick(ticks[-1])
    row.error, row.failed_at = "", None
    row.save(update_fields=["last_tick", "next_tick", "last_job_id", "error", "failed_at"])
    return row.next_tick


def due_ticks(schedule: Schedule, first: datetime, now: datetime) -> list[datetime]:
    """Return the ticks that get a job, at least one; first: the oldest that had none.

    Each, if the oldest is late by at most LATE_SECONDS. Otherwise no cluster was running, and only the latest is.
    """
    if now - first > timedelta(seconds=LATE_SECONDS):
        return [cron.latest_tick(schedule.cron, schedule.zone, first, now)]
    return [first, *cron.ticks(schedule.cron, schedule.zone, first, now)]


def tick_id(name: str, at: datetime) -> str:
    """Return the id of the job of a tick: "schedule:weekly-digest:2026-11-30T01:00:00Z"."""
    return f"schedule:{name}:{at.astimezone(UTC):%Y-%m-%dT%H:%M:%SZ}"
