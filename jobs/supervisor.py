"""The parent of a django-q2 cluster, which makes up for what the cluster cannot do itself (TRAPS.md).

It forks the cluster into a process group of its own and signals its main process alone; forks a keeper beside it;
replaces a cluster that ended or is stuck; ends it in the grace time. It touches no database and no queue, so it can
always act. Children die with their parent (Linux: PR_SET_PDEATHSIG), so a SIGKILL leaves no orphan.
"""

import contextlib
import ctypes
import multiprocessing
import os
import signal
import sys
import time
from collections.abc import Callable
from multiprocessing.context import ForkProcess
from types import FrameType

import structlog
from setproctitle import setproctitle

from jobs import board, keeper

log = structlog.get_logger("jobs.supervisor")

PR_SET_PDEATHSIG = 1  # linux/prctl.h
TICK = 0.1
STEADY_SECONDS = 10.0  # a cluster that lived this long had started well: the next one is not kept waiting
LONGEST_WAIT = 10.0
REST_SECONDS = 3.0

fork = multiprocessing.get_context("fork")


class Supervisor:
    """Runs one cluster after another until it is told to stop.

    name: of the cluster's heartbeat row. cluster: what the child process calls; returns when it was signalled.
    grace: seconds that work in flight has to end after SIGTERM. changed: says whether the code changed (`--reload`).
    """

    def __init__(
        self,
        name: str,
        cluster: Callable[[], None],
        *,
        workers: int,
        version: str,
        grace: float,
        changed: Callable[[], bool] = lambda: False,
    ) -> None:
        self.name, self.cluster, self.workers, self.version, self.grace = name, cluster, workers, version, grace
        self.changed = changed
        self.asked_to_stop = 0
        self.restarts = 0
        self.failures_in_a_row = 0

    def run(self) -> int:
        """Until SIGTERM or SIGINT; the exit code: 0 when everything in flight ended, 1 when it had to be killed."""
        die_with_parent_in_every_fork()
        setproctitle(f"qcluster {self.name} supervisor")
        for signum in (signal.SIGTERM, signal.SIGINT):
            signal.signal(signum, self._ask_to_stop)
        while not self.asked_to_stop:
            began = time.monotonic()
            self._start()
            self._stand_by()
            if self.asked_to_stop or self.changed():
                break
            self._kill()
            self.restarts += 1
            steady = time.monotonic() - began > STEADY_SECONDS
            self.failures_in_a_row = 0 if steady else self.failures_in_a_row + 1
            self._pause(min(LONGEST_WAIT, 0.25 * 2**self.failures_in_a_row))
        ended = self._stop()
        if self.changed() and not self.asked_to_stop:
            os.execv(sys.executable, [sys.executable, *sys.argv])  # noqa: S606
        return 0 if ended else 1

    def _ask_to_stop(self, _signum: int, _frame: FrameType | None) -> None:
        self.asked_to_stop += 1

    def _start(self) -> None:
        self.board = board.renew()
        self.main = fork.Process(target=_in_own_group, args=(self.cluster,), name="cluster")
        self.main.start()
        log.info("cluster started", cluster=self.name, pid=self.main.pid, restarts=self.restarts)
        self._start_keeper()

    def _start_keeper(self) -> None:
        watched = keeper.Watched(self.name, self.board, self.main.pid or 0, self.workers, self.restarts, self.version)
        self.keeper = fork.Process(target=_keep, args=(watched,), name="keeper")
        self.keeper.start()

    def _stand_by(self) -> None:
        """Returns when the cluster ended, is stuck, or is to end."""
        while not self.asked_to_stop and self.main.is_alive():
            if not self.keeper.is_alive():
                if self.keeper.exitcode == keeper.WEDGED:
                    return
                self._start_keeper()
            if self.changed():
                return
            time.sleep(TICK)
        if not self.asked_to_stop:
            log.error("cluster ended by itself", cluster=self.name, exitcode=self.main.exitcode)

    def _pause(self, seconds: float) -> None:
        until = time.monotonic() + seconds
        while not self.asked_to_stop and time.monotonic() < until:
            time.sleep(TICK)

    def _stop(self) -> bool:
        """Ends the cluster: work in flight within the grace time, what was only fetched at once; False if killed."""
        log.info("cluster stopping", cluster=self.name)
        self.board.drain()
        if self.main.is_alive():
            _signal(self.main, signal.SIGTERM)
        began, asked = time.monotonic(), max(1, self.asked_to_stop)
        while self.main.is_alive() and time.monotonic() - began < self.grace and self.asked_to_stop <= asked:
            if self._at_rest(time.monotonic() - began):
                break
            time.sleep(TICK)
        ended = not self.main.is_alive() or self._at_rest(time.monotonic() - began)
        if not ended:
            log.error("work in flight did not end in the grace time, killed", cluster=self.name, grace=self.grace)
        self._kill()
        log.info("cluster stopped", cluster=self.name)
        return ended

    def _at_rest(self, since: float) -> bool:
        """Nothing is in flight and nothing moves: what does not end by itself now is stuck (django-q2 #23, #346)."""
        reading = self.board.read()
        return reading.busy == 0 and min(since, reading.quiet) > REST_SECONDS

    def _kill(self) -> None:
        """Every process of the cluster's group, and the keeper, which may say goodbye first."""
        with contextlib.suppress(ProcessLookupError, PermissionError):
            os.killpg(self.main.pid or 0, signal.SIGKILL)
        self.main.join()
        until = time.monotonic() + REST_SECONDS
        while keeper.group_members(self.main.pid or 0) and time.monotonic() < until:
            time.sleep(TICK / 10)  # they are dying; whoever waits for us may count on nobody being left
        _signal(self.keeper, signal.SIGTERM)
        self.keeper.join(timeout=2)
        _signal(self.keeper, signal.SIGKILL)
        self.keeper.join()


def _signal(process: ForkProcess, signum: int) -> None:
    if process.is_alive() and process.pid:
        with contextlib.suppress(ProcessLookupError):
            os.kill(process.pid, signum)


def _in_own_group(cluster: Callable[[], None]) -> None:
    os.setpgid(0, 0)
    signal.signal(signal.SIGTERM, signal.SIG_DFL)
    signal.signal(signal.SIGINT, signal.SIG_DFL)
    cluster()


def _keep(watched: keeper.Watched) -> None:
    os.setpgid(0, 0)
    setproctitle(f"qcluster {watched.name} keeper")
    keeper.run(watched)


def die_with_parent_in_every_fork() -> None:
    """From here on every process forked below this one is killed when its parent dies. Linux; elsewhere nothing."""
    if not sys.platform.startswith("linux"):
        return
    prctl = ctypes.CDLL(None, use_errno=True).prctl
    parent = 0

    def remember() -> None:
        nonlocal parent
        parent = os.getpid()

    def follow() -> None:
        prctl(PR_SET_PDEATHSIG, signal.SIGKILL)
        if os.getppid() != parent:  # it died before we asked
            os._exit(1)

    os.register_at_fork(before=remember, after_in_child=follow)
