"""LISTEN and NOTIFY: wakes immediately where the database can, by the clock where it cannot."""

import psycopg
import pytest
from django.db import OperationalError, connection

from jobs.brokers import listener
from jobs.core.sql import channels

pytestmark = [pytest.mark.django_db(transaction=True)]


@pytest.fixture
def listening():
    connection.ensure_connection()
    made = listener.Listener("jobs_test")
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


def test_a_call_of_another_process_is_heard(listening):
    assert listening.poll_seconds == listener.POLL_SECONDS
    assert not listening.wait(0.01)
    call()
    assert listening.wait(10)
    assert not listening.wait(0.01), "one call, one wake-up"


def test_a_new_connection_listens_again(listening):
    connection.close()
    assert listening.poll_seconds == listener.FALLBACK_POLL_SECONDS
    listening.listen()
    call()
    assert listening.wait(10)


def _calls_itself(channel: str) -> None:
    with psycopg.connect(_conninfo(), autocommit=True) as other:
        other.execute(f"NOTIFY {channel}")  # not the word that is waited for


@pytest.mark.parametrize("notify", [lambda channel, word: None, lambda channel, word: _calls_itself(channel)])
def test_where_no_call_comes_through_the_clock_wakes(monkeypatch, notify):
    """As behind PgBouncer, which takes a LISTEN and delivers nothing, or what another client is called for."""
    tries, really_listen = [], channels.listen

    def listen(channel: str) -> None:
        tries.append(channel)
        really_listen(channel)

    monkeypatch.setattr(listener, "PROOF_SECONDS", 1.0)
    monkeypatch.setattr(channels, "notify", notify)
    monkeypatch.setattr(channels, "listen", listen)
    deaf = listener.Listener("jobs_test")
    for _ in range(3):
        deaf.listen()
        assert deaf.poll_seconds == listener.FALLBACK_POLL_SECONDS
        assert not deaf.wait(0.01)
        connection.close()
    assert tries == ["jobs_test"], "a pooler is tried once: each try takes PROOF_SECONDS"


def test_without_a_second_connection_the_clock_wakes_until_there_is_one(monkeypatch):
    def refuse(channel, word):
        raise OperationalError("too many clients already")

    monkeypatch.setattr(listener, "PROOF_SECONDS", 0.3)
    made = listener.Listener("jobs_test")
    with monkeypatch.context() as full:
        full.setattr(channels, "notify", refuse)
        made.listen()
        assert made.poll_seconds == listener.FALLBACK_POLL_SECONDS
    connection.close()
    monkeypatch.undo()
    made.listen()
    assert made.poll_seconds == listener.POLL_SECONDS
    connection.close()


def test_a_pooler_that_the_settings_name_is_not_tried(monkeypatch):
    monkeypatch.setitem(connection.settings_dict, "DISABLE_SERVER_SIDE_CURSORS", True)
    monkeypatch.setattr(channels, "listen", pytest.fail)
    made = listener.Listener("jobs_test")
    made.listen()
    assert made.poll_seconds == listener.FALLBACK_POLL_SECONDS
    connection.close()
