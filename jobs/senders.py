"""Handlers called one after another while the outside world is quick, and side by side while it is slow.

A mail server that answers at once is served fastest by one sender; one that takes 50 ms for each mail by as many as
there are mails (measured). So the number of senders follows the time that a call takes when it is made alone: threads
make each other slow, so that is asked again every now and then.
Senders are threads: they touch no database.
"""

import queue
import threading
import time
from collections import deque
from collections.abc import Callable, Iterator
from contextlib import suppress
from dataclasses import dataclass

from structlog.contextvars import bound_contextvars

from jobs import registry
from jobs.errors import ErrorClass, Failure, describe
from jobs.models import JobLog

FLUSH_SECONDS = 0.05  # what has ended is told at least this often, so that a killed worker repeats little
QUICK_SECONDS = 0.005  # of a call: one sender is best
SECONDS_EACH = 0.001  # of a slower call, for each sender: twice as slow, twice as many
COLD_CALLS = 3  # the first opens a connection; those after it find nothing in any cache
SLOW_SECONDS = 0.02  # no cold call takes longer, but the first
HICCUP_SECONDS = 0.1  # no hiccup of this machine is longer: one such call shows that the server is slow
ASK_AGAIN_SECONDS = 1.0  # until one call is made alone again; at a very slow server the time of ASK_AGAIN_CALLS
ASK_AGAIN_CALLS = 20
IDLE_SECONDS = 10.0  # after which a sender without work ends, and its connections with it
SLOW_START_SECONDS = 600.0  # after which twice as many senders are tried again, once the server refused so many


@dataclass(frozen=True)
class Outcome:
    """What became of one call: the failure, if it failed, and how many seconds it took."""

    job: JobLog
    failure: Failure | None
    seconds: float


Done = queue.SimpleQueue[Outcome]
More = Callable[[int], list[JobLog]]


