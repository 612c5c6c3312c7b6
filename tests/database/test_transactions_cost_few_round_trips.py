"""The engine of PostgreSQL: BEGIN, the last statements, COMMIT and NOTIFY need no round trips of their own."""

from contextlib import contextmanager, suppress

import psycopg
import pytest
from django.db import DatabaseError, IntegrityError, ProgrammingError, connection, transaction
from django.db.models import F
from django.test import Client

from accounts.sign_in.known_devices import Device
from accounts.sites.keys import ApiKey
from accounts.user import User
from jobs.brokers import listener
from jobs.brokers.circuit import Circuit
from jobs.core import sql
from jobs.core.sql import channels
from notifier.web import rate_limit, waits
from notifier.web.postgresql.base import BoundedConnection
from tests.support.api_client import notification, post
from tests.support.people import person

pytestmark = [pytest.mark.django_db(transaction=True), pytest.mark.postgresql]
OF_A_POST = 4  # the key, the history, the job, all rows together
NAMES = "SELECT username FROM accounts_user ORDER BY id"


@pytest.fixture
def round_trips(monkeypatch):
    """Counts the waits for the server."""
    made = []
    real = BoundedConnection.wait

    def wait(self, *arguments, **options):
        made.append(1)
        return real(self, *arguments, **options)

    monkeypatch.setattr(BoundedConnection, "wait", wait)
    return made


@pytest.fixture
def listening():
    made = listener.Listener("round_trips")
    made.listen()
    yield made
    connection.close()


def rename(name: str) -> None:
    with sql.one_round_trip():
        sql.execute("UPDATE accounts_user SET username = %s", [name])


@transaction.atomic
def rename_and_fail() -> None:
    User.objects.update(username="undone")
    with sql.one_round_trip():
        sql.execute("DELETE FROM no_such_table")


@transaction.atomic
def remember_a_device_of_unknown() -> None:
    Device.objects.create(user_id=2**40)
    channels.notify_after_commit("round_trips")


@contextmanager
def undone():
    """A transaction that is rolled back at the end of the block."""
    with suppress(ZeroDivisionError), transaction.atomic():
        yield
        raise ZeroDivisionError


def name_seen_by_others() -> str:
    given = connection.settings_dict
    names = {"host": "HOST", "port": "PORT", "user": "USER", "password": "PASSWORD", "dbname": "NAME"}
    where = {key: given[name] for key, name in names.items() if given[name]}
    with psycopg.connect(**where) as other:
        return other.execute(NAMES.encode()).fetchone()[0]


def test_a_post_of_a_site_costs_a_fixed_number_of_round_trips(round_trips, settings, monkeypatch):
    settings.DEBUG = False
    monkeypatch.setattr(rate_limit.requests, "count", lambda client, rate: 0)  # it asks the database now and then
    token = ApiKey.objects.make("shop", ["enqueue"], who="tests")
    for number in range(3):
        round_trips.clear()
        assert post(Client(), notification(userId=f"u-{number}"), token).status_code == 202
    assert len(round_trips) == OF_A_POST


def test_a_transaction_costs_a_round_trip_for_each_statement_and_one_for_the_commit(round_trips):
    connection.ensure_connection()
    round_trips.clear()
    with transaction.atomic():
        assert sql.fetch_one("SELECT 1", []) == (1,)
        assert sql.fetch_one("SELECT 2", []) == (2,)
    assert len(round_trips) == 3


def test_kept_statements_are_sent_before_the_next_one_and_with_the_commit():
    person()
    with transaction.atomic():
        rename("first")
        assert sql.fetch_one(NAMES, []) == ("first",)
        rename("second")
        assert name_seen_by_others() != "second"
    assert name_seen_by_others() == "second"


def test_kept_statements_are_the_only_ones_of_a_transaction():
    person()
    with transaction.atomic():
        rename("alone")
    assert name_seen_by_others() == "alone"


def test_kept_statements_end_with_a_rollback():
    bat = person()
    with undone():
        rename("undone")
    assert User.objects.get().username == bat.username


def test_an_error_at_the_commit_undoes_all_and_leaves_a_usable_connection():
    bat = person()
    with pytest.raises(ProgrammingError, match="no_such_table"):
        rename_and_fail()
    assert User.objects.get().username == bat.username


def test_a_constraint_that_is_checked_at_the_commit_notifies_no_listener(listening):
    with pytest.raises(IntegrityError):
        remember_a_device_of_unknown()
    assert not listening.wait(0.1)


