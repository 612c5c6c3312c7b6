"""A transaction of one statement, with its COMMIT and the NOTIFY after it, in one round trip."""

from collections.abc import Sequence
from typing import Any

from django.db import connection

from jobs.core import sql
from jobs.core.sql import channels

PROGRAM_LIMIT_EXCEEDED = "54000"  # SQLSTATE: the server's queue of notifications is full


def is_possible() -> bool:
    """Return whether several statements can be sent together: on PostgreSQL, outside of a transaction."""
    bound_there = connection.settings_dict["OPTIONS"].get("server_side_binding")
    return sql.is_postgresql() and not bound_there and not connection.in_atomic_block and connection.get_autocommit()


def fetch_and_notify(statement: str, values: Sequence[Any], wake: channels.Notification) -> list[tuple[Any, ...]]:
    """Return the rows of a statement, commit it, and wake the listeners.

    Raises OperationalError, with the statement committed, when the server has no room for the notification.
    """
    try:
        with connection.cursor() as cursor:
            cursor.execute(f"BEGIN; {statement}; COMMIT; {channels.NOTIFY}", [*values, wake.channel, wake.word])
            cursor.nextset()
            return cursor.fetchall()
    except BaseException:
        _roll_back()
        raise


def is_committed(error: Exception) -> bool:
    """Return whether an error of `fetch_and_notify` may be that of the notification alone; the rows show it."""
    return getattr(error.__cause__, "sqlstate", None) == PROGRAM_LIMIT_EXCEEDED


def _roll_back() -> None:
    """End the transaction that an error has left open."""
    try:
        if connection.connection is not None:
            connection.connection.rollback()
    except Exception:  # the connection is lost, and the transaction with it
        connection.close()
