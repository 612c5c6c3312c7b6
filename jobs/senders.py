"""Handlers called one after another while the outside world is quick, and side by side while it is slow.

A mail server that answers at once is served fastest by one sender; one that takes 50 ms for each mail by as many as
there are mails (measured: DESIGN.md section 8). So the number of senders follows the time that a call took.
Senders are threads: they touch no database.
"""

import queue
import threading
import time
from collections.abc import Iterator
from contextlib import suppress
from dataclasses import dataclass

from structlog.contextvars import bound_contextvars

from jobs import registry
from jobs.errors import ErrorClass, Failure, describe
from jobs.models import JobLog

FLUSH_SECONDS = 0.05  # what has ended is told at least this often, so that a killed worker repeats little
QUICK_SECONDS = 0.002  # of a call, for each sender: twice as slow, twice as many
IDLE_SECONDS = 10.0  # after which a sender without work ends, and its connections with it
SLOW_START_SECONDS = 600.0  # after which twice as many senders are tried again, once the server refused so many


@dataclass(frozen=True)
class Outcome:
    """What became of one call: the failure, if it failed, and how many seconds it took."""

    job: JobLog
    failure: Failure | None
    seconds: float


def call(job: JobLog) -> Outcome:
    """Calls the job's handler. Raises nothing but what is no Exception: the alarm of a worker that is out of time."""
    began = time.monotonic()
    failure = None
    with bound_contextvars(request_id=job.request_id):
        try:
            registry.get(job.job_type).handler(job)
        except Exception as exc:  # whatever a handler raises is the job's failure, never the worker's
            failure = describe(exc)
    return Outcome(job, failure, time.monotonic() - began)


class Senders:
    """The senders of one worker process; most: how many at most."""

    def __init__(self, most: int) -> None:
        self.most = most
        self.pace = 0.0  # seconds that a call took when it was last seen
        self._allowed, self._refused_at = most, 0.0
        self._to_do: queue.SimpleQueue[JobLog] = queue.SimpleQueue()
        self._done: queue.SimpleQueue[Outcome] = queue.SimpleQueue()
        self._running = 0
        self._lock = threading.Lock()

    def call_all(self, jobs: list[JobLog]) -> Iterator[list[Outcome]]:
        """Calls every job's handler; gives what has ended, in groups, at least every FLUSH_SECONDS."""
        waiting = list(reversed(jobs))
        while waiting and self._wanted(len(waiting)) <= 1:
            yield from self._one_after_another(waiting)
        if waiting:
            yield from self._side_by_side(waiting)

    def _wanted(self, jobs: int) -> int:
        if self._refused_at and time.monotonic() - self._refused_at > SLOW_START_SECONDS:
            self._allowed, self._refused_at = min(self.most, 2 * self._allowed), time.monotonic()
        return min(jobs, self._allowed, int(self.pace / QUICK_SECONDS))

    def _one_after_another(self, waiting: list[JobLog]) -> Iterator[list[Outcome]]:
        """In this thread, until there is something to tell or the calls have become slow."""
        ended: list[Outcome] = []
        until = time.monotonic() + FLUSH_SECONDS
        try:
            while waiting and self._wanted(len(waiting)) <= 1 and time.monotonic() < until:
                ended.append(call(waiting.pop()))
                self._learn(ended[-1:])
        except SystemExit:  # out of time: what has ended is told first
            yield ended
            raise
        yield ended

    def _side_by_side(self, waiting: list[JobLog]) -> Iterator[list[Outcome]]:
        for job in waiting:
            self._to_do.put(job)
        self._start(self._wanted(len(waiting)))
        seen: list[Outcome] = []
        while len(seen) < len(waiting):
            group: list[Outcome] = []
            try:
                self._gather(group, len(waiting) - len(seen))
            except SystemExit:
                yield group
                raise
            seen += group
            yield group
        self._learn(seen)

    def _gather(self, group: list[Outcome], most: int) -> None:
        """Waits for one to end, and for others that do within FLUSH_SECONDS of it."""
        group.append(self._done.get())
        until = time.monotonic() + FLUSH_SECONDS
        while len(group) < most and (rest := until - time.monotonic()) > 0:
            with suppress(queue.Empty):
                group.append(self._done.get(timeout=rest))

    def _start(self, wanted: int) -> None:
        with self._lock:
            missing = wanted - self._running
            self._running += max(0, missing)
        for _ in range(missing):
            threading.Thread(target=self._send, daemon=True).start()

    def _send(self) -> None:
        """What each sender does: call, tell, and end when there has been nothing to do for a while."""
        while True:
            try:
                job = self._to_do.get(timeout=IDLE_SECONDS)
            except queue.Empty:
                with self._lock:
                    if self._to_do.empty():
                        self._running -= 1
                        break
                continue
            self._done.put(call(job))
        for kind in registry.all_types():
            kind.at_rest()

    def _learn(self, ended: list[Outcome]) -> None:
        """The quickest of several is what the server needed; the others waited for each other, too.

        A server that refuses by 421 may be telling that these are too many connections: half as many, for a while.
        """
        self.pace = min(outcome.seconds for outcome in ended)
        told_to_wait = any(o.failure and o.failure.error_class == ErrorClass.THROTTLED for o in ended)
        if told_to_wait and len(ended) > 1:
            self._allowed = max(1, min(self._allowed, len(ended)) // 2)
            self._refused_at = time.monotonic()
