"""A database from before 0.9.0 stops `migrate` with what to do, and is left as it is."""

import shutil
import sqlite3
from contextlib import closing
from pathlib import Path

import pytest

from tests.processes.test_wrong_settings_stop_the_start import start
from tests.support.templates import MANAGE, migrated_file


def applied(path) -> set[tuple[str, str]]:
    with closing(sqlite3.connect(path)) as database:
        return set(database.execute("SELECT app, name FROM django_migrations"))


@pytest.mark.parametrize("old", [("jobs", "0002_message_index"), ("accounts", "0002_devices_sessions_disputes")])
def test_a_database_from_before_the_squash_is_refused_with_what_to_do(tmp_path, old):
    path = Path(shutil.copy(migrated_file(), tmp_path))
    with closing(sqlite3.connect(path)) as database:
        database.execute("INSERT INTO django_migrations (app, name, applied) VALUES (?, ?, '2026-01-01')", old)
        database.execute("DELETE FROM django_migrations WHERE app = 'sessions'")
        database.commit()
    before = applied(path)
    done = start([*MANAGE, "migrate"], DEBUG="1", DATABASE_URL=f"sqlite:///{path}")
    assert done.returncode != 0
    assert "before 0.9.0 and cannot be upgraded" in done.stderr
    assert f"Delete {path}" in done.stderr
    assert "Traceback" not in done.stderr
    assert applied(path) == before


def test_a_database_of_this_version_is_taken(tmp_path):
    path = shutil.copy(migrated_file(), tmp_path)
    done = start([*MANAGE, "migrate"], DEBUG="1", DATABASE_URL=f"sqlite:///{path}")
    assert done.returncode == 0, done.stderr
