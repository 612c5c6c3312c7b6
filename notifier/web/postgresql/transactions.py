"""Transactions of PostgreSQL with fewer round trips: BEGIN is sent with the first statement, the last ones with COMMIT.

A SAVEPOINT is sent with the first statement in it, and its RELEASE with the last ones.

psycopg's connections stay in autocommit, so that psycopg sends no BEGIN of its own. With an `isolation_level` or
`server_side_binding` in OPTIONS, and on a connection that is not ours, everything is as Django does it.
"""

# mypy: disable-error-code="misc,attr-defined"
# The stubs of this engine have neither psycopg's methods nor the private ones.

from collections.abc import Sequence
from typing import Any

import psycopg
import structlog
from django.db.backends.postgresql import base
from django.db.backends.utils import debug_transaction
from django.db.utils import InternalError, OperationalError
from psycopg import errors
from psycopg.pq import TransactionStatus

from jobs.core.sql.channels import NOTIFY, Notification

log = structlog.get_logger("notifier.web")

FAILED = "a statement of the transaction has failed, so nothing was committed"


class ShortConnection(psycopg.Connection[Any]):
    """A connection that opens transactions itself when `opens_transactions` is set."""

    opens_transactions = False

    def __init__(self, *arguments: Any, **options: Any) -> None:
        super().__init__(*arguments, **options)
        self.kept: list[tuple[str, Sequence[Any]]] = []
        """Statements to send before the next one, or with the commit, or with the end of the savepoint."""
        self.savepoints: list[str] = []
        """Those to create before the next statement, and before what is kept."""

    def first(self) -> list[str]:
        """Return the statements that come before the next one: those that open a transaction and savepoints."""
        begins = self.opens_transactions and self.pgconn.transaction_status == TransactionStatus.IDLE
        return [*(["BEGIN"] if begins else []), *self.savepoints]

    def prepare(self) -> None:
        """Send what comes before a statement that cannot be sent together with it."""
        if first := self.first():
            psycopg.ClientCursor(self).execute("; ".join(first))
            self.savepoints = []
        self.send_kept()

    def send_kept(self) -> None:
        """Send the statements that were kept."""
        kept, self.kept = self.kept, []
        for statement, values in kept:
            self.cursor().execute(statement.encode(), values)

    def rollback(self) -> None:
        """Roll back, and forget the statements that were kept."""
        self.kept, self.savepoints = [], []
        super().rollback()


class Cursor(base.Cursor, psycopg.ClientCursor[Any]):
    """Django's cursor, which sends BEGIN together with the first statement of a transaction."""

    connection: ShortConnection

    def execute(self, query: Any, params: Any = None, **options: Any) -> Any:
        """Execute a statement; its results are the same as without the statements before it."""
        self.connection.send_kept()
        if not (first := self.connection.first()):
            return super().execute(query, params, **options)
        if not isinstance(query, str):
            self.connection.prepare()
            return super().execute(query, params, **options)
        try:
            super().execute("; ".join([*first, query]).encode(), params, **options)
        except psycopg.DatabaseError:
            if self.connection.pgconn.transaction_status == TransactionStatus.INERROR:  # not refused before it was sent
                self.connection.savepoints = []
            raise
        self.connection.savepoints = []
        for _ in first:
            self.nextset()
        return self

    def executemany(self, *arguments: Any, **options: Any) -> None:
        """Execute a statement with each set of values."""
        self.connection.prepare()
        super().executemany(*arguments, **options)

    def copy(self, *arguments: Any, **options: Any) -> Any:
        """Start a COPY."""
        self.connection.prepare()
        return super().copy(*arguments, **options)


