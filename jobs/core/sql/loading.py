"""Loading many rows quickly, as `manage.py seed` does."""

import json
from collections.abc import Sequence
from typing import Any

from django.db import connection, models

from jobs.core import sql


def can_multiply() -> bool:
    """Return whether the database copies rows by the million with INSERT ... SELECT: PostgreSQL, not SQLite."""
    return sql.is_postgresql()


def load(rows: Sequence[models.Model], table: str) -> None:
    """Write rows of a model, on PostgreSQL with COPY and on SQLite with bulk_create.

    table: that COPY fills, with the columns of the model.
    """
    if not rows:
        return
    if sql.is_postgresql():
        _copy(rows, table)
    else:
        type(rows[0])._default_manager.bulk_create(rows)


def reserve_keys(model: type[models.Model], count: int) -> int:
    """Reserve `count` primary keys of a model and return the first."""
    if not sql.is_postgresql():
        return (model._default_manager.aggregate(last=models.Max("pk"))["last"] or 0) + 1
    sequence = f"pg_get_serial_sequence('{model._meta.db_table}', 'id')"
    first: int = sql.fetch_one(f"SELECT nextval({sequence})", [])[0]
    sql.execute(f"SELECT setval({sequence}, %s)", [first + count])
    return first


def _copy(rows: Sequence[models.Model], table: str) -> None:
    names = [field.attname for field in rows[0]._meta.concrete_fields]
    names = [name for name in names if name != "id" or rows[0].pk is not None]  # else from the sequence
    with connection.cursor() as cursor, cursor.copy(f"COPY {table} ({', '.join(names)}) FROM STDIN") as copy:
        for row in rows:
            copy.write_row([_plain(row.__dict__[name]) for name in names])


def _plain(value: Any) -> Any:
    return json.dumps(value, ensure_ascii=False) if isinstance(value, dict) else value
