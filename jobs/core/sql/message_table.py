"""The table of messages: statements of PostgreSQL, each with the queries that do the same on SQLite.

The table is django-q2's, so jobs/brokers/django_q.py passes its model: columns id, key, payload and lock.
"""

from typing import Any

from django.db import connection, models
from django.db.models.functions import Now

from jobs.core import sql

INSERT = """
INSERT INTO {table} (key, payload, lock) VALUES (%s, %s, statement_timestamp() + %s * interval '1 second')
"""
# Each queue that has messages, by its key: how many are visible, up to a limit; since when; and the seconds until the
# first one is. It jumps from one key to the next in the index (key, lock), however many messages are between them; the
# order makes PostgreSQL use this index for the count too, where it might read the table up to the first rare message.
LOOK = """
WITH RECURSIVE queues (key) AS (
    (SELECT key FROM {table} ORDER BY key LIMIT 1)
    UNION ALL
    SELECT (SELECT key FROM {table} WHERE key > queues.key ORDER BY key LIMIT 1) FROM queues
    WHERE queues.key IS NOT NULL)
SELECT queues.key, (SELECT count(*) FROM (SELECT FROM {table} WHERE key = queues.key
    AND lock <= statement_timestamp() ORDER BY lock LIMIT %s) AS visible), first.lock,
    EXTRACT(EPOCH FROM first.lock - statement_timestamp())::float8
FROM queues CROSS JOIN LATERAL (
    SELECT lock FROM {table} WHERE key = queues.key ORDER BY lock LIMIT 1) AS first
"""
# The commit does not wait for the disk: after a crash of the server the messages are visible again, which is harmless.
FETCH = """
SET LOCAL synchronous_commit TO off;
WITH chosen AS MATERIALIZED (
    SELECT message.id FROM unnest(%s::text[], %s::int[]) AS queue (key, most) CROSS JOIN LATERAL (
        SELECT id FROM {table} WHERE key = queue.key AND lock <= statement_timestamp()
        ORDER BY lock LIMIT queue.most FOR UPDATE SKIP LOCKED) AS message)
UPDATE {table} SET lock = statement_timestamp() + %s * interval '1 second'
WHERE id = ANY(ARRAY(SELECT id FROM chosen)) RETURNING id, key, payload
"""
DELETE = "DELETE FROM {table} WHERE id = ANY(%s)"


class MessageTable:
    """The rows of one model as messages of queues, each visible from the time `lock` on."""

    def __init__(self, model: type[models.Model]) -> None:
        table = model._meta.db_table
        self._rows = model._default_manager
        self.look_at = LOOK.format(table=table)
        self._insert, self._fetch = INSERT.format(table=table), FETCH.format(table=table)
        self._delete = DELETE.format(table=table)

    def insert(self, key: str, payload: str, delay: float) -> None:
        """Store a message that becomes visible after `delay` seconds."""
        if sql.is_postgresql():
            sql.execute(self._insert, [key, payload, delay])
        else:
            self._rows.create(key=key, payload=payload, lock=sql.from_now(delay))

    def delete(self, pks: list[Any]) -> None:
        """Delete messages by their keys."""
        if sql.is_postgresql():
            with connection.cursor() as cursor:
                cursor.execute(self._delete, [pks])
        else:
            self._rows.filter(pk__in=pks).delete()

    def deleting(self, pks: list[Any]) -> sql.Other:
        """Return PostgreSQL's statement that deletes messages by their keys."""
        return self._delete, [pks]

    def look(self, most: int) -> list[tuple[Any, ...]]:
        """Return of each queue its key, how many messages are visible, since when, and the seconds until then.

        most: on PostgreSQL, the number at which the count of visible messages stops.
        """
        if sql.is_postgresql():
            return sql.fetch_all(self.look_at, [most])
        queues = self._rows.values("key").order_by("key").annotate(oldest=models.Min("lock"))
        visible = models.Count("pk", filter=models.Q(lock__lte=Now()))
        found = queues.annotate(visible=visible, left=models.Min("lock") - Now())
        return [(row["key"], row["visible"], row["oldest"], row["left"].total_seconds()) for row in found]

    def fetch(self, asked: dict[str, int], hidden: int) -> list[tuple[int, str, str]]:
        """Return the (id, key, payload) of visible messages, the oldest first, and hide them from other clusters.

        asked: the number of messages to fetch from each queue, by its key.
        hidden: the seconds for which other clusters do not see them.
        """
        if not sql.is_postgresql():
            return self._fetch_portably(asked, hidden)
        with connection.cursor() as cursor:
            cursor.execute(self._fetch, (list(asked), list(asked.values()), hidden))
            cursor.nextset()
            return sorted(cursor.fetchall())  # RETURNING keeps no order

    def _fetch_portably(self, asked: dict[str, int], hidden: int) -> list[tuple[int, str, str]]:
        visible: models.QuerySet[Any] = self._rows.filter(lock__lte=Now()).order_by("lock")
        return [
            (row.pk, row.key, row.payload)
            for key, most in asked.items()
            for row in visible.filter(key=key)[:most]
            if visible.filter(pk=row.pk).update(lock=sql.from_now(hidden))
        ]
