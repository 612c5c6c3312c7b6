"""The queues of a broker, one for each lane and source, and whose turn it is. Pure: no clock, no database.

The most urgent lane goes first, and of eight turns each lane has one of its own, so that no flood starves a lane.
Within a lane the sources (sites) take turns, so that 100,000 jobs of one site do not delay the next job of another.
"""

from collections import Counter, deque
from collections.abc import Iterable
from dataclasses import dataclass
from itertools import cycle
from typing import Self

from jobs.core.job import THIS_SITE
from jobs.core.pauses import Lane

ORDER = tuple(Lane.values)
TURNS: tuple[str, ...] = ("", Lane.ALERT, "", Lane.DEFAULT, "", Lane.BULK, "", Lane.URGENT)  # "": the most urgent lane


@dataclass(frozen=True)
class QueueId:
    """A queue: its lane, and the source of its jobs."""

    lane: str
    source: str = THIS_SITE

    @classmethod
    def parse(cls, key: str, name: str) -> Self | None:
        """Return the queue whose key in a broker is `key`; None when this version has no such queue.

        name: of all queues of the site.
        """
        lane, _, source = key.removeprefix(name).removeprefix("-").partition(":")
        queue = cls(lane if lane in ORDER else Lane.DEFAULT, source or THIS_SITE)
        return queue if queue.key(name) == key else None

    def key(self, name: str) -> str:
        """Return its key: the plain name for the default lane of this site, as version 0.9 used for all messages."""
        lane = "" if self.lane == Lane.DEFAULT else f"-{self.lane}"
        return name + lane + ("" if self.source == THIS_SITE else f":{self.source}")


class Turns:
    """Whose turn it is in one process that fetches messages."""

    def __init__(self) -> None:
        self._lanes = cycle(TURNS)
        self._taken: Counter[str] = Counter()

    def allot(self, most: int, waiting: dict[QueueId, int]) -> dict[QueueId, int]:
        """Return how many messages to fetch from each queue, `most` in all; waiting: how many each has.

        A turn that its lane does not use is the most urgent lane's.
        """
        lines = {lane: self._line(lane, waiting) for lane in ORDER if any(queue.lane == lane for queue in waiting)}
        allotted: Counter[QueueId] = Counter()
        for _ in range(min(most, sum(waiting.values()))):
            lane = next(self._lanes)
            line = lines.get(lane) or next(line for line in lines.values() if line)
            queue = line.popleft()
            allotted[queue] += 1
            self._taken[queue.lane] += 1
            if allotted[queue] < waiting[queue]:
                line.append(queue)
        return dict(allotted)

    def order(self, queues: Iterable[QueueId]) -> list[QueueId]:
        """Return queues in the order in which to look for the next message, where it is not known which have one."""
        known = dict.fromkeys(queues, 1)
        turn = next(self._lanes)
        lanes = [turn, *ORDER] if turn else list(ORDER)
        ordered = [queue for lane in dict.fromkeys(lanes) for queue in self._line(lane, known)]
        self._taken.update({queue.lane: 1 for queue in ordered})
        return ordered

    def _line(self, lane: str, waiting: dict[QueueId, int]) -> deque[QueueId]:
        """Return the queues of a lane that have messages, the one whose turn it is first."""
        line = deque(sorted((q for q in waiting if q.lane == lane and waiting[q]), key=lambda queue: queue.source))
        line.rotate(-self._taken[lane])
        return line
