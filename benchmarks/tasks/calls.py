"""The calls of tasks, in a file that every process appends to: far cheaper than a row, and the same for all queues.

A line is the mark of a call, the number of its task, and time.monotonic().
"""

import functools
import os
import time
from collections import Counter
from dataclasses import dataclass
from pathlib import Path

BEGAN, ENDED = "b", "e"


@functools.cache
def descriptor() -> int:
    """Return the file of the calls, opened once in a process."""
    return os.open(os.environ["BENCH_CALLS"], os.O_WRONLY | os.O_APPEND | os.O_CREAT)


def note(mark: str, number: int) -> None:
    """Append a line. One write is atomic in a file that is opened for appending."""
    os.write(descriptor(), b"%s %d %.6f\n" % (mark.encode(), number, time.monotonic()))


@dataclass(frozen=True)
class Calls:
    """The lines of one mark: when each task was last called, and how often."""

    at: dict[int, float]
    times: Counter[int]

    @classmethod
    def read(cls, path: Path, mark: str) -> "Calls":
        """Read the file; it may not exist yet."""
        lines = path.read_text().splitlines() if path.exists() else []
        found = [line.split() for line in lines if line.startswith(mark) and line.count(" ") == 2]
        at = {int(number): float(seconds) for _, number, seconds in found}
        return cls(at, Counter(int(number) for _, number, _ in found))

    def rate(self, numbers: range) -> float:
        """Return the calls a second of these tasks, from the first of them to the last."""
        times = sorted(self.at[number] for number in numbers)
        return (len(times) - 1) / max(times[-1] - times[0], 1e-9)
