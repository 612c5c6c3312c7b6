"""What every test can ask for."""

import os
import shutil
from collections.abc import Iterator
from itertools import zip_longest
from pathlib import Path
from typing import Any

import pytest
from django.conf import settings as site_settings
from django.core.management.commands import flush
from django.db import connections
from django.test import override_settings
from playwright.sync_api import Browser, sync_playwright

from accounts.sites.site import fill_this_site
from tests.support import machine, templates
from tests.support.postgres import Postgres
from tests.support.site import Site

CHROMIUM = ["--no-sandbox", "--disable-gpu", "--disable-background-networking", "--disable-component-update"]
MADE_BY_MIGRATE = {"django_content_type", "auth_permission"}
FOLDERS = {"unit", "database", "processes", "browser", "documents"}


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Mark each test with the name of its folder, which says what it needs; expect failures of quarantined ones.

    pytest's summary then lists each quarantined test with its reason, as XFAIL or XPASS.
    """
    for item in items:
        if (folder := _folder(item.path)) in FOLDERS:
            item.add_marker(folder)
        if quarantine := item.get_closest_marker("quarantine"):
            item.add_marker(pytest.mark.xfail(reason=f"quarantine: {quarantine.kwargs['reason']}", strict=False))
    order = {file: place for place, file in enumerate(_mix(sorted({item.path for item in items})))}
    items.sort(key=lambda item: order[item.path])


def _folder(file: Path) -> str:
    return file.relative_to(Path(__file__).parent).parts[0]


def _mix(files: list[Path]) -> list[Path]:
    """Return the files so that tests which wait for processes alternate with tests which compute."""
    waiting = [file for file in files if _folder(file) == "processes"]
    others = [file for file in files if file not in waiting]
    mixed = [file for pair in zip_longest(waiting, others) for file in pair]
    return [file for file in mixed if file]


@pytest.fixture(scope="session")
def django_db_modify_db_settings(django_db_modify_db_settings_parallel_suffix: None) -> None:
    """Have the test database copied from one that is migrated once in a run.

    SQLite's is a file, as the site's is: in memory no second process would see it.
    """
    database = connections["default"].settings_dict["TEST"]
    if is_sqlite():
        worker = os.environ.get("PYTEST_XDIST_WORKER", "")
        database["NAME"] = f"{os.environ['NOTIFIER_TESTS']}/test{worker}.sqlite3"
        shutil.copy(templates.migrated_file(), database["NAME"])
    else:
        database["TEMPLATE"] = templates.migrated_database()


@pytest.fixture(scope="session")
def django_db_keepdb() -> bool:
    """Keep the copied file of SQLite; it goes with the folder of the run."""
    return is_sqlite()


@pytest.fixture(scope="session", autouse=True)
def no_email_leaves(django_test_environment: None) -> Iterator[None]:
    """Send email to `mail.outbox`. Before Django 6.1, which has MAILERS, pytest-django does not."""
    with override_settings(MAILERS={"default": {"BACKEND": "django.core.mail.backends.locmem.EmailBackend"}}):
        yield


@pytest.fixture(scope="session", autouse=True)
def quick_flush() -> Iterator[None]:
    """Keep content types and permissions after a test that commits: `flush` would make them again, one by one."""

    def sql_flush(style: Any, connection: Any, **options: Any) -> list[str]:
        tables = connection.introspection.django_table_names(only_existing=True, include_views=False)
        return connection.ops.sql_flush(style, [table for table in tables if table not in MADE_BY_MIGRATE], **options)

    patch = pytest.MonkeyPatch()
    patch.setattr(flush, "sql_flush", sql_flush)
    patch.setattr(flush, "emit_post_migrate_signal", lambda *_, **__: fill_this_site())
    yield
    patch.undo()


def is_sqlite() -> bool:
    """Return whether this run is on SQLite."""
    return bool(site_settings.DATABASES["default"]["ENGINE"] == "django.db.backends.sqlite3")


@pytest.fixture(autouse=True)
def quick_passwords(settings: Any) -> None:
    """A password takes half a second to check, on purpose; not here."""
    settings.PASSWORD_HASHERS = ["django.contrib.auth.hashers.MD5PasswordHasher"]


@pytest.fixture(autouse=True)
def no_counts_of_other_tests(monkeypatch: pytest.MonkeyPatch) -> None:
    """Forget what tests before this one counted in this process and wrote nowhere."""
    from accounts.sites import api_calls, api_requests
    from jobs.core import counters
    from notifier.web import rate_limit

    counters.drain()
    api_requests.drain()
    api_calls.drain()
    monkeypatch.setattr(rate_limit, "requests", rate_limit.RateLimit())


@pytest.fixture(scope="module")
def site() -> Iterator[Site]:
    """A running site (tests/support/site.py) for all tests of a module. A test that breaks it makes its own."""
    with Site() as running:
        running.start("mail", "worker", "web")
        yield running


@pytest.fixture(scope="module")
def browser() -> Iterator[Browser]:
    """Chromium. For a module only: while it runs, nothing else in this process can run an event loop."""
    path = machine.chromium()
    unsafe = pytest.MonkeyPatch()
    unsafe.setenv("DJANGO_ALLOW_ASYNC_UNSAFE", "true")
    with sync_playwright() as playwright:
        running = playwright.chromium.launch(executable_path=path, args=[*CHROMIUM, "--disable-sync"])
        yield running
        running.close()
    unsafe.undo()


@pytest.fixture
def own_postgres() -> Iterator[Postgres]:
    """A PostgreSQL server that a test may stop, restart and kill."""
    with Postgres() as server:
        yield server


@pytest.fixture(scope="module")
def redis_url() -> Iterator[str]:
    """The URL of a Redis that tests may fill."""
    with machine.redis_server() as url:
        yield url
