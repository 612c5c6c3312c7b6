"""P3: people sign in while the queue's tables are dropped, locked or broken, and their notices are not lost."""

import pytest
from django.contrib.auth import get_user_model
from django.db import connection, transaction
from django.test import Client
from django.urls import reverse
from structlog.processors import format_exc_info
from structlog.testing import capture_logs

from accounts.sign_in import outbox, record
from accounts.sign_in.event import NoticeStatus, SignIn
from jobs.core.job import JobLog
from tests.support.people import FIREFOX
from tests.support.tables import locked, renamed

pytestmark = pytest.mark.django_db(transaction=True)
PASSWORD = "correct horse battery"


@pytest.fixture
def bat():
    return get_user_model().objects.create_user("bat", "bat@example.mn", PASSWORD)


def sign_in() -> tuple[int, bool]:
    """The status of the answer, and whether the browser is signed in after it."""
    browser = Client(headers={"user-agent": FIREFOX})
    answer = browser.post(reverse("account_login"), {"login": "bat", "password": PASSWORD})
    return answer.status_code, "_auth_user_id" in browser.session


@pytest.mark.engine
@pytest.mark.parametrize("table", ["job_logs", "django_q_ormq"])
def test_with_a_table_of_the_queue_gone_the_sign_in_works_and_the_notice_is_pending(bat, table):
    with renamed(table), capture_logs() as logged:
        assert sign_in() == (302, True)
    assert any(line["event"].startswith("notice could not be enqueued") for line in logged)
    assert SignIn.objects.get().notice == NoticeStatus.PENDING

    outbox.enqueue_pending()
    outbox.enqueue_pending()
    assert SignIn.objects.get().notice == NoticeStatus.QUEUED
    assert JobLog.objects.get().job_id == SignIn.objects.get().job_id


@pytest.mark.postgresql  # SQLite locks the whole file, the sign-in's own session included
@pytest.mark.parametrize("table", ["job_logs", "django_q_ormq"])
def test_with_a_table_of_the_queue_locked_the_sign_in_works_and_the_notice_is_pending(bat, table):
    with locked(table), capture_logs([format_exc_info]) as logged:
        assert sign_in() == (302, True)
    assert any("lock timeout" in line.get("exception", "") for line in logged)
    outbox.enqueue_pending()
    assert JobLog.objects.count() == 1


@pytest.mark.engine
def test_with_the_sign_ins_own_table_gone_people_still_get_in(bat):
    with renamed("accounts_signin"), capture_logs() as logged:
        assert sign_in() == (302, True)
    assert "sign-in could not be recorded" in [line["event"] for line in logged]


@pytest.mark.engine
@pytest.mark.parametrize(
    ("change", "notice"),
    [({"email": ""}, NoticeStatus.NO_ADDRESS), ({"notify_sign_ins": False}, NoticeStatus.OPTED_OUT)],
)
def test_who_gets_no_notice_is_recorded_with_the_reason(bat, change, notice):
    get_user_model().objects.filter(pk=bat.pk).update(**change)
    assert sign_in() == (302, True)
    assert (SignIn.objects.get().notice, JobLog.objects.count()) == (notice, 0)


@pytest.mark.engine
def test_the_eleventh_sign_in_of_an_hour_is_recorded_as_limited(bat):
    for _ in range(11):
        assert sign_in() == (302, True)
    assert SignIn.objects.filter(notice=NoticeStatus.QUEUED).count() == JobLog.objects.count() == 10
    assert SignIn.objects.filter(notice=NoticeStatus.LIMITED).count() == 1


@pytest.mark.engine
def test_a_sign_in_without_a_request_is_recorded(bat):
    record.record_sign_in(bat, None)
    assert JobLog.objects.get().payload["ipAddress"] == ""


@pytest.mark.postgresql  # SQLite has no lock_timeout
def test_the_bounded_wait_ends_with_the_recording(bat):
    with transaction.atomic():
        record.record_sign_in(bat, None)
        with connection.cursor() as cursor:
            cursor.execute("SELECT current_setting('lock_timeout')")
            assert cursor.fetchone() == ("0",)
