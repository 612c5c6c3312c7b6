"""B6: a pending notice or digest that cannot be enqueued is left for later, and all behind it are enqueued."""

from datetime import timedelta

import pytest
from django.contrib.auth import get_user_model
from django.db import OperationalError
from django.db.models.functions import Now
from structlog.testing import capture_logs

from accounts.notices import digest
from accounts.sign_in import outbox
from accounts.sign_in.event import NoticeStatus, SignIn
from jobs.core.job import JobLog
from jobs.queue.sweeping import work_on_each
from notifier.ops import doctor

pytestmark = pytest.mark.django_db


@pytest.fixture
def waiting():
    """Three pending notices; the name of the first one's user cannot be stored."""
    users = [get_user_model().objects.create_user(name, f"{name}@example.mn") for name in ("bad", "good", "better")]
    return [SignIn.objects.create(user=user, email=user.email, notice=NoticeStatus.PENDING) for user in users]


@pytest.fixture
def refuse_bad(monkeypatch):
    """A database that refuses one name, as one in SQL_ASCII does."""
    enqueue_to = outbox.enqueue_to

    def refuse(addresses, notice, **options):
        if notice.name == "bad":
            raise ValueError("character with byte sequence 0xd0 0x91 has no equivalent")
        return enqueue_to(addresses, notice, **options)

    monkeypatch.setattr(outbox, "enqueue_to", refuse)


def pending() -> set[str]:
    return {one.user.username for one in outbox.pending()}


@pytest.mark.engine
@pytest.mark.usefixtures("refuse_bad")
def test_one_notice_that_cannot_be_enqueued_blocks_no_other_and_is_retried(waiting, monkeypatch):
    with capture_logs() as logged:
        outbox.enqueue_pending()
    assert pending() == {"bad"}
    assert [line["row"] for line in logged if line["log_level"] == "error"] == [str(waiting[0])]
    assert JobLog.objects.count() == 2

    monkeypatch.undo()
    outbox.enqueue_pending()
    assert pending() == set()
    assert JobLog.objects.count() == 3


@pytest.mark.usefixtures("waiting", "refuse_bad")
def test_more_bad_notices_than_a_batch_block_no_other(monkeypatch):
    monkeypatch.setattr(outbox, "BATCH", 1)
    outbox.enqueue_pending()
    assert pending() == {"bad"}


@pytest.mark.usefixtures("waiting", "refuse_bad")
def test_the_doctor_names_notices_that_stay_pending():
    outbox.enqueue_pending()
    SignIn.objects.update(at=Now() - timedelta(minutes=6))
    found = {finding.check: finding for finding in doctor.examine()}
    assert found["pending"].verdict == doctor.Verdict.FAULT
    assert found["pending"].message.startswith("1 sign-in")


@pytest.mark.usefixtures("refuse_bad")
def test_a_sign_in_whose_notice_cannot_be_enqueued_is_recorded(client, monkeypatch):
    get_user_model().objects.create_user("bad", "bad@example.mn", "correct horse battery")
    client.post("/accounts/login/", {"login": "bad", "password": "correct horse battery"})
    assert SignIn.objects.get().notice == NoticeStatus.PENDING


def test_one_digest_that_cannot_be_enqueued_blocks_no_other(monkeypatch):
    for address in ("bad@example.mn", "good@example.mn"):
        digest.DigestEntry.objects.create(
            job_type="security", kind="changed", address=address, details={}, due_at=Now() - timedelta(hours=1)
        )
    enqueued = []

    def refuse(_job_type, _kind, address, *_, **__):
        if address.startswith("bad"):
            raise ValueError("refused")
        enqueued.append(address)

    monkeypatch.setattr(digest.account, "enqueue_as", refuse)
    digest.enqueue_digests()
    assert enqueued == ["good@example.mn"]
    assert [entry.address for entry in digest.due()] == ["bad@example.mn"]


def test_a_database_that_is_away_ends_the_work_on_rows():
    seen = []

    def work(row: int) -> None:
        seen.append(row)
        raise OperationalError("gone")

    with pytest.raises(OperationalError):
        work_on_each([1, 2, 3], work)
    assert seen == [1]
