"""How many calls to make at a time, learned from how long calls take. Pure: no clock, no thread.

A mail server that answers immediately is served fastest by one thread, and one that takes 50 ms for each email by as
many threads as there are emails (measured). So concurrency follows the duration of a call that is made alone: threads
slow each other down. That duration is sampled again every now and then. On a busy machine a call also waits for the
processor, which more threads only make worse: so a multiple of its CPU time is not counted as the server's.
"""

import math
from collections import defaultdict, deque
from collections.abc import Iterable
from functools import partial

FLUSH_SECONDS = 0.05  # outcomes are settled at least this often, so that a killed worker repeats little
QUICK_SECONDS = 0.005  # below this duration of a call, one thread is best
QUICK_CALLS = 3  # calls below it one after another, for the calls of a type to count as quick
SLOW_SETTLEMENT = 0.5  # seconds; above it, receivers of the end of these jobs would use up the next jobs' leases
BUSY_FACTOR = 10  # a call whose thread shares the processor takes up to so many times its CPU time
SECONDS_EACH = 0.001  # of a slower call, for each thread: twice as slow, twice as many threads
COLD_CALLS = 3  # the first opens a connection; those after it find nothing in any cache
SLOW_SECONDS = 0.02  # no cold call takes longer, except the first
HICCUP_SECONDS = 0.1  # no hiccup of this machine is longer: one such call shows that the server is slow
SAMPLE_SECONDS = 1.0  # between two calls that are made alone; for a very slow server, the time of SAMPLE_CALLS calls
SAMPLE_CALLS = 20
SLOW_START_SECONDS = 600.0  # after throttling lowered the limit, until twice as much is tried again


class Pace:
    """The duration of a call and the concurrency that follows from it. `now` is always time.monotonic()."""

    def __init__(self, max_limit: int, *, seconds: float = 0.0, sampled_at: float = -math.inf) -> None:
        self.max_limit = max_limit
        self.limit = max_limit  # the concurrency limit now: lower after throttling
        self.seconds = seconds  # duration of a call; 0: not known yet
        self._server_seconds = seconds  # the part of it that a busy processor does not explain
        self._sampled_at = sampled_at
        self._samples: deque[tuple[float, float]] = deque(maxlen=3)  # (seconds, CPU seconds)
        self._cold_calls_left = COLD_CALLS
        self._throttled_at: float | None = None

    def record_call(self, seconds: float, now: float, *, cpu_seconds: float = 0.0) -> None:
        """Record a call that was made alone, and the CPU time of its thread.

        A cold one counts only if it shows that the server is slow.
        """
        self._sampled_at = now
        cold, self._cold_calls_left = self._cold_calls_left, max(0, self._cold_calls_left - 1)
        if cold == COLD_CALLS or (cold and seconds < SLOW_SECONDS):
            return
        self._samples.append((seconds, cpu_seconds))
        self.seconds, used = self._samples[-1] if seconds > HICCUP_SECONDS else min(self._samples)
        self._server_seconds = self.seconds - BUSY_FACTOR * used

    def record_throttling(self, concurrency: int, now: float) -> None:
        """Halve the concurrency limit for a while.

        concurrency: the number of calls that the server refused.
        """
        self.limit = max(1, min(self.limit, concurrency) // 2)
        self._throttled_at = now

    def concurrency(self, jobs: int, now: float) -> int:
        """Return how many of `jobs` calls to make at a time."""
        if self._throttled_at is not None and now - self._throttled_at > SLOW_START_SECONDS:
            self.limit, self._throttled_at = min(self.max_limit, 2 * self.limit), now
        wanted = 1 if self._server_seconds < QUICK_SECONDS else int(self.seconds / SECONDS_EACH)
        return min(jobs, self.limit, wanted)

    def claim_size(self, waiting: int, now: float, *, inline: bool = False) -> int:
        """Return how many of `waiting` jobs to claim.

        Those are as many as need not wait long for each other. inline: the jobs cannot run in threads.
        """
        if not self.seconds:
            return 1
        return min(waiting, self.capacity(1 if inline else self.concurrency(waiting, now)))

    def capacity(self, concurrency: int) -> int:
        """Return how many jobs keep that many threads busy.

        They are busy until outcomes are settled and more jobs are claimed.
        """
        busy_seconds = FLUSH_SECONDS if concurrency == 1 else 2 * FLUSH_SECONDS
        return int(concurrency * max(1.0, busy_seconds / self.seconds))

    def sample_due(self, now: float) -> bool:
        """Return whether to make one call alone again."""
        return now - self._sampled_at > max(SAMPLE_SECONDS, SAMPLE_CALLS * self.seconds)


class Durations:
    """How long the last calls of each job type took, so that quick ones are claimed and settled together."""

    def __init__(self) -> None:
        self._last: dict[str, deque[float]] = defaultdict(partial(deque, maxlen=QUICK_CALLS))

    def record(self, job_type: str, seconds: float) -> None:
        """Record a call."""
        self._last[job_type].append(seconds)

    def forget(self, job_types: Iterable[str]) -> None:
        """Count the jobs of these types as not quick, until others of them were."""
        for name in job_types:
            self._last.pop(name, None)

    def count_quick(self, job_types: Iterable[str]) -> int:
        """Return how many of the next jobs, by their types, end within FLUSH_SECONDS if they are as quick as before.

        At least one; a job that is not known to be quick is alone.
        """
        count, seconds = 0, 0.0
        for name in job_types:
            last = self._last[name]
            longest = max(last) if len(last) == QUICK_CALLS else math.inf
            seconds += longest
            if longest > QUICK_SECONDS or seconds > FLUSH_SECONDS:
                break
            count += 1
        return max(1, count)
