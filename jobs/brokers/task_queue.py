"""The tasks between the pusher and the workers of a cluster: one queue for the urgent lanes, one for the others.

It stands in for django-q2's queue. A worker waits for a task without holding a lock, so a worker that is killed while
it is idle stops no other. Works by fork only, as the cluster does.
"""

import multiprocessing
import os
import queue
import time
from collections.abc import Callable
from multiprocessing import connection
from typing import Any

from jobs.core.scoreboard import process_context

FORK = multiprocessing.get_context("fork")  # as the cluster's processes are started
STOP = "STOP"  # django-q2's word: the reader ends
CONTENDED_SECONDS = 0.001  # another worker takes the task that woke this one


class TaskQueue:
    """Tasks by their urgency. is_urgent: says it of a task."""

    def __init__(self, is_urgent: Callable[[Any], bool]) -> None:
        self._is_urgent = is_urgent
        self._urgent, self._others = FORK.Queue(), FORK.Queue()
        self._stop_reader, self._stop_writer = os.pipe()  # readable from the stop on: what is written is never read

    def put(self, task: Any) -> None:
        """Hand a task to the workers; STOP ends all of them, when the tasks before it are taken."""
        if task == STOP:
            os.write(self._stop_writer, b"s")
        else:
            (self._urgent if self._is_urgent(task) else self._others).put(task)

    def reader(self, *, reserved: bool = False, idle_seconds: float | None = None) -> "Reader":
        """Return a worker's end.

        reserved: it gets urgent tasks only. idle_seconds: it gets STOP after so long without a task.
        """
        sources = [self._urgent] if reserved else [self._urgent, self._others]
        return Reader(sources, self._stop_reader, reserved, idle_seconds)

    def empty(self) -> bool:
        """Return whether no task waits."""
        return self._urgent.empty() and self._others.empty()

    def qsize(self) -> int:
        """Return how many tasks wait."""
        return self._urgent.qsize() + self._others.qsize()

    def close(self) -> None:
        """Put no more tasks from this process."""
        self._urgent.close()
        self._others.close()

    def join_thread(self) -> None:
        """Wait until the tasks of this process are on their way."""
        self._urgent.join_thread()
        self._others.join_thread()


class Reader:
    """The end of one worker. Urgent tasks come first; while both kinds wait, they take turns."""

    def __init__(
        self, sources: list["multiprocessing.Queue[Any]"], stop: int, reserved: bool, idle_seconds: float | None
    ) -> None:
        self.reserved = reserved
        self._sources, self._stop, self._idle_seconds = sources, stop, idle_seconds
        self._urgent_last = False

    @property
    def is_relief(self) -> bool:
        """Whether its worker ends automatically."""
        return self._idle_seconds is not None

    def get(self) -> Any:
        """Wait for the next task; STOP when there is none any more."""
        process_context().reserved = self.reserved
        waited_for = [self._stop, *(source._reader for source in self._sources)]  # type: ignore[attr-defined]
        while True:
            ready = connection.wait(waited_for, self._idle_seconds)
            for source in self._in_turn():
                if source._reader in ready:  # type: ignore[attr-defined]
                    try:
                        task = source.get_nowait()
                    except queue.Empty:
                        time.sleep(CONTENDED_SECONDS)
                        continue
                    self._urgent_last = source is self._sources[0]
                    return task
            if not ready or ready == [self._stop]:
                return STOP

    def _in_turn(self) -> list["multiprocessing.Queue[Any]"]:
        return self._sources[::-1] if self._urgent_last else self._sources
