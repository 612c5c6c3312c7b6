"""How long a web request may wait for the database.

A request has REQUEST_SECONDS for all of its waits together. That includes its wait for a thread while the database
fails, since the threads then wait for the database; and always for a program, which tries again after a 503. The
database engine (notifier/web/postgresql) enforces it from the client's side, since no setting of a server ends the wait
for a server that is silent, and since session settings leak to others behind PgBouncer. Outside of requests, as in the
worker, migrations and maintenance, there is no limit.
"""

import time
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from typing import Any

from jobs.brokers.circuit import Circuit
from notifier.web.arrival import ARRIVED, PROGRAMS

REQUEST_SECONDS = 2.2  # with the end of a statement that takes longer: less than 3 s (P15)
BUSY_SECONDS = 10.0  # for a thread, while the database answers: for a person, a late page is better than none
TROUBLE_SECONDS = 5.0  # for which the database counts as failing after a request ran out of time
SQLITE_SECONDS = 0.8  # for a lock of SQLite; a sign-in waits for one three times: its counter, its record, its session
LEAST_SECONDS = 0.1  # for a statement after the request has used up its time: the end of a transaction, for example
SKIP_SECONDS = 1.0  # for which a database that did not answer is skipped

database = Circuit(SKIP_SECONDS)


class Trouble:
    """The last time, in this process, at which the database failed a request."""

    def __init__(self) -> None:
        self._last = float("-inf")

    def report(self) -> None:
        """Report that a request had to end because of the database."""
        self._last = time.monotonic()

    def __bool__(self) -> bool:
        return time.monotonic() - self._last < TROUBLE_SECONDS


trouble = Trouble()


class Patience:
    """The seconds that a request has left to wait; outer: what it has left in all, if this is for a part of it."""

    def __init__(self, seconds: float, outer: "Patience | None" = None) -> None:
        self._seconds, self._outer = seconds, outer

    @property
    def left(self) -> float:
        """Return the seconds for the next statement."""
        return max(LEAST_SECONDS, self._seconds)

    def spend(self, seconds: float) -> None:
        """Count a wait."""
        self._seconds -= seconds
        if self._outer:
            self._outer.spend(seconds)
        elif self._seconds <= 0:
            trouble.report()


_patience: ContextVar[Patience | None] = ContextVar("patience", default=None)


def patience() -> Patience | None:
    """Return the patience of the present request; None outside of requests."""
    return _patience.get()


@contextmanager
def limited_to(seconds: float) -> Iterator[None]:
    """Let the statements inside wait for `seconds` at most, all together. Does nothing outside of requests."""
    outer = _patience.get()
    if outer is None:
        yield
        return
    token = _patience.set(Patience(min(seconds, outer.left), outer))
    try:
        yield
    finally:
        _patience.reset(token)


def bounded(application: Callable[..., Iterable[bytes]]) -> Callable[..., Iterable[bytes]]:
    """Wrap a WSGI application: each request has a limit. The body of a streamed response has none."""

    def respond(environ: dict[str, Any], start_response: Any) -> Iterable[bytes]:
        waited = seconds_since_arrival(environ) if _is_impatient(environ) else 0.0
        token = _patience.set(Patience(REQUEST_SECONDS - waited))
        try:
            return application(environ, start_response)
        finally:
            _patience.reset(token)

    return respond


def is_too_late(environ: dict[str, Any]) -> bool:
    """Return whether a request has waited too long for a thread to be answered."""
    return seconds_since_arrival(environ) > (REQUEST_SECONDS if _is_impatient(environ) else BUSY_SECONDS)


def _is_impatient(environ: dict[str, Any]) -> bool:
    """Return whether the wait for a thread counts: while the database fails, and for a program."""
    return bool(trouble) or environ.get("PATH_INFO", "").startswith(PROGRAMS)


def seconds_since_arrival(environ: dict[str, Any]) -> float:
    """Return how long ago the request arrived; 0 under a server that does not say when it arrived."""
    now = time.monotonic()
    arrived: float = environ.get(ARRIVED, now)
    return now - arrived