def test_a_listener_is_notified_once_by_a_commit(listening):
    with transaction.atomic():
        person()
        channels.notify_after_commit("round_trips")
        channels.notify_after_commit("round_trips")
        assert not listening.wait(0.05)
    assert listening.wait(10)
    assert not listening.wait(0.05)


def test_a_listener_is_notified_by_a_transaction_without_statements(listening):
    with transaction.atomic():
        channels.notify_after_commit("round_trips")
    assert listening.wait(10)


def test_a_savepoint_that_is_rolled_back_undoes_its_statements_and_notifications(listening):
    bat = person()
    with transaction.atomic():
        with undone():
            rename("undone")
            channels.notify_after_commit("round_trips")
        assert User.objects.get().username == bat.username
    assert not listening.wait(0.1)


def test_a_savepoint_costs_no_round_trip_of_its_own(round_trips):
    bat = person()
    with transaction.atomic():
        assert sql.fetch_one("SELECT 1", []) == (1,)
        round_trips.clear()
        with transaction.atomic():
            assert sql.fetch_one("SELECT 2", []) == (2,)
            rename("renamed")
        with transaction.atomic():
            pass
        assert len(round_trips) == 2
        assert name_seen_by_others() == bat.username
    assert User.objects.get().username == "renamed"


def test_a_savepoint_in_which_nothing_was_sent_leaves_nothing_behind():
    person()
    with transaction.atomic(), undone(), transaction.atomic():
        pass
    with transaction.atomic(), undone():
        rename("undone")
    assert User.objects.get().username != "undone"


def test_nested_savepoints_are_undone_each_for_itself():
    person()
    with transaction.atomic(), transaction.atomic():
        rename("first")
        with undone(), transaction.atomic():
            rename("second")
        with transaction.atomic(), undone():
            User.objects.update(username="third")
            rename("fourth")
        assert sql.fetch_one(NAMES, []) == ("first",)
    assert User.objects.get().username == "first"


@pytest.mark.parametrize("first", ["SELECT * FROM no_such_table", "SELECT 1 / 0"])
def test_a_first_statement_of_a_savepoint_that_fails_undoes_the_savepoint_alone(first):
    person()
    with transaction.atomic():
        rename("kept")
        with suppress(DatabaseError), transaction.atomic():
            sql.fetch_one(first, [])
        with suppress(DatabaseError), transaction.atomic():
            rename("undone")
            with sql.one_round_trip():
                sql.execute(first)
        assert sql.fetch_one(NAMES, []) == ("kept",)
    assert User.objects.get().username == "kept"


def test_a_value_that_cannot_be_sent_undoes_the_savepoint_alone():
    person()
    with transaction.atomic():
        with suppress(ValueError, DatabaseError), transaction.atomic():
            User.objects.filter(username="a\0b").exists()
        with suppress(ValueError, DatabaseError), transaction.atomic():
            rename("a\0b")
        rename("kept")
    assert User.objects.get().username == "kept"


@pytest.mark.parametrize("first", ["SELEC 1", "SELECT 1 / 0"])
def test_a_first_statement_that_fails_leaves_no_transaction_open(first):
    with pytest.raises(Exception, match=r"syntax|division"), transaction.atomic():
        sql.execute(first)
    person()
    assert name_seen_by_others()


def test_cursors_of_the_server_and_many_values_are_within_the_transaction():
    bat = person()
    with undone():
        assert [one.pk for one in User.objects.iterator(chunk_size=1)] == [bat.pk]
        User.objects.update(username=F("email"))
    with undone(), connection.cursor() as cursor:
        cursor.executemany("UPDATE accounts_user SET username = %s", [["undone"], ["undone again"]])
    into = "COPY cache_entries (cache_key, value, expires) FROM STDIN"
    with undone(), connection.cursor() as cursor, cursor.copy(into) as copy:
        copy.write_row(["copied", "x", "2030-01-01"])
    assert User.objects.get().username == bat.username
    assert sql.fetch_one("SELECT count(*) FROM cache_entries WHERE cache_key = 'copied'", []) == (0,)


def test_the_first_connection_after_a_silence_is_used(monkeypatch):
    monkeypatch.setattr(waits, "database", Circuit(0))
    connection.close()
    waits.database.failed()
    answer = waits.bounded(lambda environ, start_response: [sql.fetch_one("SELECT 7", [])[0]])
    assert answer({"PATH_INFO": "/"}, None) == [7]
    assert [waits.database.allows(), waits.database.allows()] == [True, True]
