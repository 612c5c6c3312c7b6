"""A bounded queue of sign-ins, and the daemon thread that reports them."""

import atexit
import heapq
import itertools
import logging
import os
import threading
import time
from collections.abc import Callable
from dataclasses import dataclass, field

from notifier_client.results import Result, Unreachable
from notifier_client.retry import Retry, wait_before
from notifier_client.sign_in import SignIn

log = logging.getLogger("notifier_client")
FLUSH_SECONDS = 2.0


@dataclass(order=True)
class _Delivery:
    due: float
    number: int
    sign_in: SignIn = field(compare=False)
    deadline: float = field(compare=False)
    attempts: int = field(default=0, compare=False)


class Background:
    """Attempts each sign-in when it is due, so that one that fails holds up no other.

    attempt: sends a sign-in once.
    budget: the seconds after which a sign-in is attempted no more.
    size: how many may wait.
    """

    def __init__(self, attempt: Callable[[SignIn], Result | Retry], budget: float, size: int) -> None:
        self._attempt, self._budget, self._size = attempt, budget, size
        self._numbers = itertools.count()
        self._reset()

    def submit(self, sign_in: SignIn) -> bool:
        """Add a sign-in. False, with an entry in the log, when the queue is full or the program is ending."""
        if self._process != os.getpid():
            self._reset()  # a fork has no thread, and the parent reports what it had
        now = time.monotonic()
        with self._changed:
            if len(self._waiting) + self._active >= self._size:
                log.error("The notice %s was dropped: %s others are waiting", sign_in.job_id, self._size)
                return False
            if not self._start():
                log.error("The notice %s was dropped: the program is ending", sign_in.job_id)
                return False
            heapq.heappush(self._waiting, _Delivery(now, next(self._numbers), sign_in, now + self._budget))
            self._changed.notify_all()
        return True

    def flush(self, timeout: float) -> bool:
        """Wait until all are reported. False when the time was too short."""
        if self._process != os.getpid():
            return True
        with self._changed:
            return self._changed.wait_for(lambda: not self._waiting and not self._active, timeout)

    def _reset(self) -> None:
        self._process = os.getpid()
        self._changed = threading.Condition()
        self._waiting: list[_Delivery] = []
        self._active = 0
        self._thread: threading.Thread | None = None

    def _start(self) -> bool:
        """Start the thread if there is none. False when the interpreter starts no more."""
        if self._thread is None:
            thread = threading.Thread(target=self._run, name="notifier-client", daemon=True)
            try:
                thread.start()
            except RuntimeError:
                return False
            self._thread = thread
            atexit.register(self._finish, self._process)
        return True

    def _run(self) -> None:
        while True:
            delivery = self._take()
            try:
                self._deliver(delivery)
            except Exception:
                log.exception("The notice %s was dropped", delivery.sign_in.job_id)
            with self._changed:
                self._active = 0
                self._changed.notify_all()

    def _take(self) -> _Delivery:
        with self._changed:
            while not self._waiting or self._waiting[0].due > time.monotonic():
                self._changed.wait(self._waiting[0].due - time.monotonic() if self._waiting else None)
            self._active = 1
            return heapq.heappop(self._waiting)

    def _deliver(self, delivery: _Delivery) -> None:
        outcome = self._attempt(delivery.sign_in)
        delivery.attempts += 1
        if isinstance(outcome, Retry):
            delivery.due = time.monotonic() + wait_before(delivery.attempts + 1, outcome.wait)
            if delivery.due <= delivery.deadline:
                with self._changed:
                    heapq.heappush(self._waiting, delivery)
                return
            outcome = Unreachable(delivery.sign_in.job_id, outcome.reason, delivery.attempts)
        if not outcome.ok:
            log.error("Notifier did not accept the notice %s: %s", delivery.sign_in.job_id, outcome)

    def _finish(self, process: int) -> None:
        """Give the queue a last chance at the end of the program."""
        if process == os.getpid() and not self.flush(FLUSH_SECONDS):
            left = len(self._waiting) + self._active
            log.error("The program ended before Notifier accepted %s notices", left)
