"""The scoreboard of a cluster, and the context of each of its processes, which holds it.

A scoreboard is shared memory in which the processes of one cluster record what they do. It has no lock that a killed
process could hold: every count has one writer (a worker writes the row of its pid), so plain stores are
enough, and a SIGKILL at any instant leaves a readable scoreboard.
"""

import mmap
import os
import socket
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from multiprocessing import connection
from typing import Any

PIPE_BYTES = 65_536  # that a pipe holds
ROWS = 4096  # more than the workers a cluster starts in its life (they recycle after 10,000 tasks)
DRAINING, FETCHED, FETCHED_URGENT, POLLED, ACTIVE, LOOK_REQUESTS, ASKING, HEARS, LISTENER, HEADER = range(10)
PID, STARTED, STARTED_URGENT, DIRECT, DONE, RESERVED, WIDTH = range(7)


@dataclass(frozen=True)
class Snapshot:
    """What a cluster is doing at one time."""

    started: int
    """Tasks that workers have begun so far, of those that the pusher fetched."""
    pending: int
    """Tasks that are fetched and not begun."""
    busy: int
    """Workers that are running a task."""
    quiet: float
    """Seconds since a worker began or ended a task."""
    since_poll: float
    """Seconds since the pusher last asked the broker."""
    asking: float
    """Seconds for which the pusher has been waiting for the broker's answer; 0 when it is not."""
    lost: frozenset[int]
    """Pids of workers that died while they ran a task."""
    pending_urgent: int = 0
    """Those of the pending tasks whose lane is urgent or alert."""
    busy_reserved: int = 0
    """Those of the busy workers that serve only these lanes."""


