"""What every test can ask for."""

import os
from collections.abc import Iterator
from typing import Any

import pytest
from django.conf import settings as site_settings
from django.db import connections
from playwright.sync_api import Browser, sync_playwright

from tests import machine
from tests.postgres import Postgres
from tests.site import Site

CHROMIUM = ["--no-sandbox", "--disable-gpu", "--disable-background-networking", "--disable-component-update"]


@pytest.fixture(scope="session")
def django_db_modify_db_settings(django_db_modify_db_settings_parallel_suffix: None) -> None:
    """SQLite's test database is a file, as the site's is: in memory no second process would see it."""
    database = site_settings.DATABASES["default"]
    if database["ENGINE"] == "django.db.backends.sqlite3":
        worker = os.environ.get("PYTEST_XDIST_WORKER", "")
        connections["default"].settings_dict["TEST"]["NAME"] = f"{os.environ['NOTIFIER_TESTS']}/test{worker}.sqlite3"


@pytest.fixture(autouse=True)
def quick_passwords(settings: Any) -> None:
    """A password takes half a second to check, on purpose; not here."""
    settings.PASSWORD_HASHERS = ["django.contrib.auth.hashers.MD5PasswordHasher"]


@pytest.fixture(scope="module")
def site() -> Iterator[Site]:
    """A whole site that runs (tests/site.py), for all tests of a module. A test that breaks it makes its own."""
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
