"""A transaction in two round trips, with any engine: BEGIN goes with the first statement, COMMIT with the last ones.

For code that begins with `fetch_first`, changes rows by `sql.execute`, and registers nothing for the commit but
notifications. The engine of the site (notifier/web/postgresql) does so for every transaction.
"""

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from contextvars import ContextVar
from typing import Any

import structlog
from django.db import OperationalError, connection
from psycopg import errors

from jobs.core import sql
from jobs.core.sql import channels

log = structlog.get_logger("jobs.core.sql")

_begins: ContextVar[bool] = ContextVar("the next statement is the first of a short transaction", default=False)


def is_possible() -> bool:
    """Return whether a short transaction can begin: on PostgreSQL, outside of a transaction, with several statements."""
    bound_there = connection.settings_dict["OPTIONS"].get("server_side_binding")
    return sql.is_postgresql() and not bound_there and not connection.in_atomic_block and connection.get_autocommit()


@contextmanager
def transaction() -> Iterator[None]:
    """Commit what the block does; roll it back when the block raises. Its first statement is that of `fetch_first`."""
    begins = _begins.set(True)
    try:
        with sql.collected() as statements:
            yield
        _commit(statements)
    except BaseException:
        _roll_back()
        raise
    finally:
        _begins.reset(begins)


def fetch_first(statement: str, values: Sequence[Any]) -> list[tuple[Any, ...]]:
    """Return the rows of a statement, the first of a short transaction or any other."""
    if not _begins.get():
        return sql.fetch_all(statement, values)
    _begins.set(False)
    with connection.cursor() as cursor:
        cursor.execute(f"BEGIN; {statement}", values)
        cursor.nextset()
        return cursor.fetchall()


def _commit(statements: list[sql.Other]) -> None:
    """Send the statements, the COMMIT and, after it, the notifications. Those that the server refuses are logged."""
    after = [each for each in statements if each[0] == channels.NOTIFY]
    texts, values = zip(*[each for each in statements if each not in after], ("COMMIT", []), *after, strict=True)
    try:
        sql.execute("; ".join(texts), [value for some in values for value in some])
    except OperationalError as error:
        if not isinstance(error.__cause__, errors.ProgramLimitExceeded):  # the server's queue of notifications is full
            raise
        log.warning("listeners cannot be notified", error=str(error))


def _roll_back() -> None:
    try:
        if connection.connection is not None:
            connection.connection.rollback()
    except Exception:  # the connection is lost, and the transaction with it
        connection.close()