class ShortTransactions(base.DatabaseWrapper):
    """Django's engine, whose transactions cost no round trip for BEGIN, nor one for the last statements or a NOTIFY."""

    def get_connection_params(self) -> dict[str, Any]:
        """Return Django's parameters, with our cursors in place of its own; psycopg begins no transaction if we do."""
        params: dict[str, Any] = super().get_connection_params()
        if params["cursor_factory"] is base.Cursor and "isolation_level" not in self.settings_dict["OPTIONS"]:
            params |= {"cursor_factory": Cursor, "autocommit": True}
        return params

    @property
    def _is_short(self) -> bool:
        return self.connection is not None and self.connection.cursor_factory is Cursor

    def create_cursor(self, name: str | None = None) -> Any:
        """Return a cursor; one of the server needs a transaction that is open."""
        if name and self._is_short:
            self.connection.prepare()
        return super().create_cursor(name)

    def execute_with_commit(self, statement: str, values: Sequence[Any]) -> bool:
        """Keep a statement until the commit, or until the next statement; False when no commit of ours comes next.

        Its errors are raised there. Within a savepoint it is kept until that ends. As for every statement, Django's
        TransactionManagementError is raised in a transaction that can only be rolled back.
        """
        if not (self._is_short and self.in_atomic_block) or None in self.savepoint_ids[-1:]:
            return False
        self.validate_no_broken_transaction()
        self.connection.kept.append((statement, values))
        return True

    def _set_autocommit(self, autocommit: bool) -> None:
        """Begin or end a transaction, and have Django number its savepoints from 1.

        psycopg keeps the parsed text of each statement. With a new name for each savepoint it would parse them all.
        """
        self.savepoint_state = 0
        if self._is_short:
            self.connection.opens_transactions = not autocommit
        else:
            super()._set_autocommit(autocommit)

    def _savepoint(self, sid: str) -> None:
        """Create a savepoint with the next statement."""
        if not self._is_short:
            super()._savepoint(sid)
            return
        with self.wrap_database_errors:
            self.connection.send_kept()
        statement = self.ops.savepoint_create_sql(sid)
        with debug_transaction(self, statement):
            self.connection.savepoints.append(statement)

    def _savepoint_commit(self, sid: str) -> None:
        """Release a savepoint, with the statements that were kept in it; forget one in which nothing was sent."""
        if not self._is_short:
            super()._savepoint_commit(sid)
            return
        connection, release = self.connection, self.ops.savepoint_commit_sql(sid)
        if connection.kept or connection.savepoints[-1:] != [self.ops.savepoint_create_sql(sid)]:
            self._execute_with_kept([(release, [])])
            return
        with debug_transaction(self, release):
            connection.savepoints.pop()

    def _savepoint_rollback(self, sid: str) -> None:
        """Undo what was sent in a savepoint, and forget what was kept in it."""
        if not self._is_short:
            super()._savepoint_rollback(sid)
            return
        connection, created = self.connection, self.ops.savepoint_create_sql(sid)
        connection.kept = []
        if created not in connection.savepoints:
            super()._savepoint_rollback(sid)
            return
        with debug_transaction(self, self.ops.savepoint_rollback_sql(sid)):
            del connection.savepoints[connection.savepoints.index(created) + 1 :]

    def _commit(self) -> None:
        """Commit, with the statements that were kept before it and the notifications of listeners after it.

        Raises InternalError when a statement has failed and its error was suppressed: the server would roll back, and
        say nothing. The statement may be one that was kept, whose error appears at another.
        """
        if self._is_short:
            self.connection.savepoints = []  # in which nothing was sent
            if self._has_failed():
                raise InternalError(FAILED)
        if not self._is_short or not (self.connection.kept or self._is_in_transaction()):
            super()._commit()
            return
        after = [(NOTIFY, [each.channel, each.word]) for each in self._take_notifications()]
        if not (self.connection.kept or after):
            super()._commit()
            return
        try:
            self._execute_with_kept([("COMMIT", []), *after])
        except OperationalError as error:
            full = isinstance(error.__cause__, errors.ProgramLimitExceeded)  # the server's queue of notifications
            if not full or self._has_failed():  # a statement before the COMMIT met another limit
                raise
            log.warning("listeners cannot be notified", error=str(error))

    def _execute_with_kept(self, statements: list[tuple[str, list[Any]]]) -> None:
        """Execute statements in one round trip, those that were kept before them."""
        kept, self.connection.kept = self.connection.kept, []
        texts, values = zip(*kept, *statements, strict=True)
        with self.cursor() as cursor:
            cursor.execute("; ".join(texts), [value for some in values for value in some])

    def _is_in_transaction(self) -> bool:
        return bool(self.connection.pgconn.transaction_status == TransactionStatus.INTRANS)

    def _has_failed(self) -> bool:
        return bool(self.connection.pgconn.transaction_status == TransactionStatus.INERROR)

    def _take_notifications(self) -> list[Notification]:
        """Return the notifications to send after the commit, each once, and remove them from what runs then."""
        hooks = self.run_on_commit
        self.run_on_commit = [hook for hook in hooks if not isinstance(hook[1], Notification)]
        return list(dict.fromkeys(hook[1] for hook in hooks if isinstance(hook[1], Notification)))
