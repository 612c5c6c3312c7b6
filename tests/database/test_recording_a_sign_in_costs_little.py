"""P3: what recording a sign-in asks of PostgreSQL: a fixed number of statements, and no wait for the disk."""

from contextlib import suppress

import pytest
from django.contrib.auth.signals import user_logged_in
from django.contrib.sessions.backends.db import SessionStore
from django.db import ProgrammingError, connection, transaction
from django.http import HttpRequest
from django.test import RequestFactory
from django.test.utils import CaptureQueriesContext

from accounts.sign_in import history, record
from accounts.sign_in.event import SignIn
from accounts.sign_in.known_devices import Device
from accounts.user import User
from jobs.core import sql
from tests.support.people import CHROME, browser, person, sign_in

pytestmark = [pytest.mark.django_db(transaction=True), pytest.mark.postgresql]
OF_A_SIGN_IN = 4  # BEGIN (no round trip), the history, the job, all rows together with COMMIT and NOTIFY
WITHIN_A_TRANSACTION = 4  # SAVEPOINT (no round trip), the history, the job, all rows together with RELEASE


@pytest.fixture
def bat() -> User:
    return person()


def statements(user: User, request: HttpRequest | None) -> list[str]:
    """What recording a sign-in sends."""
    with CaptureQueriesContext(connection) as queries:
        record.record_sign_in(user, request)
    return [query["sql"] for query in queries]


def a_request() -> HttpRequest:
    """A request to sign in, with a session."""
    request = RequestFactory().post("/accounts/login/", headers={"user-agent": CHROME})
    request.session = SessionStore()
    return request


def waits(sent: list[str]) -> list[str]:
    """The statements that have the commit not wait for the disk."""
    return [one for one in sent if "synchronous_commit TO off" in one]


def test_the_number_of_statements_is_fixed_however_much_there_is(bat):
    assert len(statements(bat, a_request())) == OF_A_SIGN_IN
    SignIn.objects.bulk_create(
        SignIn(user=bat, method="password", language="mn", time_zone="UTC", notice=notice)
        for notice in ["limited", "queued", "pending"] * 100
    )
    Device.objects.bulk_create(Device(user=bat, browser=f"b{n}") for n in range(50))
    assert len(statements(bat, a_request())) == OF_A_SIGN_IN
    with transaction.atomic():
        assert len(statements(bat, a_request())) == WITHIN_A_TRANSACTION


def test_what_is_known_of_earlier_sign_ins_is_one_query(bat, django_assert_num_queries):
    record.record_sign_in(bat, a_request())
    with transaction.atomic(), django_assert_num_queries(1):
        assert history.load_history(SignIn(user=bat, email=bat.email), [""], [""]).past.seen


def test_the_commit_leaves_the_wait_for_the_disk_to_that_of_the_session(bat):
    assert len(waits(statements(bat, a_request()))) == 1


def test_a_sign_in_is_on_the_disk_with_its_session_when_the_browser_is_answered(bat):
    written: list[str] = []

    def recorded(**_: object) -> None:
        written.append(sql.fetch_one("SELECT pg_current_wal_insert_lsn()::text", [])[0])

    sql.execute("SET synchronous_commit TO on")
    user_logged_in.connect(recorded)
    try:
        assert sign_in(browser()).status_code == 302
    finally:
        user_logged_in.disconnect(recorded)
    assert sql.fetch_one("SELECT pg_current_wal_flush_lsn() >= %s::pg_lsn", written) == (True,)
    sql.execute("SET synchronous_commit TO DEFAULT")


def test_a_sign_in_without_a_session_waits_for_the_disk(bat):
    assert waits(statements(bat, None)) == []


def test_within_a_transaction_the_wait_is_the_transactions_own(bat):
    with transaction.atomic():
        assert waits(statements(bat, a_request())) == []


def keep(*statements: str) -> None:
    """A block with statements that are kept to its end, before which another one is answered."""
    with sql.one_round_trip():
        for statement in statements:
            sql.execute(statement)
        assert sql.fetch_one("SELECT 1", []) == (1,)


def test_statements_of_a_block_are_sent_together_at_its_end(bat):
    with CaptureQueriesContext(connection) as queries:
        keep("DELETE FROM accounts_device", "DELETE FROM accounts_user")
    assert [query["sql"] for query in queries] == [
        "SELECT 1",
        "DELETE FROM accounts_device; DELETE FROM accounts_user",
    ]
    assert not User.objects.exists()


def test_an_error_is_raised_at_the_end_of_the_block_and_undoes_all_of_it(bat):
    with pytest.raises(ProgrammingError, match="no_such_table"):
        keep("DELETE FROM accounts_user", "DELETE FROM no_such_table")
    assert User.objects.get() == bat


def test_nothing_is_sent_of_a_block_that_fails(bat):
    with suppress(ZeroDivisionError), sql.one_round_trip():
        sql.execute("DELETE FROM accounts_user")
        raise ZeroDivisionError
    sql.execute("SELECT 1")
    assert User.objects.get() == bat
