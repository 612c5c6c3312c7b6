"""Waiting for PostgreSQL's NOTIFY; where that does not work (SQLite, PgBouncer's transaction mode), polling."""

import threading
import time
import uuid
from typing import Any

import structlog
from django.db import DatabaseError, close_old_connections, connection

from jobs.core import sql
from jobs.core.sql import channels

log = structlog.get_logger("jobs.brokers.listener")

FALLBACK_POLL_SECONDS = 0.2  # between two looks, where NOTIFY does not arrive
POLL_SECONDS = 300.0  # where it does: a second line of defence
PROOFS = 3  # a NOTIFY arrives if this many do
PROOF_SECONDS = 2.0  # in which all of them must arrive


class Listener:
    """Listens on one channel with this process's database connection, and again after a reconnect."""

    def __init__(self, channel: str) -> None:
        self.channel = channel
        self._connection: Any = None  # the psycopg connection that was prepared last
        self._receives = False  # whether a NOTIFY arrives on it
        self._pooled = False  # whether one was sent and did not arrive: then no later connection is tried

    @property
    def poll_seconds(self) -> float:
        """The longest wait, in seconds, before looking without a NOTIFY."""
        return POLL_SECONDS if self.hears else FALLBACK_POLL_SECONDS

    @property
    def hears(self) -> bool:
        """Whether a NOTIFY arrives on this process's connection."""
        return self._receives and self._connection is connection.connection

    def listen(self) -> None:
        """Make sure that this process's connection is usable and, if NOTIFY arrives on it, listens."""
        close_old_connections()
        if not channels.exist():
            return
        connection.ensure_connection()
        if self._connection is connection.connection:
            return
        self._connection = connection.connection
        self._receives = False
        if self._pooled or sql.is_pooled():
            return
        self._receives = self.prove()
        if not self._receives:
            log.warning("NOTIFY does not arrive on this connection (a pooler?), polling", channel=self.channel)

    def wait(self, timeout: float) -> bool:
        """Wait for a NOTIFY for up to `timeout` seconds; return whether one arrived."""
        if self.hears:
            return bool(list(self._connection.notifies(timeout=timeout, stop_after=1)))
        time.sleep(timeout)
        return False

    @property
    def sockets(self) -> list[Any]:
        """What becomes readable when a NOTIFY arrives."""
        return [self._connection] if self.hears else []

    def prove(self) -> bool:
        """Listen, and return whether a NOTIFY from another connection arrives.

        One from this connection proves nothing. A pooler may run it on a server connection that another client has
        left listening, and then it arrives just this once.
        """
        channels.listen(self.channel)
        caller = Caller(self.channel)
        caller.start()
        if caller.is_heard_by(connection.connection):
            return True
        self._pooled = caller.has_called
        channels.unlisten(self.channel)
        return False


class Caller(threading.Thread):
    """Sends PROOFS notifications on a second connection, in a thread: a full pool must not stop this process."""

    def __init__(self, channel: str) -> None:
        super().__init__(daemon=True)
        self.has_called = False
        self._channel = channel
        self._words = [uuid.uuid4().hex for _ in range(PROOFS)]

    def run(self) -> None:
        """Send the notifications, each in a transaction of its own. Without a connection, send none."""
        try:
            for word in self._words:
                channels.notify(self._channel, word)
            self.has_called = True
        except DatabaseError as away:
            log.warning("no second connection to try NOTIFY with", error=type(away).__name__)
        finally:
            connection.close()  # this thread's own

    def is_heard_by(self, listening: Any) -> bool:
        """Return whether all notifications arrive on a psycopg connection within PROOF_SECONDS."""
        missing = set(self._words)
        for notification in listening.notifies(timeout=PROOF_SECONDS):
            missing.discard(notification.payload)
            if not missing:
                return True
        return False
