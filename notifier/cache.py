"""The cache that counts: Django's database cache with an `add` and an `incr` that are exact under concurrency.

Django's own `incr` reads and then writes, so two clients at once count as one, and it shortens the expiry. This
one works the same on PostgreSQL and SQLite.
"""

import base64
import pickle
import random
from datetime import UTC, datetime
from typing import Any

from django.core.cache.backends.base import DEFAULT_TIMEOUT
from django.core.cache.backends.db import DatabaseCache
from django.db import connection, transaction
from django.utils import timezone

SWEEP_ONE_IN = 1_000  # new entries, for each look for old ones


class CountingDatabaseCache(DatabaseCache):
    """`add` and `incr` are each atomic; what they write expires when `add` said. Everything else is Django's."""

    _table: str

    def add(self, key: str, value: Any, timeout: Any = DEFAULT_TIMEOUT, version: int | None = None) -> bool:
        """Writes `value` unless there is a live entry; True when this call wrote it."""
        name = self.make_and_validate_key(key, version=version)
        if self._read(name):
            return False
        expires = self._stored(self._expiry(timeout))
        if random.randrange(SWEEP_ONE_IN) == 0:  # noqa: S311  (spreads load, guards nothing)
            self._run("DELETE FROM {table} WHERE expires < %s", [self._stored(timezone.now())])
        return bool(
            self._run(
                "INSERT INTO {table} (cache_key, value, expires) VALUES (%s, %s, %s) "
                "ON CONFLICT (cache_key) DO UPDATE SET value = excluded.value, expires = excluded.expires "
                "WHERE {table}.expires < %s",
                [name, _dump(value), expires, self._stored(timezone.now())],
            )
        )

    def incr(self, key: str, delta: int = 1, version: int | None = None) -> int:
        """Adds `delta` and returns the sum; the expiry stays. Raises ValueError when there is no live entry."""
        name = self.make_and_validate_key(key, version=version)
        with transaction.atomic():
            row = self._read(name, lock=True)
            if row is None:
                raise ValueError(f"Key '{key}' not found")
            total = pickle.loads(base64.b64decode(row[0])) + delta  # noqa: S301  (our own table)
            self._run("UPDATE {table} SET value = %s WHERE cache_key = %s", [_dump(total), name])
        return total

    def _read(self, name: str, lock: bool = False) -> tuple[str] | None:
        """The live entry, its row locked if asked; SQLite has one writer anyway (IMMEDIATE)."""
        lock_rows = " FOR UPDATE" if lock and connection.features.has_select_for_update else ""
        with connection.cursor() as cursor:
            cursor.execute(
                f"SELECT value FROM {self._table} WHERE cache_key = %s AND expires >= %s{lock_rows}",  # noqa: S608
                [name, self._stored(timezone.now())],
            )
            return cursor.fetchone()

    def _run(self, statement: str, values: list[Any]) -> int:
        with connection.cursor() as cursor:
            cursor.execute(statement.format(table=self._table), values)
            return cursor.rowcount

    def _expiry(self, timeout: Any) -> datetime:
        until = self.get_backend_timeout(timeout)
        return datetime.max.replace(tzinfo=UTC) if until is None else datetime.fromtimestamp(until, tz=UTC)

    def _stored(self, moment: datetime) -> Any:
        return connection.ops.adapt_datetimefield_value(moment.replace(microsecond=0))


def _dump(value: Any) -> str:
    return base64.b64encode(pickle.dumps(value, pickle.HIGHEST_PROTOCOL)).decode("ascii")
