"""LISTEN and NOTIFY: woken at once where the database can, by the clock where it cannot."""

import psycopg
import pytest
from django.db import connection

from jobs import listening

pytestmark = [pytest.mark.django_db(transaction=True)]


@pytest.fixture
def ear():
    connection.ensure_connection()
    made = listening.Ear("jobs_test")
    made.listen()
    yield made
    connection.close()


def call() -> None:
    with psycopg.connect(_conninfo(), autocommit=True) as other:
        other.execute("NOTIFY jobs_test")


def _conninfo() -> str:
    given = connection.settings_dict
    return psycopg.conninfo.make_conninfo(
        dbname=given["NAME"], host=given["HOST"], port=given["PORT"], user=given["USER"], password=given["PASSWORD"]
    )


def test_a_call_of_another_process_is_heard(ear):
    assert ear.poll_seconds == listening.POLL_SECONDS
    assert not ear.woken(0.01)
    call()
    assert ear.woken(10)
    assert not ear.woken(0.01), "one call, woken once"


def test_a_new_connection_listens_again(ear):
    connection.close()
    assert ear.poll_seconds == listening.DEAF_POLL_SECONDS
    ear.listen()
    call()
    assert ear.woken(10)


def test_where_no_call_comes_through_the_clock_wakes(monkeypatch):
    """As behind PgBouncer, which takes a LISTEN and tells nobody."""
    monkeypatch.setattr(listening, "PROOF_SECONDS", 0.1)
    monkeypatch.setattr(listening, "notify", lambda channel: None)
    deaf = listening.Ear("jobs_test")
    deaf.listen()
    assert deaf.poll_seconds == listening.DEAF_POLL_SECONDS
    assert not deaf.woken(0.01)
    connection.close()
