"""Tables that are gone, or locked by another session, for as long as a test needs it."""

from collections.abc import Iterator
from contextlib import closing, contextmanager

import psycopg
from django.db import connection


@contextmanager
def renamed(table: str) -> Iterator[None]:
    """No table of that name."""
    with connection.cursor() as cursor:
        cursor.execute(f"ALTER TABLE {table} RENAME TO {table}_away")
    try:
        yield
    finally:
        with connection.cursor() as cursor:
            cursor.execute(f"ALTER TABLE {table}_away RENAME TO {table}")


@contextmanager
def locked(table: str) -> Iterator[None]:
    """Another session next to which no other may read or write the table, as a migration is. PostgreSQL."""
    database = connection.settings_dict
    with closing(
        psycopg.connect(
            host=database["HOST"],
            port=database["PORT"],
            user=database["USER"],
            password=database["PASSWORD"],
            dbname=connection.get_connection_params()["dbname"],
        )
    ) as other:
        other.execute(f"LOCK TABLE {table} IN ACCESS EXCLUSIVE MODE")
        yield
        other.rollback()
