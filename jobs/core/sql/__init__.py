"""Functions and statements that differ by database. Other modules call them, and do not ask which database is in use.

PostgreSQL is the database of production. SQLite serves a first look and the quick tests; it has one writer, so its
statements need no locks.
"""

from collections.abc import Iterator, Mapping, Sequence
from contextlib import AbstractContextManager, contextmanager, nullcontext
from contextvars import ContextVar
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any

from django.db import InterfaceError, InternalError, OperationalError, connection, transaction
from django.db.backends.base.base import BaseDatabaseWrapper
from django.db.models import DateTimeField, Value
from django.db.models.functions import Greatest, Now

SERVER_STATE = (
    "SELECT pg_is_in_recovery(), current_setting('transaction_read_only')::bool, current_setting('server_encoding')"
)
IDLE = 0  # libpq's PQTRANS_IDLE: outside a transaction
READ_ONLY = "25006"  # SQLSTATE read_only_sql_transaction
CLOCK = {"postgresql": "clock_timestamp()", "sqlite": "STRFTIME('%%Y-%%m-%%d %%H:%%M:%%f', 'NOW')"}
LIMIT_WAITS = "SELECT current_setting('lock_timeout'), set_config('lock_timeout', %(lock_timeout)s, true)"
RESTORE_WAITS = "SELECT set_config('lock_timeout', %s, true)"
NO_FLUSH = "SET LOCAL synchronous_commit TO off"
LIMIT_QUERIES = "SELECT set_config('statement_timeout', %s, true), set_config('enable_bitmapscan', %s, true)"
LIMIT_IDLE = "SELECT set_config('idle_in_transaction_session_timeout', %s, true)"
TIMEOUTS = ("57014", "55P03")  # SQLSTATE of query_canceled and lock_not_available
SNAPSHOT = "SET TRANSACTION ISOLATION LEVEL REPEATABLE READ READ ONLY"

Other = tuple[str, Sequence[Any]]  # a statement and its values

_kept: ContextVar[list[Other] | None] = ContextVar("statements of one_round_trip", default=None)


def savepoint() -> AbstractContextManager[Any]:
    """Return a savepoint within a transaction, so that a failure inside of it does not break the rest; else nothing."""
    return transaction.atomic() if connection.in_atomic_block else nullcontext()


def is_away(error: BaseException) -> bool:
    """Return whether the database is away: the statement may be right, and may work later or on another connection.

    It cannot be reached, does not answer, shuts down, has no connection left, is full or locked, or it is read-only:
    a standby, or a primary that has been replaced (SQLSTATE 25006, an InternalError). Close the connection then, so
    that the next one leads to the server that is the primary by that time.
    """
    if isinstance(error, OperationalError | InterfaceError):
        return not str(error).startswith("no such ")  # a table or column that is missing in SQLite
    return isinstance(error, InternalError) and getattr(error.__cause__, "sqlstate", None) == READ_ONLY


@dataclass(frozen=True)
class ServerState:
    """What a server may do."""

    in_recovery: bool
    """Whether it is a standby."""
    read_only: bool
    """Whether it refuses writes."""
    encoding: str
    """Of the database."""


def server_state() -> ServerState:
    """Ask the server. SQLite is always writable, and in UTF-8."""
    if not is_postgresql():
        return ServerState(in_recovery=False, read_only=False, encoding="UTF8")
    return ServerState(*fetch_one(SERVER_STATE, []))


def is_postgresql() -> bool:
    """Return whether the database is PostgreSQL."""
    return connection.vendor == "postgresql"


def clock() -> str:
    """Return the SQL expression of the database's present time."""
    return CLOCK[connection.vendor]


def now() -> datetime:
    """Return the database's present time. SQLite uses this machine's clock."""
    return fetch_one("SELECT clock_timestamp()", [])[0] if is_postgresql() else datetime.now(UTC)


def from_now(seconds: float) -> Any:
    """Return an expression for the database's time, `seconds` from now.

    For 0 it is plain Now(): SQLite writes a sum with more digits, which sort after the same time with fewer.
    """
    return Now() + timedelta(seconds=seconds) if seconds else Now()


def not_past(at: datetime) -> Any:
    """Return an expression for a time, or for the database's time when that is later."""
    return Greatest(Value(at, DateTimeField()), Now())


def execute(statement: str, values: Sequence[Any] = ()) -> None:
    """Execute a statement that returns nothing of interest, in a block of `one_round_trip` at its end."""
    kept = _kept.get()
    if kept is not None:
        kept.append((statement, values))
        return
    with connection.cursor() as cursor:
        cursor.execute(statement, values)


def fetch_one(statement: str, values: Sequence[Any]) -> tuple[Any, ...]:
    """Execute a statement and return its first row."""
    with connection.cursor() as cursor:
        cursor.execute(statement, values)
        return cursor.fetchone()


def fetch_limited(milliseconds: int, statement: str, values: Sequence[Any]) -> tuple[Any, ...] | None:
    """Execute a statement that may take this long, outside a transaction, and return its first row or None.

    The limit is sent together with the statement and ends with it: behind a pooler, the next statement on the server's
    connection may be another client's. SQLite has no limit.
    """
    with connection.cursor() as cursor:
        if is_postgresql():
            cursor.execute(f"SET LOCAL statement_timeout = {int(milliseconds)};{statement}", values)
            cursor.nextset()
        else:
            cursor.execute(statement, values)
        return cursor.fetchone()


