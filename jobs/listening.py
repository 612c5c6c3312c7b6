"""Being woken by PostgreSQL's LISTEN and NOTIFY; where that does not work (SQLite, PgBouncer), by the clock.

NOTIFY never runs inside a transaction of ours: it takes a lock that every commit shares (TRAPS.md).
"""

import time
from typing import Any

import structlog
from django.db import close_old_connections, connection

log = structlog.get_logger("jobs.listening")

DEAF_POLL_SECONDS = 0.2  # between looks, when nobody can wake us
POLL_SECONDS = 300.0  # when somebody does: for nothing that is known of
PROOF_SECONDS = 2.0  # in which we must hear ourselves


def notify(channel: str) -> None:
    """Wakes whoever listens on `channel`. Nothing where the database cannot."""
    if connection.vendor == "postgresql":
        with connection.cursor() as cursor:
            cursor.execute(f"NOTIFY {channel}")


class Ear:
    """Listens on one channel with this process's connection; does again when that is another one."""

    def __init__(self, channel: str) -> None:
        self.channel = channel
        self._on: Any = None  # the psycopg connection that was told to LISTEN
        self._proved = False  # whether it does hear

    @property
    def poll_seconds(self) -> float:
        """How long to wait at most before looking unasked."""
        return POLL_SECONDS if self._hears else DEAF_POLL_SECONDS

    @property
    def _hears(self) -> bool:
        return self._proved and self._on is connection.connection

    def listen(self) -> None:
        """Sees to it that this process's connection lives, and listens."""
        close_old_connections()
        if connection.vendor != "postgresql":
            return
        connection.ensure_connection()
        if self._on is connection.connection:
            return
        with connection.cursor() as cursor:
            cursor.execute(f"LISTEN {self.channel}")
        notify(self.channel)
        self._on = connection.connection
        self._proved = any(True for _ in self._on.notifies(timeout=PROOF_SECONDS, stop_after=1))
        if not self._proved:
            log.warning("nobody can wake us on this connection (a pooler?): polling", channel=self.channel)

    def woken(self, longest: float) -> bool:
        """Waits up to `longest` seconds; True as soon as somebody has called."""
        if self._hears:
            return any(True for _ in self._on.notifies(timeout=longest, stop_after=1))
        time.sleep(longest)
        return False
