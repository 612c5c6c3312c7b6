"""The tasks between the pusher and the workers of a cluster: one queue for the urgent lanes, one for the others.

It stands in for django-q2's queue. A worker waits for a task without holding a lock, so a worker that is killed while
it is idle stops no other. Works by fork only, as the cluster does.
"""

import multiprocessing
import os
import queue
import time
from collections.abc import Callable
from contextlib import suppress
from multiprocessing import connection
from typing import TYPE_CHECKING, Any, Optional

from jobs.core.scoreboard import process_context

if TYPE_CHECKING:  # it makes tasks of django-q2, whose workers read this queue
    from jobs.brokers.direct import Direct

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

    def reader(
        self, *, reserved: bool = False, idle_seconds: float | None = None, direct: Optional["Direct"] = None
    ) -> "Reader":
        """Return a worker's end.

        reserved: it gets urgent tasks only. idle_seconds: it gets STOP after so long without a task. direct: how it
        fetches a message itself.
        """
        sources = [self._urgent] if reserved else [self._urgent, self._others]
        return Reader(sources, self._stop_reader, reserved, idle_seconds, direct)

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
        self,
        sources: list["multiprocessing.Queue[Any]"],
        stop: int,
        reserved: bool,
        idle_seconds: float | None,
        direct: Optional["Direct"],
    ) -> None:
        self.reserved = reserved
        self._sources, self._stop, self._idle_seconds, self._direct = sources, stop, idle_seconds, direct
        self._urgent_last = False

    @property
    def is_relief(self) -> bool:
        """Whether its worker ends automatically."""
        return self._idle_seconds is not None

    def get(self) -> Any:
        """Wait for the next task; STOP when there is none any more."""
        process_context().reserved = self.reserved
        while True:
            ready = self._wait()
            queued = [source for source in self._in_turn() if source._reader in ready]  # type: ignore[attr-defined]
            if (task := self._take(queued)) is not None:
                return task
            if not queued and (self._stop in ready or (not ready and self.is_relief)):
                return STOP
            if self._direct and not ready:
                self._direct.listen()
            elif self._direct and self._direct.is_called(ready) and (task := self._direct.task()) is not None:
                return task

    def _wait(self) -> list[Any]:
        """Wait until there may be a task; return what is readable."""
        waited_for = [self._stop, *(source._reader for source in self._sources)]  # type: ignore[attr-defined]
        if self._direct:
            return connection.wait([*waited_for, *self._direct.sockets], self._direct.seconds_to_wait())
        return connection.wait(waited_for, self._idle_seconds)

    def _take(self, queued: list["multiprocessing.Queue[Any]"]) -> Any | None:
        """Take a task from one of these queues; None when other workers were faster."""
        for source in queued:
            with suppress(queue.Empty):
                task = source.get_nowait()
                self._urgent_last = source is self._sources[0]
                if self._direct:
                    self._direct.stop()
                return task
        if queued:
            time.sleep(CONTENDED_SECONDS)
        return None

    def _in_turn(self) -> list["multiprocessing.Queue[Any]"]:
        return self._sources[::-1] if self._urgent_last else self._sources
