"""The kind of a connection's database, for checks and for the start of a cluster."""

from django.db import connection
from django.db.backends.base.base import BaseDatabaseWrapper

from jobs.core import sql


def is_supported(database: BaseDatabaseWrapper) -> bool:
    """Return whether the queue has statements for this database."""
    return database.vendor in sql.CLOCK


def is_server() -> bool:
    """Return whether the database is a server, with connections and a clock of its own: not a file on this machine."""
    return sql.is_postgresql()


def is_file(database: BaseDatabaseWrapper) -> bool:
    """Return whether the database is a file: SQLite's."""
    return database.vendor == "sqlite"


def name() -> str:
    """Return the name of the database in use: postgresql or sqlite."""
    return connection.vendor


def encoding(database: BaseDatabaseWrapper) -> str:
    """Return the encoding of a database; SQLite always stores UTF-8."""
    if database.vendor != "postgresql":
        return "UTF8"
    with database.cursor() as cursor:
        cursor.execute("SHOW server_encoding")
        return str(cursor.fetchone()[0])


def has_deferred_transactions(database: BaseDatabaseWrapper) -> bool:
    """Return whether a transaction of this database fails when another process has written since it began."""
    return is_file(database) and database.settings_dict["OPTIONS"].get("transaction_mode") != "IMMEDIATE"


def make_transactions_immediate(database: BaseDatabaseWrapper, wait: int) -> None:
    """Have transactions of SQLite take the lock when they begin, and wait for it for up to `wait` seconds.

    Does nothing on PostgreSQL. Options in the settings take precedence.
    """
    if is_file(database):
        options = {"transaction_mode": "IMMEDIATE", "timeout": wait}
        database.settings_dict["OPTIONS"] = {**options, **database.settings_dict["OPTIONS"]}
