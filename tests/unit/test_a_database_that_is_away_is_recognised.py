"""One predicate decides whether an error means that the database is away."""

import psycopg
import pytest
from django.db import DataError, IntegrityError, InterfaceError, InternalError, OperationalError, ProgrammingError

from jobs.core import sql


def caused(error: Exception, cause: type[psycopg.Error]) -> Exception:
    """The error as Django raises it."""
    error.__cause__ = cause()
    return error


@pytest.mark.parametrize(
    "error",
    [
        OperationalError("server closed the connection unexpectedly"),
        InterfaceError("the connection is closed"),
        caused(OperationalError(), psycopg.errors.AdminShutdown),
        caused(OperationalError(), psycopg.errors.CannotConnectNow),
        caused(OperationalError(), psycopg.errors.TooManyConnections),
        caused(OperationalError(), psycopg.errors.DiskFull),
        caused(OperationalError(), psycopg.errors.LockNotAvailable),
        caused(InternalError(), psycopg.errors.ReadOnlySqlTransaction),
    ],
)
def test_what_another_server_or_another_time_could_do_is_away(error):
    assert sql.is_away(error)


@pytest.mark.parametrize(
    "error",
    [
        caused(InternalError(), psycopg.errors.InFailedSqlTransaction),
        InternalError("cache lookup failed"),
        IntegrityError("duplicate key"),
        ProgrammingError("relation does not exist"),
        DataError("invalid byte sequence"),
        ValueError("no error of a database"),
    ],
)
def test_a_fault_of_the_statement_is_not(error):
    assert not sql.is_away(error)