def fetch_all(statement: str, values: Sequence[Any] | Mapping[str, Any]) -> list[tuple[Any, ...]]:
    """Execute a statement and return its rows."""
    with connection.cursor() as cursor:
        cursor.execute(statement, values)
        return cursor.fetchall()


@contextmanager
def one_round_trip() -> Iterator[None]:
    """Send all statements of `execute` in the block together, at its end, where the first error is raised.

    In a transaction without a savepoint the end is that of the transaction, or the next statement. A statement whose
    result is fetched is sent immediately, so before those. SQLite has no round trips to spare.
    """
    if not is_postgresql():
        yield
        return
    statements: list[Other] = []
    kept = _kept.set(statements)
    try:
        yield
    finally:
        _kept.reset(kept)
    if statements:
        texts, values = zip(*statements, strict=True)
        _execute_last("; ".join(texts), [value for some in values for value in some])


def _execute_last(statement: str, values: Sequence[Any]) -> None:
    """Execute a statement, together with the COMMIT if that follows and the engine can."""
    later = getattr(connection, "execute_with_commit", None)
    if later is None or not later(statement, values):
        execute(statement, values)


def fetch_with_short_waits(
    statement: str, values: dict[str, Any], milliseconds: int
) -> tuple[str, list[tuple[Any, ...]]]:
    """Limit how long this and later statements of the transaction wait for a lock; return the rows of `statement`.

    Also return the former limit, for `end_short_waits`. One round trip. "" for SQLite, whose timeout is its own.
    """
    with connection.cursor() as cursor:
        if not is_postgresql():
            cursor.execute(statement, values)
            return "", cursor.fetchall()
        cursor.execute(f"{LIMIT_WAITS}; {statement}", {**values, "lock_timeout": f"{milliseconds}ms"})
        [(before, _)] = cursor.fetchall()
        cursor.nextset()
        return before, cursor.fetchall()


def end_short_waits(lock_timeout: str, *, flush: bool) -> None:
    """Undo the limit of `fetch_with_short_waits`, which returned `lock_timeout`, before the end of the transaction.

    flush: whether the commit waits for the disk. PostgreSQL writes its log in order, so the next commit that waits, of
    any transaction, waits for this one too.
    """
    if is_postgresql():
        execute(RESTORE_WAITS, [lock_timeout])
        if not flush:
            execute(NO_FLUSH)


def fetch_each(queries: Sequence[Any], within: str = "{}") -> list[Any]:
    """Return the first value of each of these querysets, with one statement; None for one without rows.

    within: a query around each.
    """
    parts = [query.query.sql_with_params() for query in queries]
    columns = ", ".join(f"({within.format(text)})" for text, _ in parts)
    return list(fetch_one(f"SELECT {columns}", [value for _, values in parts for value in values]))


def in_transaction(of: BaseDatabaseWrapper) -> bool:
    """Return whether a connection is in a transaction, whether Django began it or a statement did."""
    if of.in_atomic_block:
        return True
    if of.connection is None:
        return False
    if of.vendor == "postgresql":
        return not of.autocommit or of.connection.info.transaction_status != IDLE
    return not of.autocommit or bool(of.connection.in_transaction)


def abandon(of: BaseDatabaseWrapper) -> None:
    """Roll back a connection's transaction by closing it, however deep in atomic blocks; its next use connects."""
    of.in_atomic_block = of.closed_in_transaction = False
    of.close()


def seconds_of(duration: Any) -> float:
    """Return the seconds of a duration as the database returns it: SQLite in microseconds."""
    return duration.total_seconds() if isinstance(duration, timedelta) else duration / 1e6


def limit_queries(milliseconds: int, *, bitmap_scans: bool = True) -> None:
    """Limit each query until the end of the transaction; 0 lifts the limit.

    Does nothing on SQLite.
    Without bitmap scans PostgreSQL does not combine two partial indexes of one condition. It would take their
    conditions for independent, expect next to no rows, and read the table instead of one index.
    """
    if is_postgresql():
        execute(LIMIT_QUERIES, [str(milliseconds), "on" if bitmap_scans else "off"])


def limit_idle(milliseconds: int) -> None:
    """End the session, and with it its locks, when this transaction is idle for longer.

    Does nothing on SQLite.
    """
    if is_postgresql():
        execute(LIMIT_IDLE, [f"{milliseconds}ms"])


def is_timeout(error: Exception) -> bool:
    """Return whether an error of the database means that a query or a lock took too long."""
    return getattr(error.__cause__, "sqlstate", None) in TIMEOUTS


def read_one_snapshot() -> None:
    """Let all queries of the transaction that has just begun read one snapshot.

    Does nothing on SQLite.
    """
    if is_postgresql():
        execute(SNAPSHOT)


def is_pooled() -> bool:
    """Return whether DATABASE_URL names a pooler in transaction mode (`?pgbouncer=true`).

    There a statement may run on any connection to the server, so nothing of a session lasts.
    """
    return bool(connection.settings_dict.get("DISABLE_SERVER_SIDE_CURSORS"))
