"""The record of a sign-in: its method, its address, its language and the status of its notice."""

import pytest
from allauth.account.models import EmailAddress
from django.test import Client

from accounts.sign_in.event import NoticeStatus, SignIn
from accounts.user import User
from jobs.core.job import JobLog
from tests.support.people import PASSWORD, browser, last, person, sign_in, sign_out

pytestmark = pytest.mark.django_db


def notices():
    return JobLog.objects.filter(job_type="signin-notification")


def test_one_sign_in_one_record_one_job():
    person()
    sign_in(browser())
    assert SignIn.objects.count() == notices().count() == 1
    assert (last().method, last().ip, last().browser, last().system) == ("password", "203.0.113.7", "Chrome", "Windows")


def test_a_wrong_password_is_not_recorded_as_a_sign_in():
    person()
    assert sign_in(browser(), password="wrong").status_code == 200
    assert not SignIn.objects.exists()


def test_signing_up_is_a_sign_in_too():
    client = browser()
    client.post("/accounts/signup/", {"email": "new@example.mn", "password1": PASSWORD})
    assert last().user.email == "new@example.mn"
    assert last().method == "password"


def test_a_log_in_to_the_administration_is_recorded_as_such_and_notified():
    person("boss", is_staff=True)
    answer = browser().post("/admin/login/?next=/admin/", {"username": "boss", "password": PASSWORD})
    assert answer.status_code == 302
    assert (last().method, last().notice) == ("admin", "queued")


def test_a_log_in_that_code_makes_is_recorded_as_the_sites_own():
    Client().force_login(person())
    assert (last().method, last().ip, last().notice) == ("code", None, "queued")


def test_nothing_in_the_administration_signs_in_as_another_user():
    boss, bat = person("boss", is_staff=True, is_superuser=True), person("bat")
    client = browser()
    client.force_login(boss)
    page = client.get(f"/admin/accounts/user/{bat.pk}/change/").content.decode()
    assert "hijack" not in page
    assert "impersonat" not in page
    assert client.post("/accounts/login/", {"login": "bat", "password": "boss's own"}).status_code == 302
    assert SignIn.objects.filter(user=bat).count() == 0


def test_an_address_that_an_operator_entered_is_notified():
    person()
    sign_in(browser())
    assert last().notice == NoticeStatus.QUEUED


def test_an_address_that_the_person_has_not_confirmed_gets_nothing():
    bat = person()
    EmailAddress.objects.create(user=bat, email=bat.email, verified=False, primary=True)
    sign_in(browser())
    assert last().notice == NoticeStatus.UNVERIFIED
    EmailAddress.objects.update(verified=True)
    sign_in(browser())
    assert last().notice == NoticeStatus.QUEUED


def test_an_operators_address_stays_good_when_the_person_looks_at_it_or_asks_for_a_password():
    person()
    client = browser()
    sign_in(client)
    assert b"bat@example.mn" in client.get("/accounts/email/").content
    browser().post("/accounts/password/reset/", {"email": "bat@example.mn"})
    sign_in(browser())
    assert last().notice == NoticeStatus.QUEUED


def test_without_an_address_the_sign_in_works_and_says_why_nothing_was_sent():
    User.objects.create_user("no-address", password=PASSWORD)
    assert sign_in(browser(), "no-address").status_code == 302
    assert last().notice == NoticeStatus.NO_ADDRESS


def test_over_the_limit_it_is_recorded_and_the_next_notice_says_how_many(settings):
    bat = person()
    for _ in range(settings.SIGNIN_EMAILS_PER_HOUR + 4):
        sign_in(browser())
    assert SignIn.objects.filter(notice=NoticeStatus.LIMITED).count() == 4
    notices().update(created_at="2020-01-01T00:00Z")
    sign_in(browser())
    assert last().more_sign_ins == 4
    assert notices().latest("id").payload["moreSignIns"] == 4
    sign_in(browser())
    assert notices().latest("id").payload["moreSignIns"] == 0
    assert SignIn.objects.filter(user=bat).count() == settings.SIGNIN_EMAILS_PER_HOUR + 6


def test_one_persons_limit_is_not_anothers():
    person("bat")
    person("saran")
    for _ in range(12):
        sign_in(browser(), "bat")
    sign_in(browser(), "saran")
    assert (last().notice, last().more_sign_ins) == ("queued", 0)


def test_the_notice_goes_where_the_address_was_when_it_happened():
    bat = person()
    sign_in(browser())
    bat.email = "elsewhere@example.mn"
    bat.save()
    assert notices().get().payload["email"] == "bat@example.mn"


@pytest.mark.parametrize(
    ("chosen", "asked", "recorded"),
    [("", "en", "en"), ("", "mn", "mn"), ("", "xx", "mn"), ("mn", "en", "mn"), ("en", "mn", "en"), ("xx", "en", "en")],
)
def test_the_language_is_the_persons_else_the_browsers_else_the_sites(chosen, asked, recorded):
    person(language=chosen)
    client = browser()
    client.defaults["HTTP_ACCEPT_LANGUAGE"] = asked
    sign_in(client)
    assert last().language == recorded


@pytest.mark.parametrize(
    ("chosen", "recorded"),
    [
        ("", "Asia/Ulaanbaatar"),
        ("Asia/Hovd", "Asia/Hovd"),
        ("Mars/Base", "Asia/Ulaanbaatar"),
        ("../etc", "Asia/Ulaanbaatar"),
    ],
)
def test_the_zone_is_the_persons_else_the_sites(chosen, recorded):
    person(time_zone=chosen)
    sign_in(browser())
    assert last().time_zone == recorded


@pytest.mark.parametrize("address", ["", "unknown", "999.1.1.1", "/run/gunicorn.sock"])
def test_an_invalid_address_is_left_out(address):
    person()
    assert sign_in(browser(address=address)).status_code == 302
    assert last().ip is None


def test_signing_in_again_in_one_session_is_recorded_again():
    person()
    client = browser()
    sign_in(client)
    sign_out(client)
    sign_in(client)
    assert SignIn.objects.count() == 2
