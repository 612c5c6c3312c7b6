"""The database engine (ENGINE): Django's for PostgreSQL, with bounded waits in web requests (notifier/web/waits.py).

A statement that takes too long is cancelled at the server, with libpq's own cancel request, which PgBouncer passes on.
So it holds neither a lock nor a connection there. A server that does not react to that is silent: the connection is
dropped, and for a second all requests of the process skip the database.
"""

import select
import socket
import time
from contextlib import suppress
from types import ModuleType
from typing import Any

import psycopg
from psycopg import errors

from notifier.web import waits
from notifier.web.postgresql import transactions

CANCEL_SECONDS = 0.2  # for the cancel request, and again for the statement to end
SILENT_SECONDS = 1.0  # a shorter silence may be a slow disk
CONNECT_SECONDS = 2  # the least that psycopg accepts
FRESH_SECONDS = 1.0  # for which a connection that worked is not checked again before a request
POLL_SECONDS = 0.1  # psycopg's own interval between two looks at a signal
SKIPPED = "the database has just failed to answer"


class BoundedConnection(transactions.ShortConnection):
    """A connection that waits no longer for the server than the present request may."""

    _worked_at = float("-inf")  # time.monotonic(), in a request

    def wait(self, gen: Any, interval: float = POLL_SECONDS, timeout: float | None = None) -> Any:
        """Run one of psycopg's operations. Raise OperationalError when the request's time is over."""
        patience = waits.patience()
        if patience is None or timeout is not None:
            return super().wait(gen, interval, timeout)
        if not waits.database.allows():
            self.pgconn.finish()
            raise psycopg.OperationalError(SKIPPED)
        began = time.monotonic()
        try:
            result = super().wait(gen, interval, patience.left)
        except errors._WaitTimeout:
            self._end(gen, began)
            raise psycopg.OperationalError("the database took too long") from None
        finally:
            patience.spend(time.monotonic() - began)
        waits.database.worked()
        self._worked_at = time.monotonic()
        return result

    def is_fresh(self) -> bool:
        """Return whether the server answered a request just now, and has sent nothing since: no error, no end."""
        return time.monotonic() - self._worked_at < FRESH_SECONDS and not _is_readable(self.pgconn.socket)

    def _end(self, gen: Any, began: float) -> None:
        """Cancel an operation, which then raises QueryCanceled; drop the connection of a server that does not react.

        An operation may also end in good order: a commit that waited for an absent standby does, and only here.
        began: time.monotonic() of its start. A server that has been silent since then is skipped for a while.
        """
        with suppress(psycopg.Error):
            self.cancel_safe(timeout=CANCEL_SECONDS)
        try:
            super().wait(gen, timeout=CANCEL_SECONDS)
        except errors._WaitTimeout:
            self.pgconn.finish()
            if time.monotonic() - began > SILENT_SECONDS:
                waits.database.failed()
            raise psycopg.OperationalError("the database does not answer") from None


bounded_psycopg = ModuleType(psycopg.__name__)
vars(bounded_psycopg).update(vars(psycopg), connect=BoundedConnection.connect)


class DatabaseWrapper(transactions.ShortTransactions):
    """Django's, with connections that are bounded, and transactions of fewer round trips."""

    Database = bounded_psycopg

    def get_new_connection(self, conn_params: dict[str, Any]) -> Any:
        """Connect; in a request within CONNECT_SECONDS, and not at all just after that failed."""
        patience = waits.patience()
        if patience is None:
            return super().get_new_connection(conn_params)
        if not waits.database.allows():
            raise psycopg.OperationalError(SKIPPED)
        began = time.monotonic()
        try:
            connection = self._connect(conn_params | {"connect_timeout": CONNECT_SECONDS})
        except errors.ConnectionTimeout:
            waits.database.failed()
            raise
        finally:
            patience.spend(time.monotonic() - began)
        waits.database.worked()
        return connection

    def close_if_health_check_failed(self) -> None:
        """Skip Django's check, a round trip before each request, for a connection that is certainly in order."""
        if not self.health_check_enabled or self.health_check_done:  # type: ignore[attr-defined, has-type]
            return
        if isinstance(self.connection, BoundedConnection) and self.connection.is_fresh():
            self.health_check_done = True
        super().close_if_health_check_failed()

    def _connect(self, conn_params: dict[str, Any]) -> Any:
        """Try each address of the host until one has timed out: psycopg gives each of them the whole time."""
        *others, last = _addresses(conn_params)
        for address in others:
            try:
                return super().get_new_connection(conn_params | address)
            except errors.ConnectionTimeout:
                raise
            except psycopg.OperationalError:
                continue
        return super().get_new_connection(conn_params | last)


def _is_readable(descriptor: int) -> bool:
    poll = select.poll()
    poll.register(descriptor, select.POLLIN)
    return bool(poll.poll(0))


def _addresses(conn_params: dict[str, Any]) -> list[dict[str, str]]:
    """Return the addresses of one named host as parameters; an empty set for a socket, several hosts or an address."""
    host, port = str(conn_params.get("host", "")), conn_params.get("port") or 5432
    if not host or "/" in host or "," in host or "hostaddr" in conn_params:
        return [{}]
    try:
        found = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)
    except OSError:
        return [{}]
    return [{"hostaddr": str(info[4][0])} for info in found]
