"""Statements of PostgreSQL that are executed together, as one transaction in one round trip."""

from collections.abc import Sequence
from typing import Any

from django.db import connection

from jobs.core import sql

Rows = list[tuple[Any, ...]]


def is_possible() -> bool:
    """Return whether one statement can change several tables and jobs: on PostgreSQL, which has WITH for that."""
    return sql.is_postgresql()


def combine(statement: str, values: Sequence[Any], others: Sequence[sql.Other]) -> sql.Other:
    """Return one statement that executes a statement, whose rows it returns, and others that change other tables.

    others: they see the tables as they were before it.
    """
    if not others:
        return statement, values
    parts = "".join(f", other{number} AS ({text})" for number, (text, _) in enumerate(others))
    text = f"WITH first AS ({statement}){parts} SELECT * FROM first"  # noqa: S608
    return text, [*values, *(value for _, some in others for value in some)]


def fetch_both(first: sql.Other, second: sql.Other) -> tuple[Rows, list[str], Rows]:
    """Execute two statements, outside of a transaction; return the rows of each, and the columns of the second's."""
    with connection.cursor() as cursor:
        cursor.execute(f"{first[0]}; {second[0]}", [*first[1], *second[1]])
        rows = cursor.fetchall()
        cursor.nextset()
        return rows, _columns(cursor), cursor.fetchall()


def fetch_with_columns(statement: str, values: Sequence[Any]) -> tuple[list[str], Rows]:
    """Return the names of a statement's columns, and its rows."""
    with connection.cursor() as cursor:
        cursor.execute(statement, values)
        return _columns(cursor), cursor.fetchall()


def _columns(cursor: Any) -> list[str]:
    """Return the names of a result's columns, at less cost than psycopg's `description`."""
    result = cursor.pgresult
    return [result.fname(number).decode() for number in range(result.nfields)]
