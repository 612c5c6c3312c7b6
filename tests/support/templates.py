"""What a run of the tests makes once for all of its processes: migrated databases and the collected static files."""

import fcntl
import os
import shutil
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from urllib.parse import urlsplit, urlunsplit

import psycopg

ROOT = Path(__file__).resolve().parents[2]
MANAGE = [sys.executable, str(ROOT / "manage.py")]
FOLDER = Path(os.environ["NOTIFIER_TESTS"])
DATABASE = FOLDER.name.replace("-", "_").lower() + "_template"
"""The name of the migrated database at the run's PostgreSQL server. tests/support/environment.py drops it."""


def migrated_database() -> str:
    """Return the name of a migrated database of PostgreSQL, for CREATE DATABASE ... TEMPLATE."""

    def migrate() -> None:
        execute(f'CREATE DATABASE "{DATABASE}"')
        manage("migrate", DATABASE_URL=url_of(DATABASE))

    _once("database", migrate)
    return DATABASE


def migrated_file() -> Path:
    """Return a migrated database file of SQLite, to copy."""
    file = FOLDER / "template.sqlite3"
    _once("file", lambda: manage("migrate", DATABASE_URL=f"sqlite:///{file}"))
    return file


def collected_static() -> Path:
    """Return the folder of the collected static files."""
    folder = FOLDER / "collected"
    _once("static", lambda: manage("collectstatic", "--noinput", VAR_DIR=str(folder)))
    return folder / "static"


def new_database(folder: Path) -> str:
    """Return the DATABASE_URL of a new, migrated database for a site with this folder."""
    if os.environ["DATABASE_URL"].startswith("sqlite"):
        shutil.copy(migrated_file(), folder / "site.sqlite3")
        return f"sqlite:///{folder}/site.sqlite3"
    name = f"site_{os.getpid()}_{folder.name[5:]}".lower()
    execute(f'CREATE DATABASE "{name}" TEMPLATE "{migrated_database()}"')
    return url_of(name)


def drop_database(url: str) -> None:
    """Drop a database of PostgreSQL."""
    if not url.startswith("sqlite"):
        execute(f'DROP DATABASE IF EXISTS "{urlsplit(url).path[1:]}" WITH (FORCE)')


def manage(*arguments: str, **environment: str) -> None:
    """Run manage.py with further environment variables."""
    done = subprocess.run(
        [*MANAGE, *arguments], cwd=ROOT, env={**os.environ, **environment}, capture_output=True, text=True
    )
    assert done.returncode == 0, done.stdout + done.stderr


def url_of(database: str) -> str:
    """Return the URL of a database at the run's server."""
    return urlunsplit(urlsplit(os.environ["DATABASE_URL"])._replace(path=f"/{database}"))


def execute(statement: str) -> None:
    """Run one statement at the run's server."""
    with psycopg.connect(url_of("postgres"), autocommit=True) as connection:
        connection.execute(statement.encode())


def _once(name: str, make: Callable[[], None]) -> None:
    """Call `make` in the first process of the run that asks, while the others wait."""
    done = FOLDER / f"{name}.done"
    with (FOLDER / f"{name}.lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        if not done.exists():
            make()
            done.touch()