class Scoreboard:
    """The scoreboard of one cluster. The supervisor makes it before it forks; children inherit it."""

    def __init__(self) -> None:
        self._cells = memoryview(mmap.mmap(-1, 8 * (HEADER + ROWS * WIDTH))).cast("Q")
        self._cells[ACTIVE] = self._cells[POLLED] = time.monotonic_ns()
        self._bell, self._rope = connection.Pipe(duplex=False)
        os.set_blocking(self._rope.fileno(), False)

    def ring_bell(self) -> None:
        """End the pusher's wait."""
        with suppress(BlockingIOError):  # the pipe is full: the bell has been rung
            os.write(self._rope.fileno(), b"!")

    def wait_for_bell(self, seconds: float, others: Sequence[Any]) -> bool:
        """Wait for `ring_bell`, or until one of `others` is readable, for at most so many seconds.

        Returns whether the bell has been rung.
        """
        if rung := self._bell in connection.wait([self._bell, *others], seconds):
            os.read(self._bell.fileno(), PIPE_BYTES)
        return rung

    def drain(self) -> None:
        """Record that the cluster is to stop.

        Workers then release the jobs that they have not claimed.
        """
        self._cells[DRAINING] = 1

    @property
    def draining(self) -> bool:
        return bool(self._cells[DRAINING])

    def request_look(self) -> None:
        """Request that the pusher looks at the broker now.

        Called when it has missed a message that it should have fetched.
        """
        self._cells[LOOK_REQUESTS] += 1

    @property
    def look_requests(self) -> int:
        """How many looks have been requested so far."""
        return self._cells[LOOK_REQUESTS]

    def polled(self, tasks: int, urgent: int = 0) -> None:
        """Record that the pusher asked the broker and got so many tasks, `urgent` of them of the two urgent lanes."""
        self._cells[FETCHED] += tasks
        self._cells[FETCHED_URGENT] += urgent
        self._cells[POLLED] = time.monotonic_ns()

    @contextmanager
    def asking_broker(self) -> Iterator[None]:
        """Record that the pusher waits for the broker, which may be silent: so it is not wedged."""
        self._cells[ASKING] = time.monotonic_ns()
        try:
            yield
        finally:
            self._cells[ASKING] = 0

    @property
    def hears(self) -> bool:
        """Whether a NOTIFY arrives at the connections of this cluster, as its pusher has found out."""
        return bool(self._cells[HEARS])

    @hears.setter
    def hears(self, arrives: bool) -> None:
        self._cells[HEARS] = arrives

    def take_listening(self) -> bool:
        """Become the worker that waits for a NOTIFY, unless another living one does; return whether this one is it.

        Of two that ask at the same instant both may be: then both look for the same message, and one gets it.
        """
        if (listener := self._cells[LISTENER]) not in (0, os.getpid()) and _alive(listener):
            return False
        self._cells[LISTENER] = os.getpid()
        return True

    def stop_listening(self) -> None:
        """Record that this worker does not wait for a NOTIFY now: it looks for a message, or has a task."""
        if self._cells[LISTENER] == os.getpid():
            self._cells[LISTENER] = 0

    def forget_listener(self) -> None:
        """Record that no worker waits for a NOTIFY: one that does not hear hangs, or is dead."""
        self._cells[LISTENER] = 0

    @property
    def has_listener(self) -> bool:
        """Whether a worker waits for a NOTIFY."""
        return bool(self._cells[LISTENER])

    def pending(self) -> tuple[int, int]:
        """Return the tasks that are fetched and not begun, and how many of them are of the two urgent lanes."""
        begun, urgent = (sum(self._cells[HEADER + column :: WIDTH]) for column in (STARTED, STARTED_URGENT))
        return self._cells[FETCHED] - begun, self._cells[FETCHED_URGENT] - urgent

    def started(self, *, urgent: bool = False, reserved: bool = False, direct: bool = False) -> None:
        """Record that this worker begins a task.

        urgent: whether its lane is urgent or alert. reserved: whether this worker serves no other lane. direct: whether
        it claims the job itself, so that the pusher has not counted it.
        """
        row = self._my_row()
        self._cells[row + PID] = os.getpid()
        self._cells[row + RESERVED] = reserved
        self._cells[row + STARTED_URGENT] += urgent and not direct
        self._cells[row + (DIRECT if direct else STARTED)] += 1
        self._cells[ACTIVE] = time.monotonic_ns()

    def done(self) -> None:
        """Record that this worker has ended its task."""
        row = self._my_row()
        self._cells[row + DONE] = self._cells[row + STARTED] + self._cells[row + DIRECT]
        self._cells[ACTIVE] = time.monotonic_ns()

    def _my_row(self) -> int:
        return HEADER + (os.getpid() % ROWS) * WIDTH

    def read(self) -> Snapshot:
        """Return what the cluster is doing now."""
        started = started_urgent = busy = reserved = 0
        lost, asking = set(), self._cells[ASKING]
        for row in range(HEADER, HEADER + ROWS * WIDTH, WIDTH):
            if pid := self._cells[row + PID]:
                started += self._cells[row + STARTED]
                started_urgent += self._cells[row + STARTED_URGENT]
                if self._cells[row + STARTED] + self._cells[row + DIRECT] > self._cells[row + DONE]:
                    if _alive(pid):
                        busy += 1
                        reserved += self._cells[row + RESERVED]
                    else:
                        lost.add(pid)
        return Snapshot(
            started=started,
            pending=self._cells[FETCHED] - started,
            busy=busy,
            quiet=self._seconds_since(ACTIVE),
            since_poll=self._seconds_since(POLLED),
            asking=(time.monotonic_ns() - asking) / 1e9 if asking else 0.0,
            lost=frozenset(lost),
            pending_urgent=self._cells[FETCHED_URGENT] - started_urgent,
            busy_reserved=reserved,
        )

    def _seconds_since(self, cell: int) -> float:
        return (time.monotonic_ns() - self._cells[cell]) / 1e9


def _alive(pid: int) -> bool:
    try:
        os.kill(pid, 0)
    except OSError:
        return False
    return True


@dataclass
class ProcessContext:
    """What the code of a cluster keeps for the life of its process."""

    cluster: str
    """The name of the cluster: "host:pid:start"."""
    scoreboard: Scoreboard = field(default_factory=Scoreboard)
    reserved: bool = False
    """Whether this is a worker that serves only the lanes urgent and alert."""
    executor: Any = None
    """The executor of a worker (jobs/worker/executor.py), made for its first job."""
    claimed: Any = None
    """The job that a worker claimed before it runs its task, and time.monotonic() before that (brokers/direct.py)."""

    @property
    def worker(self) -> str:
        """The name under which this process claims jobs."""
        return f"{self.cluster}/{os.getpid()}"


_context: ProcessContext | None = None


def set_context(cluster: str) -> ProcessContext:
    """Give this process a new context, and return it.

    The processes that it forks from now on inherit the context.
    """
    global _context
    _context = ProcessContext(cluster)
    return _context


def process_context() -> ProcessContext:
    """Return the context of this process.

    Outside a cluster, it is made on first use.
    """
    return _context or set_context(f"{socket.gethostname()}:{os.getpid()}")
