"""The supervisor of a django-q2 cluster: replaces a cluster that ended or is stuck, and ends it in the grace time.

It makes up for what django-q2's cluster cannot do itself. It forks the cluster into a process group of its
own and signals its main process alone; it forks a watchdog for it. It touches no database and no queue, so it can
always act; a fork or file that the kernel refuses is tried again. Children are killed when their parent dies (Linux),
so a SIGKILL leaves no orphan.
"""

import multiprocessing
import os
import signal
import time
from collections.abc import Callable

import structlog
from setproctitle import setproctitle

from jobs.cluster import watchdog
from jobs.cluster.child_process import (
    TICK,
    Child,
    ForkedProcess,
    StopRequests,
    kill_forks_with_parent,
    living_members,
    wait_tick,
)
from jobs.cluster.identity import Identity
from jobs.cluster.watched import Watched
from jobs.core.scoreboard import Scoreboard, set_context

log = structlog.get_logger("jobs.cluster.supervisor")

STEADY_SECONDS = 10.0  # a cluster that lived this long had started well: the next one starts without delay
LONGEST_WAIT = 10.0
QUIET_SECONDS = 3.0
WATCHDOG_GRACE = 2.0
WATCHDOG_WAIT = 1.0  # between two starts of a watchdog
SIGNALS = (signal.SIGTERM, signal.SIGINT, signal.SIGHUP)


