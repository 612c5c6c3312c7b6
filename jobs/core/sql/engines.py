"""What a connection's database is, for checks and for the start of a cluster."""

from django.db import connection
from django.db.backends.base.base import BaseDatabaseWrapper

from jobs.core import sql


def is_supported(of: BaseDatabaseWrapper) -> bool:
    """Return whether the queue knows the statements of this database."""
    return of.vendor in sql.CLOCK


def is_server() -> bool:
    """Return whether the database is a server, with connections and a clock of its own: not a file on this machine."""
    return sql.is_postgresql()


def is_file(of: BaseDatabaseWrapper) -> bool:
    """Return whether the database is a file: SQLite's."""
    return of.vendor == "sqlite"


def name() -> str:
    """Return the name of the database's kind."""
    return connection.vendor


def encoding(of: BaseDatabaseWrapper) -> str:
    """Return the encoding of a database; SQLite always stores UTF-8."""
    if of.vendor != "postgresql":
        return "UTF8"
    with of.cursor() as cursor:
        cursor.execute("SHOW server_encoding")
        return str(cursor.fetchone()[0])


def locks_late(of: BaseDatabaseWrapper) -> bool:
    """Return whether a transaction of this database fails when another process has written since it began."""
    return is_file(of) and of.settings_dict["OPTIONS"].get("transaction_mode") != "IMMEDIATE"


def lock_early(of: BaseDatabaseWrapper, wait: int) -> None:
    """Have transactions of a SQLite take the lock when they begin, and wait for it for up to `wait` seconds.

    Does nothing on PostgreSQL, and leaves what the settings say.
    """
    if is_file(of):
        options = {"transaction_mode": "IMMEDIATE", "timeout": wait}
        of.settings_dict["OPTIONS"] = {**options, **of.settings_dict["OPTIONS"]}
