"""The caches that count, exact under concurrency: in the database, or in Redis. Neither delays a request.

The first is Django's database cache, with JSON for values.

Django's own `incr` reads and then writes, so two concurrent clients count as one, and it shortens the expiry. Django
pickles every value, so that an attacker who can write a row runs code in the web process; this cache reads JSON
alone. It works the same on PostgreSQL and SQLite.
"""

import json
import random
from collections.abc import Iterable
from datetime import UTC, datetime, timedelta
from typing import Any

from django.core.cache.backends.base import DEFAULT_TIMEOUT
from django.core.cache.backends.db import DatabaseCache
from django.core.cache.backends.redis import RedisCache, RedisCacheClient
from django.db import connection
from django.utils import timezone

from jobs.brokers.redis_client import TIMEOUTS, QuickRedis
from jobs.core.sql.variants import Statement
from notifier.web import waits

SWEEP_ONE_IN = 1_000  # new entries, for each look for old ones
WAIT_SECONDS = 0.25  # of a web request, for one statement of the cache
ADD = """
UPDATE {{table}} SET value = CAST(CAST(value AS bigint) + %s AS text)
WHERE cache_key = %s AND expires >= %s AND value {matches} '^-?[0-9]+$' RETURNING CAST(value AS bigint)
"""
ADDING = Statement(postgresql=ADD.format(matches="~"), sqlite=ADD.format(matches="REGEXP"))
INCREMENT = """
if redis.call('EXISTS', KEYS[1]) == 0 then return false end
return redis.call('INCRBY', KEYS[1], ARGV[1])
"""


class CountingDatabaseCache(DatabaseCache):
    """Every call is atomic. Values are JSON; an entry that is not JSON counts as missing."""

    _table: str

    def add(self, key: str, value: Any, timeout: Any = DEFAULT_TIMEOUT, version: int | None = None) -> bool:
        """Write `value` unless there is a live entry; True when this call wrote it."""
        name = self.make_and_validate_key(key, version=version)
        if self._read(name) is not None:
            return False
        if random.randrange(SWEEP_ONE_IN) == 0:  # noqa: S311  (spreads load, guards nothing)
            self._run("DELETE FROM {table} WHERE expires < %s", [self._stored(timezone.now())])
        return self._write(name, value, timeout, unless_live=True)

    def set(self, key: str, value: Any, timeout: Any = DEFAULT_TIMEOUT, version: int | None = None) -> None:
        """Write `value`. Raise TypeError when it cannot be written as JSON."""
        self._write(self.make_and_validate_key(key, version=version), value, timeout)

    def get_many(self, keys: Iterable[str], version: int | None = None) -> dict[str, Any]:
        """Return the live entries among `keys`; `get` calls this."""
        names = {key: self.make_and_validate_key(key, version=version) for key in keys}
        found = {key: self._read(name) for key, name in names.items()}
        return {key: value for key, value in found.items() if value is not None}

    def incr(self, key: str, delta: int = 1, version: int | None = None) -> int:
        """Add `delta` and return the sum; the expiry stays. Raise ValueError when there is no live entry."""
        name = self.make_and_validate_key(key, version=version)
        with waits.limited_to(WAIT_SECONDS), connection.cursor() as cursor:
            cursor.execute(ADDING.text.format(table=self._table), [delta, name, self._stored(timezone.now())])
            rows = cursor.fetchall()  # SQLite commits an UPDATE when all its rows are read
        if not rows:
            raise ValueError(f"Key '{key}' not found")
        return int(rows[0][0])

    def _read(self, name: str) -> Any:
        """Return the value of a live entry, else None."""
        with waits.limited_to(WAIT_SECONDS), connection.cursor() as cursor:
            cursor.execute(
                f"SELECT value FROM {self._table} WHERE cache_key = %s AND expires >= %s",  # noqa: S608
                [name, self._stored(timezone.now())],
            )
            row = cursor.fetchone()
        try:
            return json.loads(row[0]) if row else None
        except ValueError:  # not written by this class: never unpickled
            self._run("DELETE FROM {table} WHERE cache_key = %s AND value = %s", [name, row[0]])
            return None

    def _write(self, name: str, value: Any, timeout: Any, *, unless_live: bool = False) -> bool:
        """Insert or replace an entry; False when `unless_live` and another call wrote a live one."""
        statement = (
            "INSERT INTO {table} (cache_key, value, expires) VALUES (%s, %s, %s) "
            "ON CONFLICT (cache_key) DO UPDATE SET value = excluded.value, expires = excluded.expires"
        )
        values = [name, json.dumps(value), self._stored(self._expiry(timeout))]
        if unless_live:
            statement += " WHERE {table}.expires < %s"
            values.append(self._stored(timezone.now()))
        return bool(self._run(statement, values))

    def _run(self, statement: str, values: list[Any]) -> int:
        with waits.limited_to(WAIT_SECONDS), connection.cursor() as cursor:
            cursor.execute(statement.format(table=self._table), values)
            return cursor.rowcount

    def _expiry(self, timeout: Any) -> datetime:
        """Return when an entry expires: by the same clock that `_read` uses."""
        seconds = self.default_timeout if timeout is DEFAULT_TIMEOUT else timeout
        if seconds is None:
            return datetime.max.replace(tzinfo=UTC)
        return timezone.now() + timedelta(seconds=seconds or -1)  # 0: expired, as in Django

    def _stored(self, moment: datetime) -> Any:
        return connection.ops.adapt_datetimefield_value(moment.replace(microsecond=0))


class BoundedRedisCache(RedisCache):
    """Django's cache in Redis, with short waits. While Redis is silent, every call but one a second fails quickly."""

    def __init__(self, server: Any, params: dict[str, Any]) -> None:
        super().__init__(server, {**params, "OPTIONS": {**TIMEOUTS, **params.get("OPTIONS", {})}})
        self._class = BoundedRedisClient


class BoundedRedisClient(RedisCacheClient):
    """Django's, with a client that skips a silent server."""

    def __init__(self, servers: Any, **options: Any) -> None:
        super().__init__(servers, **options)
        self._client = QuickRedis

    def incr(self, key: Any, delta: int) -> int:
        """Add `delta` and return the sum, in one step. Raise ValueError when there is no entry.

        Django asks and adds in two steps: an entry that is lost in between would begin again and never expire.
        """
        total = self.get_client(key, write=True).eval(INCREMENT, 1, key, delta)
        if total is None:
            raise ValueError(f"Key '{key}' not found")
        return int(total)