class Senders:
    """The senders of one worker process; most: how many at most."""

    def __init__(self, most: int) -> None:
        self.most = most
        self.pace = 0.0  # seconds that a call takes; 0: not seen yet
        self.begun: set[int] = set()  # keys of the jobs of this round whose handler has been called
        self._seen: deque[float] = deque(maxlen=3)  # of calls that were made alone
        self._seen_at = 0.0
        self._cold = COLD_CALLS
        self._one_thread = False  # whether the jobs of late may not run in threads
        self._allowed, self._refused_at = most, 0.0
        self._to_do: queue.SimpleQueue[tuple[JobLog, Done]] = queue.SimpleQueue()
        self._running = 0
        self._lock = threading.Lock()

    def portion(self, waiting: int) -> int:
        """How many of `waiting` jobs to take on: as many as need not wait long for each other."""
        if not self.pace:
            return 1
        senders = 1 if self._one_thread else self._wanted(waiting)
        return min(waiting, self._at_hand(senders))

    def call_all(self, jobs: list[JobLog], more: More = lambda room: []) -> Iterator[list[Outcome]]:
        """Calls every job's handler; gives what has ended, in groups, at least every FLUSH_SECONDS.

        more: takes on up to so many further jobs. Called when some have been given, before the senders run out of
        them, so that a slow server is never waited for by fewer than it could be.
        """
        self.begun.clear()
        waiting: list[JobLog] = []
        alone = _sorted_out(jobs, waiting)
        self._one_thread = bool(alone)
        while alone:
            yield from self._one_after_another(alone, most=len(jobs))
        while waiting and self._wanted(len(waiting)) <= 1:
            yield from self._one_after_another(waiting, most=1)
        if waiting and time.monotonic() - self._seen_at > max(ASK_AGAIN_SECONDS, ASK_AGAIN_CALLS * self.pace):
            yield from self._one_after_another([waiting.pop()], most=self.most)
        if waiting:
            yield from self._side_by_side(waiting, more)

    def _at_hand(self, senders: int) -> int:
        """How many jobs so many senders are to have: what they do until it is settled, and until there are more."""
        return int(senders * max(1.0, (FLUSH_SECONDS if senders == 1 else 2 * FLUSH_SECONDS) / self.pace))

    def _wanted(self, jobs: int) -> int:
        if self._refused_at and time.monotonic() - self._refused_at > SLOW_START_SECONDS:
            self._allowed, self._refused_at = min(self.most, 2 * self._allowed), time.monotonic()
        wanted = 1 if self.pace < QUICK_SECONDS else int(self.pace / SECONDS_EACH)
        return min(jobs, self._allowed, wanted)

    def _one_after_another(self, waiting: list[JobLog], most: int) -> Iterator[list[Outcome]]:
        """In this thread, until there is something to tell or the calls are so slow that more than `most` are due."""
        ended: list[Outcome] = []
        until = time.monotonic() + FLUSH_SECONDS
        try:
            while waiting and self._wanted(len(waiting)) <= most and time.monotonic() < until:
                ended.append(self._call(waiting.pop()))
                self._learn_pace(ended[-1].seconds)
                if _for_all(ended[-1:]):
                    ended += _untried(waiting, ended[-1])
                    waiting.clear()
        except SystemExit:  # out of time: what has ended is told first
            yield ended
            raise
        yield ended

    def _side_by_side(self, waiting: list[JobLog], more: More) -> Iterator[list[Outcome]]:
        """One job for each sender, and no other for it before what became of the first is told, so that a killed worker
        repeats no more than that; those that follow are taken on meanwhile. Tells when half of the senders are done."""
        done: Done = queue.SimpleQueue()  # of this round alone: what ends later than its round is nobody's
        senders = self._wanted(len(waiting))
        self._start(senders)
        under_way, apart, welcome = 0, list[JobLog](), True
        try:
            while waiting or under_way:
                under_way += self._hand_out(waiting, senders - under_way, done)
                room = self._at_hand(senders) - under_way - len(waiting)
                if welcome and not apart and room > 0 and len(waiting) <= senders // 2:
                    apart = _sorted_out(more(room), waiting)
                group: list[Outcome] = []
                try:
                    _gather(done, group, min(under_way, max(1, senders // 2)))
                except SystemExit:
                    self._call_off()
                    yield group
                    raise
                refused = _for_all(group)
                called_off = self._call_off() if refused else []
                under_way -= len(group) + len(called_off)
                welcome = welcome and not refused and self._may_go_on(group, senders)
                if refused:
                    group += _untried([*called_off, *waiting], refused)
                    waiting.clear()
                yield group
        finally:
            self._call_off()  # nobody listens any more: the database is away for longer than a lease
        while apart:
            yield from self._one_after_another(apart, most=len(apart))

    def _hand_out(self, waiting: list[JobLog], most: int, done: Done) -> int:
        handed_out = min(most, len(waiting))
        for _ in range(handed_out):
            self._to_do.put((waiting.pop(), done))
        return handed_out

    def _call(self, job: JobLog) -> Outcome:
        """Calls the job's handler. Raises nothing but the alarm of a worker that is out of time: no Exception."""
        self.begun.add(job.pk)
        began = time.monotonic()
        failure = None
        with bound_contextvars(request_id=job.request_id):
            try:
                registry.get(job.job_type).handler(job)
            except Exception as exc:  # whatever a handler raises is the job's failure, never the worker's
                failure = describe(exc)
        return Outcome(job, failure, time.monotonic() - began)

    def _call_off(self) -> list[JobLog]:
        """What no sender has begun: it is not begun any more."""
        left: list[JobLog] = []
        with suppress(queue.Empty):
            while True:
                left.append(self._to_do.get_nowait()[0])
        return left

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
                job, done = self._to_do.get(timeout=IDLE_SECONDS)
            except queue.Empty:
                with self._lock:
                    if self._to_do.empty():
                        self._running -= 1
                        break
                continue
            done.put(self._call(job))
        for kind in registry.all_types():
            kind.at_rest()

    def _learn_pace(self, seconds: float) -> None:
        """A call that was made alone took so long. A cold one counts only if it shows that the server is slow."""
        self._seen_at = time.monotonic()
        cold, self._cold = self._cold, max(0, self._cold - 1)
        if cold == COLD_CALLS or (cold and seconds < SLOW_SECONDS):
            return
        self._seen.append(seconds)
        self.pace = seconds if seconds > HICCUP_SECONDS else min(self._seen)

    def _may_go_on(self, ended: list[Outcome], senders: int) -> bool:
        """Not when the server refuses by 421: these may be too many senders; half as many, for a while."""
        if not any(o.failure and o.failure.error_class == ErrorClass.THROTTLED for o in ended):
            return True
        self._allowed = max(1, min(self._allowed, senders) // 2)
        self._refused_at = time.monotonic()
        return False


def _sorted_out(fresh: list[JobLog], waiting: list[JobLog]) -> list[JobLog]:
    """Puts those that may run in threads behind `waiting`, whose first is its last; the others."""
    waiting[:0] = [job for job in reversed(fresh) if registry.may_run_in_threads(job.job_type)]
    return [job for job in reversed(fresh) if not registry.may_run_in_threads(job.job_type)]


def _gather(done: Done, group: list[Outcome], most: int) -> None:
    """Waits for one call to end, and for others that do within FLUSH_SECONDS of it."""
    group.append(done.get())
    until = time.monotonic() + FLUSH_SECONDS
    while len(group) < most and (rest := until - time.monotonic()) > 0:
        with suppress(queue.Empty):
            group.append(done.get(timeout=rest))


def _for_all(ended: list[Outcome]) -> Outcome | None:
    """The outcome that says that no other job would fare better: the configuration is wrong."""
    return next((o for o in ended if o.failure and o.failure.error_class == ErrorClass.CONFIGURATION), None)


def _untried(jobs: list[JobLog], refused: Outcome) -> list[Outcome]:
    """Jobs whose turn had not come: a server that is asked fifty times with a wrong password may lock the account."""
    return [Outcome(job, refused.failure, 0.0) for job in jobs]
