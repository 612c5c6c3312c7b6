"""The maintenance of a cluster: its tasks run one after another in one thread, on one database connection.

The heartbeat has a thread and a connection of its own, so that slow maintenance delays no heartbeat. Old data are
deleted by a schedule; where its jobs do not run, in a thread of its own, for as long as that takes. The schedules are
ticked in another one, so that nothing delays a tick.
"""

import threading
import time
from collections.abc import Callable, Sequence
from typing import NoReturn

import structlog
from django.db import connection
from django.db.models import QuerySet

from jobs.brokers import listener, messages
from jobs.cluster import clusters, takeover
from jobs.cluster.heartbeat import SLOW_SECONDS, Heartbeat, MaintenanceTask
from jobs.cluster.watched import Watched
from jobs.core import leases, sql
from jobs.maintenance import reconciler, retention
from jobs.maintenance.faults import Faults
from jobs.queue import bulk_replay
from jobs.schedules import state
from jobs.schedules.ticker import DUE_SOON_SECONDS, Ticker
from jobs.stats import minutes

log = structlog.get_logger("jobs.cluster.maintenance")

ROUND_SECONDS = 1.0
PRUNE_LOOK_SECONDS = 3_600.0  # between two attempts to become the host that deletes old data
PRUNE_SECONDS = 93_600.0  # a day, and two hours for the schedule that usually does it
SETTLING_SECONDS = 5.0  # after a silence of the database: workers settle before expired leases are rescued


class Maintenance:
    """The heartbeat and the maintenance tasks of a cluster."""

    def __init__(self, watched: Watched) -> None:
        self._watched = watched
        self._faults = Faults()
        # Set at first: no cluster may have been running until now, and a worker may have died before.
        self._lost, self._take_over, self._reconcile, self._count, self._replay = (_set_event() for _ in range(5))
        self._ticker = Ticker(self._faults)
        self._heartbeat = Heartbeat(
            self._record_heartbeat,
            MaintenanceTask(lambda: [takeover.silent_clusters()], self._take_over.set),
            MaintenanceTask(lambda: reconciler.due(self._faults), self._reconcile.set),
            MaintenanceTask(minutes.due, self._count.set),
            MaintenanceTask(bulk_replay.open_replays, self._replay.set),
            MaintenanceTask(lambda: [state.due(DUE_SOON_SECONDS)], self._ticker.wake),
            MaintenanceTask(messages.overdue, watched.scoreboard.request_look),
            faults=self._faults,
        )
        self._next_prune = self._next_bulk = 0.0

    def start(self, stop: threading.Event) -> None:
        """Start the threads. They end with the process; the heartbeat ends when `stop` is set."""
        threading.Thread(target=self._beat, args=[stop], daemon=True).start()
        threading.Thread(target=self._run, daemon=True).start()
        threading.Thread(target=self._ticker.run, daemon=True).start()

    def rescue_lost_workers(self) -> None:
        """Requeue the jobs of workers that died."""
        self._lost.set()

    def _beat(self, stop: threading.Event) -> None:
        while True:
            log_errors(self._heartbeat)
            if self._faults:  # until the step succeeds
                self._reconcile.set()
            if stop.wait(clusters.HEARTBEAT_SECONDS):
                return

    def _run(self) -> NoReturn:
        calls = listener.Listener(bulk_replay.BULK_CHANNEL)
        steps = (
            self._requeue_of_the_dead,
            self._sweep,
            self._count_minutes,
            self._start_pruning,
            lambda: self._advance_bulk_replays(calls),
        )
        while True:
            began = time.monotonic()
            all(log_errors(step) for step in steps)  # the rest of the round waits for a database that is away
            time.sleep(max(0.0, began + ROUND_SECONDS - time.monotonic()))

    def _record_heartbeat(self, due: Sequence[QuerySet]) -> list[bool]:
        watched = self._watched
        return clusters.record_heartbeat(
            watched.identity.name,
            in_flight=watched.scoreboard.read().busy,
            restarts=watched.restarts,
            workers=watched.workers,
            version=watched.version,
            failing=str(self._faults),
            identity=watched.identity,
            ask=due,
        )

    def _requeue_of_the_dead(self) -> None:
        name = self._watched.identity.name
        _work_on(self._lost, lambda: takeover.take_over_workers(name, self._watched.group))
        _work_on(self._take_over, lambda: takeover.take_over_clusters(name, self._heartbeat.answered_for))

    def _sweep(self) -> None:
        """Sweep, but not just after a silence of the database, in which leases may have expired."""
        if not self._reconcile.is_set() or self._heartbeat.answered_for < SETTLING_SECONDS:
            return
        began = time.monotonic()
        leader = leases.acquire("reconciler", clusters.HEARTBEAT_SECONDS - 1)
        if time.monotonic() - began > SLOW_SECONDS:
            return
        self._reconcile.clear()
        if leader:
            reconciler.sweep(self._faults)

    def _count_minutes(self) -> None:
        if self._count.is_set():
            self._count.clear()
            if leases.acquire(minutes.LEASE, clusters.HEARTBEAT_SECONDS - 1):
                minutes.count_new_minutes(sql.now())

    def _start_pruning(self) -> None:
        if time.monotonic() >= self._next_prune:
            self._next_prune = time.monotonic() + PRUNE_LOOK_SECONDS
            threading.Thread(target=lambda: log_errors(prune_once_a_day), daemon=True).start()

    def _advance_bulk_replays(self, calls: listener.Listener) -> None:
        """Wait for a second, or until a bulk replay is started, and advance those that are open."""
        calls.listen()
        if calls.wait(ROUND_SECONDS) or self._replay.is_set() or time.monotonic() >= self._next_bulk:
            self._replay.clear()
            still_open = bulk_replay.advance(ROUND_SECONDS)
            self._next_bulk = time.monotonic() + (0.0 if still_open else calls.poll_seconds)


def preload() -> None:
    """Build the querysets of a heartbeat before the fork, so that the processes share what Django keeps of them.

    It needs no database.
    """
    connection.get_connection_params()
    due = [takeover.silent_clusters(), *reconciler.due(Faults()), *minutes.due()]
    for query in [*due, *bulk_replay.open_replays(), *messages.overdue()]:
        query.query.get_compiler(connection=connection).pre_sql_setup()


def prune_once_a_day() -> None:
    """Delete old data, unless the schedule or a host has done so within PRUNE_SECONDS.

    It has a connection only meanwhile.
    """
    try:
        if leases.acquire(retention.LEASE, PRUNE_SECONDS):
            retention.prune()
    finally:
        connection.close()


def log_errors(work: Callable[[], object]) -> bool:
    """Run `work` and log any error; return False when the database is away."""
    try:
        work()
    except Exception as error:
        log.warning("watchdog could not do its round", error=type(error).__name__, detail=str(error).splitlines()[:1])
        connection.close()
        return not sql.is_away(error)
    return True


def _work_on(event: threading.Event, work: Callable[[], object]) -> None:
    """Run `work` if the event is set: again, if it is set meanwhile, or if `work` raises."""
    if not event.is_set():
        return
    event.clear()
    try:
        work()
    except Exception:
        event.set()
        raise


def _set_event() -> threading.Event:
    event = threading.Event()
    event.set()
    return event
