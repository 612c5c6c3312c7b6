"""The process beside each cluster that beats for it, watches it, reconciles, and works off bulk replays.

Each chore has a thread that sleeps until the heartbeat (jobs/pulse.py) finds something to do. The process holds the
database connections the supervisor must not have, so the supervisor can always act. It ends with WEDGED when the
cluster is stuck; the supervisor then kills the cluster's group and starts another.
"""

import os
import signal
import sys
import threading
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import timedelta
from typing import NoReturn

import structlog
from django.db import connection
from django.db.models import QuerySet

from jobs import broker, bulk, clusters, listening, pulse, reconciler, retention, rollups
from jobs.board import Board, Reading

log = structlog.get_logger("jobs.keeper")

WEDGED = 75  # exit code: EX_TEMPFAIL of sysexits.h
STUCK_AFTER = 5.0  # seconds in which nothing begins although there is work and a worker is free
WATCH_SECONDS = 1.0
BULK_SECONDS = 1.0
PRUNE_LOOK_SECONDS = 3_600.0  # whether it is this host's turn to delete what is old
PRUNE_SECONDS = 82_800.0  # once a day, an hour's grace for clocks


@dataclass(frozen=True)
class Watched:
    """The cluster a keeper looks after. group: its process group. processes: how many it should have."""

    name: str
    board: Board
    group: int
    workers: int
    restarts: int
    version: str

    @property
    def processes(self) -> int:
        return self.workers + 4  # main, sentinel, pusher, monitor


def run(watched: Watched) -> NoReturn:
    """Does all of it until SIGTERM (exit 0) or until the cluster is stuck (exit WEDGED)."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    stop = threading.Event()
    signal.signal(signal.SIGTERM, lambda *_: stop.set())
    if watched.restarts:  # what the last cluster had fetched is hidden from everybody for a minute
        _quietly(lambda: reconciler.wake_forgotten(slack=timedelta(0)))
    reconcile, roll_up, replay = threading.Event(), threading.Event(), threading.Event()
    beat = pulse.Pulse(
        lambda ask: _beat(watched, ask),
        pulse.Chore(reconciler.due, reconcile.set),
        pulse.Chore(rollups.due, roll_up.set),
        pulse.Chore(bulk.due, replay.set),
        pulse.Chore(broker.overdue, watched.board.call),
    )
    for work, *given in (
        (_repeat, clusters.BEAT_SECONDS, beat, stop),
        (_repeat, PRUNE_LOOK_SECONDS, _prune, stop),
        (_whenever, reconcile, _reconcile),
        (_whenever, roll_up, _roll_up),
        (_work_off_bulk_replays, replay),
    ):
        threading.Thread(target=work, args=given, daemon=True).start()
    wedged = _watch(watched, stop)
    if not wedged:
        _quietly(lambda: clusters.leave(watched.name))
    sys.stderr.flush()
    os._exit(WEDGED if wedged else 0)  # the threads may be waiting for a database that is away


def _repeat(every: float, work: Callable[[], object], stop: threading.Event) -> None:
    while True:
        _quietly(work)
        if stop.wait(every):
            return


def _whenever(wanted: threading.Event, work: Callable[[], object]) -> None:
    """At once, for whatever happened while nobody was there, and each time that it is wanted."""
    while True:
        _quietly(work)
        wanted.wait()
        wanted.clear()


def _work_off_bulk_replays(wanted: threading.Event) -> None:
    """Every second while there is one; else when somebody has made one, which is told, or one is found."""
    ear = listening.Ear(bulk.CHANNEL)
    look_at = 0.0

    def once() -> None:
        nonlocal look_at
        ear.listen()
        if ear.woken(BULK_SECONDS) or wanted.is_set() or time.monotonic() >= look_at:
            wanted.clear()
            still_open = bulk.advance(BULK_SECONDS)
            look_at = time.monotonic() + (0.0 if still_open else ear.poll_seconds)

    while True:
        began = time.monotonic()
        _quietly(once)
        time.sleep(max(0.0, began + BULK_SECONDS - time.monotonic()))  # a database that is away fails at once


def _quietly(work: Callable[[], object]) -> None:
    """Runs `work`; a database that is away, or a fault, is logged and the next round tries again."""
    try:
        work()
    except Exception as exc:
        log.warning("keeper could not do its round", error=type(exc).__name__, detail=str(exc).splitlines()[:1])
        connection.close()


def _beat(watched: Watched, ask: Sequence[QuerySet]) -> list[bool]:
    return clusters.beat(
        watched.name,
        in_flight=watched.board.read().in_flight,
        restarts=watched.restarts,
        workers=watched.workers,
        version=watched.version,
        ask=ask,
    )


def _reconcile() -> None:
    if reconciler.take_turn("reconciler", clusters.BEAT_SECONDS - 1):
        reconciler.sweep()


def _roll_up() -> None:
    if reconciler.take_turn(rollups.TURN, clusters.BEAT_SECONDS - 1):
        rollups.keep_up(reconciler.database_time())


def _prune() -> None:
    if reconciler.take_turn("prune", PRUNE_SECONDS):
        retention.prune()
    connection.close()


def _watch(watched: Watched, stop: threading.Event) -> bool:
    """True as soon as the cluster is stuck; False when asked to stop."""
    stuck_for = short_for = 0.0
    before = watched.board.read().started
    while not stop.wait(WATCH_SECONDS):
        reading = watched.board.read()
        why = "" if watched.board.draining or reading.started != before else _idle_for_no_reason(watched, reading)
        stuck_for = stuck_for + WATCH_SECONDS if why else 0.0
        short_for = short_for + WATCH_SECONDS if _missing(watched) else 0.0
        before = reading.started
        if stuck_for >= STUCK_AFTER or short_for >= 2 * STUCK_AFTER:
            log.error("cluster is stuck, it will be replaced", why=why or "processes are missing")
            return True
    return False


def _idle_for_no_reason(watched: Watched, reading: Reading) -> str:
    """What should have been going on, if anything (django-q2 #23: a killed process may hold a queue's lock)."""
    if reading.busy >= watched.workers:
        return ""
    if reading.pending > 0:
        return "messages are fetched and no worker begins them"
    return "nobody fetches messages" if reading.unasked > STUCK_AFTER else ""


def _missing(watched: Watched) -> bool:
    """Whether processes of the cluster are gone and not replaced. Only where there is a /proc."""
    members = group_members(watched.group)
    return members is not None and 0 < len(members) < watched.processes and not watched.board.draining


def group_members(group: int) -> list[int] | None:
    """The living processes of a group; None where there is no /proc to ask."""
    if not os.path.isdir("/proc/self"):  # noqa: PTH112
        return None
    found = []
    for entry in os.scandir("/proc"):
        if not entry.name.isdigit():
            continue
        try:
            with open(f"/proc/{entry.name}/stat", "rb") as stat:  # noqa: PTH123
                state, _parent, its_group = stat.read().rpartition(b")")[2].split()[:3]
        except OSError:
            continue
        if int(its_group) == group and state != b"Z":
            found.append(int(entry.name))
    return found
