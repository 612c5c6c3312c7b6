"""The watchdog of a cluster: the process that sends its heartbeat, watches it, and runs maintenance tasks.

The process holds the database connections that the supervisor must not have, so that the supervisor can always act. It
exits with STUCK when the cluster is stuck; the supervisor then kills the cluster's process group and starts a new
cluster. A cluster that waits for a silent database or broker is not stuck.
"""

import os
import signal
import sys
import threading
from typing import NoReturn

import structlog

from jobs.alerts.service import EVERY_SECONDS, AlertService
from jobs.brokers import django_q
from jobs.cluster import clusters, takeover
from jobs.cluster.child_process import living_members
from jobs.cluster.maintenance import Maintenance, log_errors
from jobs.cluster.watched import Watched
from jobs.core.scoreboard import Snapshot

log = structlog.get_logger("jobs.cluster.watchdog")

STUCK = 75  # exit code: EX_TEMPFAIL of sysexits.h
STUCK_AFTER = 5.0  # seconds in which nothing begins although there is work and a worker is free
WATCH_SECONDS = 1.0


def run(watched: Watched) -> NoReturn:
    """Watch the cluster until SIGTERM (exit 0) or until it is stuck (exit STUCK)."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    stop = threading.Event()
    signal.signal(signal.SIGTERM, lambda *_: stop.set())
    maintenance = Maintenance(watched)
    maintenance.start(stop)
    AlertService(lambda: EVERY_SECONDS).start(stop)
    stuck = _watch(watched, stop, maintenance)
    if not stuck:
        name = watched.identity.name
        log_errors(lambda: takeover.take_over_workers(name, watched.group))  # of those killed after the grace time
        log_errors(lambda: clusters.mark_stopped(name))
    sys.stderr.flush()
    os._exit(STUCK if stuck else 0)  # the threads may be waiting for a database that is away


def _watch(watched: Watched, stop: threading.Event, maintenance: Maintenance) -> bool:
    """Return True as soon as the cluster is stuck, False when asked to stop."""
    stuck_for = short_for = 0.0
    before = watched.scoreboard.read()
    while not stop.wait(WATCH_SECONDS):
        snapshot = watched.scoreboard.read()
        if snapshot.lost - before.lost:
            maintenance.rescue_lost_workers()
        idle = not watched.scoreboard.draining and snapshot.started == before.started
        why = why_stuck(snapshot, watched.workers) if idle else ""
        stuck_for = stuck_for + WATCH_SECONDS if why else 0.0
        short_for = short_for + WATCH_SECONDS if _processes_missing(watched) else 0.0
        before = snapshot
        if stuck_for >= STUCK_AFTER or short_for >= 2 * STUCK_AFTER:
            log.error("cluster is stuck, it will be replaced", why=why or "processes are missing")
            return True
    return False


def why_stuck(snapshot: Snapshot, workers: int) -> str:
    """Return what should be going on and is not, while no worker begins a task; "" for nothing.

    workers: how many serve every lane. A killed process may hold the lock of a queue (django-q2 #23).
    """
    if snapshot.asking > WATCH_SECONDS:
        return ""
    free = snapshot.busy - snapshot.busy_reserved < workers
    reserved_free = snapshot.busy_reserved < django_q.urgent_workers()
    if (free and snapshot.pending > 0) or (reserved_free and snapshot.pending_urgent > 0):
        return "messages are fetched and no worker begins them"
    return "no process fetches messages" if free and snapshot.since_poll > STUCK_AFTER else ""


def _processes_missing(watched: Watched) -> bool:
    """Return whether processes of the cluster have ended and were not replaced.

    Always False where there is no /proc.
    """
    members = living_members(watched.group)
    return members is not None and 0 < len(members) < watched.processes and not watched.scoreboard.draining
