"""Before a request the connection to PostgreSQL is checked, unless it has just worked; a closed one is replaced."""

import psycopg
import pytest
from django.db import connection, connections

from notifier.web import waits
from tests.support.machine import eventually

pytestmark = [pytest.mark.postgresql, pytest.mark.django_db(transaction=True)]


@pytest.fixture
def checks(monkeypatch):
    """The checks of the connection, a round trip each."""
    done = []
    wrapper = type(connections["default"])
    real = wrapper.is_usable
    monkeypatch.setattr(wrapper, "is_usable", lambda self: [done.append(1), real(self)][1])
    connection.close()
    return done


def own_server() -> dict[str, object]:
    """Where the server of the tests is, for a connection of another client."""
    names = {"host": "HOST", "port": "PORT", "user": "USER", "password": "PASSWORD"}
    return {name: connection.settings_dict[key] for name, key in names.items() if connection.settings_dict[key]}


def serve() -> int:
    """Serve a request as gunicorn does; the process id of the server's connection."""

    def application(environ, start_response):
        with connection.cursor() as cursor:
            cursor.execute("SELECT pg_backend_pid()")
            return [cursor.fetchone()[0]]

    connection.close_if_unusable_or_obsolete()
    [pid] = waits.bounded(application)({}, None)
    return pid


def test_a_connection_that_has_just_worked_is_not_checked(checks):
    assert len({serve() for _ in range(5)}) == 1
    assert checks == []


def test_a_connection_that_has_been_idle_is_checked(checks, monkeypatch):
    monkeypatch.setattr("notifier.web.postgresql.base.FRESH_SECONDS", 0.0)
    assert len({serve() for _ in range(3)}) == 1
    assert checks == [1, 1]


def test_a_connection_that_the_server_has_closed_is_replaced_before_the_request(checks):
    closed = serve()
    with psycopg.connect(dbname=connection.settings_dict["NAME"], **own_server(), autocommit=True) as other:
        other.execute("SELECT pg_terminate_backend(%s)", [closed])
        eventually(lambda: not other.execute("SELECT 1 FROM pg_stat_activity WHERE pid = %s", [closed]).fetchone())
    assert serve() != closed
    assert checks == [1]
