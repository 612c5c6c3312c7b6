"""One click in the email turns routine notices off (RFC 8058), never alerts, and no robot does it by looking."""

import re

import pytest
import time_machine
from allauth.account.models import EmailAddress
from django.core import mail as outbox
from django.test import Client

from accounts.credentials import Credential
from accounts.links.address_links import CANCEL, UNSUBSCRIBE
from accounts.notices import account, sign_in
from accounts.sign_in.event import NoticeStatus
from accounts.user import User
from jobs.core.job import JobLog
from tests.support.mail import delivering_to, set_mailer
from tests.support.people import CHROME, FIREFOX, browser, last, person
from tests.support.people import sign_in as signs_in
from tests.support.smtp_server import SmtpServer

pytestmark = pytest.mark.django_db
EN = {"accept-language": "en"}
ONE_CLICK = {"List-Unsubscribe": "One-Click"}


@pytest.fixture
def bat():
    return person()


@pytest.fixture
def link(bat):
    return UNSUBSCRIBE.make(bat.pk, bat.email).removeprefix("http://testserver")


def notified(user: User) -> bool:
    user.refresh_from_db()
    return user.notify_sign_ins


def changes() -> list[str]:
    return list(JobLog.objects.filter(payload__what="notices").values_list("payload__email", flat=True))


def test_a_routine_notice_carries_the_link_in_its_headers_and_its_text(bat, settings):
    client = browser()
    for _ in range(2):
        signs_in(client)
    with delivering_to(SmtpServer(), settings) as server:
        for job in JobLog.objects.filter(job_type=sign_in.SIGN_IN_JOB):
            sign_in.deliver(job)
        mail = server.mails[-1]
    [url] = re.fullmatch("<(http://testserver/accounts/unsubscribe/[^/]+/)>", mail.message["List-Unsubscribe"]).groups()
    assert mail.message["List-Unsubscribe-Post"] == "List-Unsubscribe=One-Click"
    for part in ("plain", "html"):
        assert url in mail.part(part)
        assert "http://testserver/accounts/preferences/" in mail.part(part)
    assert "example.mn" not in url
    path = url.removeprefix("http://testserver")
    assert Client().post(path, ONE_CLICK).status_code == 200
    assert not notified(bat)


def test_the_backends_of_django_get_the_same_headers(bat, settings):
    set_mailer(settings, "django.core.mail.backends.locmem.EmailBackend")
    client = browser()
    signs_in(client)
    sign_in.deliver(JobLog.objects.get(job_type=sign_in.SIGN_IN_JOB))
    [message] = outbox.outbox
    assert message.extra_headers["List-Unsubscribe-Post"] == "List-Unsubscribe=One-Click"
    assert message.extra_headers["List-Unsubscribe"] == message.message()["List-Unsubscribe"]


def test_neither_an_alert_nor_an_email_about_the_account_carries_it(bat, settings):
    signs_in(browser(CHROME))
    signs_in(browser(FIREFOX))
    assert last().new_device
    account.enqueue_mail("password_reset", bat.email, bat)
    alert, reset = JobLog.objects.order_by("-pk")[1], JobLog.objects.latest("pk")
    with delivering_to(SmtpServer(), settings) as server:
        sign_in.deliver(alert)
        account.deliver(reset)
        for mail in server.mails:
            assert mail.message["List-Unsubscribe"] is None
            assert mail.message["List-Unsubscribe-Post"] is None
            assert "/unsubscribe/" not in mail.part("plain") + mail.part("html")
        assert len(server.mails) == 2


def test_one_click_needs_no_cookie_and_is_emailed_once(bat, link):
    stranger = Client(enforce_csrf_checks=True)
    for _ in range(3):
        answer = stranger.post(link, ONE_CLICK)
        assert answer.status_code == 200, "no mail program follows a redirect"
    assert not notified(bat)
    assert changes() == [bat.email]


def test_looking_changes_nothing(bat, link):
    for _ in range(3):
        assert Client().get(link).status_code == Client().head(link).status_code == 200
    assert notified(bat)
    assert changes() == []
    page = Client(headers=EN).get(link).content.decode()
    assert page.count("<form") == 2, "its own, and that of the languages"
    assert "Turn off" in page


def test_the_link_names_no_address_and_does_not_expire(bat, link):
    assert bat.email not in link
    with time_machine.travel("2036-01-01"):
        assert Client().post(link).status_code == 200
    assert not notified(bat)


def test_alerts_are_still_sent(bat, link):
    signs_in(browser(CHROME))
    Client().post(link)
    signs_in(browser(FIREFOX))
    assert last().notice == NoticeStatus.QUEUED
    client = browser(CHROME)
    signs_in(client)
    assert last().notice == NoticeStatus.OPTED_OUT


def test_a_link_to_a_former_address_does_nothing(bat, link):
    User.objects.filter(pk=bat.pk).update(email="new@example.mn")
    assert Client().post(link).status_code == 404
    assert notified(bat)
    EmailAddress.objects.create(user=bat, email="bat@example.mn", verified=True)
    Credential.objects.all().delete()
    assert Client().post(link).status_code == 200
    assert not notified(bat)


@pytest.mark.parametrize("wrong", ["x", "WzEsImEiXQ:1v:abc", "%00", "a" * 5_000])
def test_an_invalid_link_is_a_clear_page(wrong):
    answer = Client(headers=EN).post(f"/accounts/unsubscribe/{wrong}/")
    assert answer.status_code == 404
    assert b"This link no longer works" in answer.content


def test_a_link_of_another_kind_or_of_a_deleted_account_does_nothing(bat, link):
    other = CANCEL.make(bat.pk, bat.email).removeprefix("http://testserver").replace("/cancel/", "/unsubscribe/")
    assert Client().post(other).status_code == 404
    bat.delete()
    assert Client().post(link).status_code == 404


def test_a_change_of_the_secret_key_does_not_end_it(bat, link, settings):
    settings.SECRET_KEY_FALLBACKS = [settings.SECRET_KEY]
    settings.SECRET_KEY = "another-" + "y" * 50
    assert Client().post(link).status_code == 200
    assert not notified(bat)
