"""Room for tasks: a broker fetches no more of them than the workers will soon begin.

Urgent tasks and others are counted apart: slow jobs that occupy every worker for other lanes stop no urgent job.
"""

import time
from collections.abc import Collection

from jobs.brokers import django_q
from jobs.brokers.grouping import Task
from jobs.core.pauses import URGENT_LANES, Lane
from jobs.core.scoreboard import process_context

ALL_LANES = frozenset(Lane.values)
SINGLE_TASKS = 20  # tasks of one job each that may wait: workers begin them faster than the broker looks for room
ROOM_SECONDS = 0.01  # between two looks for room
URGENT_SECONDS = 0.1  # between two looks for messages while only some lanes have room


class Room:
    """The room of one process that fetches messages."""

    def __init__(self) -> None:
        self.single = {True: True, False: True}  # by urgency: whether the tasks that were fetched last had one job each
        self._looked_at, self._look_at = ALL_LANES, 0.0  # the lanes of the last look; time.monotonic() of the next one

    def lanes(self) -> frozenset[str]:
        """Return the lanes of which more messages may be fetched."""
        pending, urgent = process_context().scoreboard.pending()
        free = URGENT_LANES if urgent < self._enough(urgent=True) + django_q.urgent_workers() else frozenset()
        return free | (ALL_LANES - URGENT_LANES) if pending - urgent < self._enough(urgent=False) else free

    def _enough(self, *, urgent: bool) -> int:
        return max(django_q.workers(), SINGLE_TASKS) if self.single[urgent] else django_q.workers()

    def wait(self) -> frozenset[str]:
        """Return the lanes of which to fetch messages now; none, after ROOM_SECONDS, while it is too early.

        While only some lanes have room, it is time every URGENT_SECONDS, and as soon as one has room that had none.
        """
        lanes, now = self.lanes(), time.monotonic()
        if lanes == ALL_LANES or lanes - self._looked_at or (lanes and now >= self._look_at):
            self._looked_at, self._look_at = lanes, now + URGENT_SECONDS
            return lanes
        time.sleep(ROOM_SECONDS)
        return frozenset()

    def note_fetch(self, tasks: Collection[Task]) -> None:
        """Note a look at the broker, and the tasks that it fetched."""
        fetched: dict[bool, list[Task]] = {True: [], False: []}
        for task in tasks:
            fetched[task.lane in URGENT_LANES].append(task)
        for urgent, those in fetched.items():
            if those:
                self.single[urgent] = all(len(task.receipts) == 1 for task in those)
        process_context().scoreboard.polled(len(tasks), urgent=len(fetched[True]))