class Supervisor:
    """Runs one cluster after another until a signal asks it to stop.

    identity: of this process; its name is that of the heartbeat row. cluster: what the child process calls; it ends
    after SIGTERM. grace: seconds that work in flight has to end after SIGTERM. changed: returns whether the code
    changed (`--reload`). restart: replaces this process by a new one; raises OSError when the kernel refuses.
    alive: called several times a second, as a sign of life.
    """

    def __init__(
        self,
        identity: Identity,
        cluster: Callable[[], None],
        *,
        workers: int,
        version: str,
        grace: float,
        changed: Callable[[], bool],
        restart: Callable[[], None],
        alive: Callable[[], None] = lambda: None,
    ) -> None:
        self.identity, self.cluster, self.workers, self.version = identity, cluster, workers, version
        self.name, self.grace, self.changed, self.restart = identity.name, grace, changed, restart
        self.alive = alive
        self.stop_requests, self.reload_requests = StopRequests(), StopRequests()
        self.restarts = 0
        self.failures_in_a_row = 0
        self.scoreboard = Scoreboard()
        self.main: Child | None = None
        self.watchdog: Child | None = None
        self.next_watchdog = 0.0  # time.monotonic() of the next start of one

    def run(self) -> int:
        """Run clusters until SIGTERM or SIGINT; with SIGHUP, load the code again and continue.

        Returns the exit code: 0 when everything in flight ended, 1 when it had to be killed.
        """
        kill_forks_with_parent()
        setproctitle(f"qcluster {self.name} supervisor")
        signal.signal(signal.SIGCHLD, signal.SIG_DFL)  # were it ignored, the kernel would keep no exit codes
        self.stop_requests.count_signals(signal.SIGTERM, signal.SIGINT)
        if signal.getsignal(signal.SIGHUP) != signal.SIG_IGN:  # as nohup has it
            self.reload_requests.count_signals(signal.SIGHUP)
        signal.pthread_sigmask(signal.SIG_UNBLOCK, SIGNALS)
        while True:
            self._run_clusters()
            ended = self._stop()
            if self.stop_requests:
                return 0 if ended else 1
            self._reload()

    def _is_to_end(self) -> bool:
        return bool(self.stop_requests or self.reload_requests) or self.changed()

    def _reload(self) -> None:
        """Replace this process by a new one with the same id; returns when the kernel refuses it."""
        log.info("reloading", cluster=self.name)
        self.reload_requests.count = 0
        signal.pthread_sigmask(signal.SIG_BLOCK, SIGNALS)  # one that comes meanwhile waits for the new process
        try:
            self.restart()
        except OSError as refused:
            signal.pthread_sigmask(signal.SIG_UNBLOCK, SIGNALS)
            log.error("cannot reload, the loaded code keeps running", cluster=self.name, error=str(refused))
            self._pause(LONGEST_WAIT)

    def _run_clusters(self) -> None:
        """Start clusters until one is to be stopped in order."""
        while not self._is_to_end():
            began = time.monotonic()
            try:
                self._start()
                self._supervise()
            except (OSError, MemoryError) as refused:  # the machine has no process, file or memory left
                log.error("cluster cannot be started, trying again", cluster=self.name, error=str(refused))
            if self._is_to_end():
                return
            self._kill()
            self.restarts += 1
            steady = time.monotonic() - began > STEADY_SECONDS
            self.failures_in_a_row = 0 if steady else self.failures_in_a_row + 1
            self._pause(min(LONGEST_WAIT, 0.25 * 2**self.failures_in_a_row))

    def _start(self) -> None:
        self.scoreboard = set_context(self.name).scoreboard
        self.main = Child(ForkedProcess(lambda: _run_main(self.cluster)))
        self.next_watchdog = 0.0
        log.info("cluster started", cluster=self.name, pid=self.main.pid, restarts=self.restarts)

    def _supervise(self) -> None:
        """Return when the cluster has ended, is stuck, or is to end."""
        while not self._is_to_end() and self.main and self.main.running:
            if self.watchdog and self.watchdog.exit_code == watchdog.STUCK:
                return
            if not (self.watchdog and self.watchdog.running):
                self._start_watchdog(self.main)
            self.alive()
            time.sleep(TICK)
        if not self._is_to_end():
            log.error("cluster ended unexpectedly", cluster=self.name, exitcode=self.main and self.main.exit_code)

    def _start_watchdog(self, main: Child) -> None:
        """Start a watchdog, at most one in WATCHDOG_WAIT. A cluster works without one until a fork succeeds."""
        if time.monotonic() < self.next_watchdog:
            return
        self.next_watchdog = time.monotonic() + WATCHDOG_WAIT
        watched = Watched(self.identity, self.scoreboard, main.pid, self.workers, self.restarts, self.version)
        try:
            self.watchdog = Child(ForkedProcess(lambda: _run_watchdog(watched)))
        except OSError as refused:
            log.error("watchdog cannot be started, trying again", cluster=self.name, error=str(refused))

    def _pause(self, seconds: float) -> None:
        until = time.monotonic() + seconds
        while not self._is_to_end() and time.monotonic() < until:
            self.alive()
            time.sleep(TICK)

    def _stop(self) -> bool:
        """End the cluster.

        Work in flight has the grace time, the rest ends immediately. Returns False when the cluster had to be killed.
        """
        log.info("cluster stopping", cluster=self.name)
        self.scoreboard.drain()
        ended = self.main is None or self.main.stop(self.grace, self.stop_requests, self._idle_after_tick)
        if not ended:
            log.error("work in flight did not end in the grace time, killed", cluster=self.name, grace=self.grace)
        self._kill()
        log.info("cluster stopped", cluster=self.name)
        return ended

    def _idle_after_tick(self, since: float) -> bool:
        """Return whether nothing is in flight and nothing moves.

        Such a cluster hangs (django-q2 #23, #346) and need not be waited for.
        """
        self.alive()
        time.sleep(TICK)
        snapshot = self.scoreboard.read()
        return snapshot.busy == 0 and min(since, snapshot.quiet) > QUIET_SECONDS

    def _kill(self) -> None:
        """Kill every process of the cluster's group, and end the watchdog.

        The watchdog may mark the cluster as stopped first.
        """
        if self.main:
            self.main.kill_group()
            until = time.monotonic() + QUIET_SECONDS
            while living_members(self.main.pid) and time.monotonic() < until:
                time.sleep(TICK / 10)  # they are dying; our own end must mean that all of them have ended
        if self.watchdog:
            self.watchdog.stop(WATCHDOG_GRACE, StopRequests(), wait_tick)
            self.watchdog.kill_group()
        self.main = self.watchdog = None


def _run_main(cluster: Callable[[], None]) -> None:
    os.setpgid(0, 0)
    signal.signal(signal.SIGTERM, signal.SIG_DFL)
    signal.signal(signal.SIGINT, signal.SIG_DFL)
    cluster()
    for child in multiprocessing.active_children():  # this process ends after all others of the cluster
        child.join()


def _run_watchdog(watched: Watched) -> None:
    os.setpgid(0, 0)
    setproctitle(f"qcluster {watched.identity.name} watchdog")
    watchdog.run(watched)
