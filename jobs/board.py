"""Shared memory in which the processes of one cluster say what they do, without a lock that a killed one could hold.

The supervisor makes it before it forks. Every cell has one writer (a worker writes the row of its pid), so plain
stores are enough, and a SIGKILL at any instant leaves a readable board.
"""

import mmap
import os
import time
from dataclasses import dataclass

ROWS = 4096  # more than the workers a cluster starts in its life (they recycle after 10,000 jobs)
DRAINING, FETCHED, POLLED, ACTIVE, CALLS, HEADER = 0, 1, 2, 3, 4, 5
PID, STARTED, DONE, JOBS, WIDTH = 0, 1, 2, 3, 4


@dataclass(frozen=True)
class Reading:
    """started: tasks that workers have begun so far. pending: fetched, and not begun. busy: workers in the middle of
    one. in_flight: the jobs of their tasks. quiet: seconds since a worker began or ended one. unasked: seconds since
    the pusher asked the broker."""

    started: int
    pending: int
    busy: int
    in_flight: int
    quiet: float
    unasked: float


class Board:
    """The board of one cluster; inherited by fork."""

    def __init__(self) -> None:
        self._cells = memoryview(mmap.mmap(-1, 8 * (HEADER + ROWS * WIDTH))).cast("Q")
        self._cells[ACTIVE] = self._cells[POLLED] = time.monotonic_ns()

    def drain(self) -> None:
        """The cluster is to stop: workers hand back what they have not begun."""
        self._cells[DRAINING] = 1

    @property
    def draining(self) -> bool:
        return bool(self._cells[DRAINING])

    def call(self) -> None:
        """The keeper has seen a message that the pusher should have fetched by now."""
        self._cells[CALLS] += 1

    @property
    def calls(self) -> int:
        """How often the keeper has called."""
        return self._cells[CALLS]

    def polled(self, tasks: int) -> None:
        """The pusher asked the broker, and got so many tasks."""
        self._cells[FETCHED] += tasks
        self._cells[POLLED] = time.monotonic_ns()

    def started(self, jobs: int) -> None:
        """This worker begins a task of so many jobs."""
        row = self._my_row()
        self._cells[row + PID] = os.getpid()
        self._cells[row + JOBS] = jobs
        self._cells[row + STARTED] += 1
        self._cells[ACTIVE] = time.monotonic_ns()

    def done(self) -> None:
        """This worker is through with its task."""
        row = self._my_row()
        self._cells[row + DONE] = self._cells[row + STARTED]
        self._cells[ACTIVE] = time.monotonic_ns()

    def _my_row(self) -> int:
        return HEADER + (os.getpid() % ROWS) * WIDTH

    def read(self) -> Reading:
        """What the cluster is doing now."""
        started = busy = in_flight = 0
        for row in range(HEADER, HEADER + ROWS * WIDTH, WIDTH):
            if pid := self._cells[row + PID]:
                started += self._cells[row + STARTED]
                if self._cells[row + STARTED] > self._cells[row + DONE] and _alive(pid):
                    busy += 1
                    in_flight += self._cells[row + JOBS]
        return Reading(
            started=started,
            pending=self._cells[FETCHED] - started,
            busy=busy,
            in_flight=in_flight,
            quiet=self._seconds_since(ACTIVE),
            unasked=self._seconds_since(POLLED),
        )

    def _seconds_since(self, cell: int) -> float:
        return (time.monotonic_ns() - self._cells[cell]) / 1e9


def _alive(pid: int) -> bool:
    try:
        os.kill(pid, 0)
    except OSError:
        return False
    return True


current = Board()  # of this process; the supervisor puts a fresh one here before it forks a cluster


def renew() -> Board:
    """A fresh board for the next cluster this process forks."""
    global current
    current = Board()
    return current
