"""The engine of PostgreSQL: a transaction that cannot be committed says so, whatever error was suppressed in it."""

from contextlib import suppress

import pytest
from django.db import DatabaseError, InternalError, OperationalError, connection, transaction

from accounts.user import User
from jobs.brokers import listener
from jobs.core import sql
from jobs.core.job import JobLog
from jobs.core.sql import channels, short
from jobs.queue.enqueue import enqueue
from tests.support.people import person

pytestmark = [pytest.mark.django_db(transaction=True), pytest.mark.postgresql]
LIMIT = "DO $$ BEGIN RAISE EXCEPTION 'too large' USING ERRCODE = 'program_limit_exceeded'; END $$"


@pytest.fixture
def bat():
    return person()


@pytest.fixture
def listening():
    made = listener.Listener("lost")
    made.listen()
    yield made
    connection.close()


def keep(statement: str) -> None:
    """Have a statement sent with the commit, or before the next statement."""
    with sql.one_round_trip():
        sql.execute(statement)


def names() -> list[str]:
    return list(User.objects.values_list("username", flat=True))


@transaction.atomic
def suppress_in_a_savepoint_what_was_kept_before_it() -> None:
    User.objects.update(username="lost")
    keep("DELETE FROM no_such_table")
    with suppress(DatabaseError), transaction.atomic():
        names()


@transaction.atomic
def suppress_without_a_savepoint() -> None:
    User.objects.update(username="lost")
    with suppress(DatabaseError):
        sql.fetch_one("SELECT 1 / 0", [])


@transaction.atomic
def keep_in_a_transaction_that_is_broken() -> None:
    with suppress(LookupError), transaction.atomic(savepoint=False):
        raise LookupError
    keep("UPDATE accounts_user SET username = 'lost'")


@transaction.atomic
def meet_a_limit_of_the_server() -> None:
    channels.notify_after_commit("lost")
    User.objects.update(username="lost")
    keep(LIMIT)


@pytest.mark.parametrize("work", [suppress_in_a_savepoint_what_was_kept_before_it, suppress_without_a_savepoint])
def test_a_suppressed_error_is_raised_at_the_commit(work, bat):
    with pytest.raises(InternalError, match="nothing was committed"):
        work()
    assert names() == [bat.username]


def test_no_statement_is_kept_for_a_commit_that_will_not_come(bat):
    with pytest.raises(transaction.TransactionManagementError, match="until the end of the 'atomic' block"):
        keep_in_a_transaction_that_is_broken()
    assert names() == [bat.username]


def test_a_limit_that_a_kept_statement_meets_is_not_a_full_queue_of_notifications(bat, listening):
    with pytest.raises(OperationalError, match="too large"):
        meet_a_limit_of_the_server()
    assert names() == [bat.username]
    assert not listening.wait(0.1)


def test_a_limit_that_an_enqueue_meets_is_not_a_full_queue_of_notifications(monkeypatch):
    def fail(*_):
        sql.execute(LIMIT)

    monkeypatch.setattr(short, "fetch_and_notify", fail)
    with pytest.raises(OperationalError, match="too large"):
        enqueue("account-mail", {}, job_id="too-large", user_id="")
    assert not JobLog.objects.exists()
