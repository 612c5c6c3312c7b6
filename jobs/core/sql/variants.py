"""Statements that have a text for each database, and queries that only PostgreSQL runs."""

import json
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

from jobs.core import sql


@dataclass(frozen=True)
class Statement:
    """One statement in the SQL of each database. Both texts take the same values."""

    postgresql: str
    sqlite: str

    @property
    def text(self) -> str:
        """The text for the database in use."""
        return self.postgresql if sql.is_postgresql() else self.sqlite

    def bind(self, values: dict[str, Any]) -> tuple[str, dict[str, Any]]:
        """Return the text for the database in use, and the values: SQLite takes a list as JSON, for its `json_each`."""
        if sql.is_postgresql():
            return self.postgresql, values
        return self.sqlite, {name: json.dumps(one) if isinstance(one, list) else one for name, one in values.items()}


def call(function: str, values: Sequence[Any], make: Callable[[Any], Any], otherwise: Callable[[], Any]) -> Any | None:
    """Call a function that a migration created in PostgreSQL; return `make` of its value, None for NULL.

    On SQLite, which has no such function, returns `otherwise()`.
    """
    if not sql.is_postgresql():
        return otherwise()
    [value] = sql.fetch_one(f"SELECT {function}", values)
    return make(value) if value else None


def may_have(field: Any, values: Sequence[Any]) -> bool:
    """Return whether a row may have one of these values in a field; True on SQLite, where looking saves nothing.

    field: of a model. It costs less than a query of the ORM, and the answer is rarely True.
    """
    if not sql.is_postgresql():
        return True
    found = f"SELECT EXISTS (SELECT 1 FROM {field.model._meta.db_table} WHERE {field.column} = ANY(%s))"  # noqa: S608
    return bool(sql.fetch_one(found, [values])[0])
