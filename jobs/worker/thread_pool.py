"""A pool of daemon threads that call job handlers.

`concurrent.futures` does not do: its threads are joined at exit and never end when idle, and queued work cannot be
taken back.
"""

import queue
import threading
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass

from jobs.core.errors import Failure
from jobs.core.job import JobLog

IDLE_SECONDS = 10.0  # after which a thread without work ends, and its connections with it


@dataclass(frozen=True)
class Outcome:
    """The result of one call of a handler."""

    job: JobLog
    failure: Failure | None
    """None when the call succeeded."""
    seconds: float
    """The duration of the call."""
    cpu_seconds: float = 0.0
    """The CPU time of its thread."""


Outcomes = queue.SimpleQueue[Outcome]


class ThreadPool:
    """Threads that each take a job, call it and put the outcome into the queue that came with the job.

    call: never raises an Exception. release: called in a thread that ends because it is idle.
    """

    def __init__(self, call: Callable[[JobLog], Outcome], release: Callable[[], None]) -> None:
        self._call, self._release = call, release
        self._queued: queue.SimpleQueue[tuple[JobLog, Outcomes]] = queue.SimpleQueue()
        self._running = 0
        self._lock = threading.Lock()

    def start(self, threads: int) -> None:
        """Start threads until that many are running."""
        with self._lock:
            missing = threads - self._running
            self._running += max(0, missing)
        for _ in range(missing):
            threading.Thread(target=self._run, daemon=True).start()

    def submit(self, jobs: list[JobLog], outcomes: Outcomes) -> None:
        """Queue jobs; the outcome of each is put into `outcomes`."""
        for job in jobs:
            self._queued.put((job, outcomes))

    def cancel_queued(self) -> list[JobLog]:
        """Take back the jobs that no thread has begun."""
        cancelled: list[JobLog] = []
        with suppress(queue.Empty):
            while True:
                cancelled.append(self._queued.get_nowait()[0])
        return cancelled

    def _run(self) -> None:
        while True:
            try:
                job, outcomes = self._queued.get(timeout=IDLE_SECONDS)
            except queue.Empty:
                with self._lock:
                    if self._queued.empty():
                        self._running -= 1
                        break
                continue
            outcomes.put(self._call(job))
        self._release()
