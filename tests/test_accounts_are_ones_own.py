"""The pages about one's own account: activity, sessions, devices, preferences, addresses, passwords."""

import re
import uuid
from html import unescape

import pytest
from allauth.account.models import EmailAddress
from django.contrib.sessions.backends.base import UpdateError
from django.test import Client

from accounts import account_mails
from accounts.models import Device, Notice, Session, SignIn
from jobs.models import JobLog, Status
from tests.people import CHROME, FIREFOX, PASSWORD, browser, last, person, sign_in, sign_out

pytestmark = pytest.mark.django_db
EN = {"accept-language": "en"}


@pytest.fixture
def bat():
    return person()


@pytest.fixture
def here(bat):
    client = browser(CHROME)
    sign_in(client)
    return client


@pytest.fixture
def there(here):
    client = browser(FIREFOX)
    sign_in(client)
    return client


def test_the_own_session_is_marked_and_others_can_be_ended(here, there):
    page = here.get("/accounts/activity/", headers=EN).content.decode()
    assert page.count("this session") == 1
    assert page.count("still signed in") == 1
    assert here.post(f"/accounts/activity/{last().pk}/end/").status_code == 302
    assert there.get("/accounts/activity/").status_code == 302
    assert here.get("/accounts/activity/").status_code == 200


def test_ending_the_own_session_is_signing_out(here):
    here.post(f"/accounts/activity/{last().pk}/end/")
    assert here.get("/accounts/activity/").status_code == 302


def test_an_ended_session_does_not_come_back_to_life(here, there):
    key = there.cookies["sessionid"].value
    store = there.session
    here.post(f"/accounts/activity/{last().pk}/end/")
    with pytest.raises(UpdateError):
        store.save()
    assert not Session.objects.filter(session_key=key).exists()


def test_all_sessions_are_ended_at_once(here, there):
    here.post("/accounts/activity/end-all/")
    assert not Session.objects.filter(user_id__isnull=False).exists()
    for client in (here, there):
        assert client.get("/accounts/activity/").status_code == 302


def test_nobody_ends_anothers_session_or_forgets_anothers_device(here):
    person("saran")
    stranger = browser()
    sign_in(stranger, "saran")
    mine = SignIn.objects.get(user__username="bat")
    assert stranger.post(f"/accounts/activity/{mine.pk}/end/").status_code == 404
    assert stranger.post(f"/accounts/devices/{Device.objects.get(user=mine.user).pk}/forget/").status_code == 404
    assert stranger.post(f"/accounts/activity/{uuid.uuid4()}/end/").status_code == 404
    assert here.get("/accounts/activity/").status_code == 200


def test_a_change_of_password_keeps_this_session_and_its_mark_and_ends_the_others(here, there):
    answer = here.post(
        "/accounts/password/change/",
        {"oldpassword": PASSWORD, "password1": "other-Steppe-horse", "password2": "other-Steppe-horse"},
    )
    assert answer.status_code == 302
    assert there.get("/accounts/activity/").status_code == 302
    assert "this session" in here.get("/accounts/activity/", headers=EN).content.decode()
    assert JobLog.objects.get(job_type="account-mail").payload["what"] == "password"


@pytest.mark.parametrize(
    ("notice", "status", "said"),
    [
        (Notice.QUEUED, Status.COMPLETED, "sent"),
        (Notice.QUEUED, Status.ENQUEUED, "on its way"),
        (Notice.QUEUED, Status.FAILED, "on its way"),
        (Notice.QUEUED, Status.DLQ, "could not be delivered"),
        (Notice.LIMITED, Status.COMPLETED, "not sent: too many in an hour"),
        (Notice.UNVERIFIED, Status.COMPLETED, "not sent: the address is not confirmed"),
        (Notice.OPTED_OUT, Status.COMPLETED, "not sent: turned off"),
        (Notice.NO_ADDRESS, Status.COMPLETED, "not sent: the account has no address"),
        (Notice.OWED, Status.COMPLETED, "will be sent when the queue is back"),
    ],
)
def test_what_became_of_each_notice_is_told(here, notice, status, said):
    SignIn.objects.update(notice=notice)
    JobLog.objects.update(status=status)
    assert f"<dd>{said}</dd>" in here.get("/accounts/activity/", headers=EN).content.decode()


@pytest.mark.parametrize("page", ["0", "-1", "999999999999999999999", "x", "1e9", "\x00", "2"])
def test_any_page_number_is_a_page(here, page):
    assert here.get("/accounts/activity/", {"page": page}).status_code == 200


def test_the_page_takes_the_same_queries_for_one_sign_in_as_for_ninety(bat, here, django_assert_max_num_queries):
    SignIn.objects.bulk_create(SignIn(user=bat, method="password", language="mn", time_zone="UTC") for _ in range(90))
    with django_assert_max_num_queries(8):
        assert here.get("/accounts/activity/?page=2").status_code == 200


def test_sign_ins_older_than_90_days_are_not_shown(here):
    SignIn.objects.update(at="2020-01-01T00:00Z")
    assert "No sign-ins" in here.get("/accounts/activity/", headers=EN).content.decode()


def test_preferences_are_kept_and_the_pages_follow_the_language(bat, here):
    answer = here.post("/accounts/preferences/", {"language": "en", "time_zone": "Asia/Hovd"})
    assert answer.status_code == 302
    bat.refresh_from_db()
    assert (bat.language, bat.time_zone, bat.notify_sign_ins) == ("en", "Asia/Hovd", False)
    assert '<html lang="en">' in here.get("/accounts/preferences/").content.decode()
    client = browser()
    sign_in(client)
    assert '<html lang="en">' in client.get("/").content.decode()


@pytest.mark.parametrize("wrong", [{"language": "xx"}, {"time_zone": "Mars/Base"}, {"time_zone": "\x00"}])
def test_preferences_that_are_none_are_refused_with_a_word(bat, here, wrong):
    answer = here.post("/accounts/preferences/", {"language": "", "time_zone": "", **wrong})
    assert answer.status_code == 200
    assert b"errorlist" in answer.content


def test_a_forgotten_device_is_told_as_new(here):
    here.post(f"/accounts/devices/{Device.objects.get().pk}/forget/")
    sign_in(browser(CHROME))
    assert last().new_device


@pytest.mark.parametrize(
    "path", ["/accounts/activity/", "/accounts/preferences/", "/accounts/email/", "/accounts/password/change/"]
)
def test_strangers_are_led_to_the_sign_in_page(path):
    answer = Client().get(path)
    assert answer.status_code == 302
    assert answer.url.startswith("/accounts/login/?next=")


@pytest.mark.parametrize("path", ["/accounts/activity/end-all/", "/accounts/devices/1/forget/"])
def test_what_changes_something_takes_no_get(here, path):
    assert here.get(path).status_code == 405


def test_signing_out_is_a_button_and_not_a_link(here):
    assert here.get("/accounts/logout/").status_code == 200
    assert here.get("/accounts/activity/").status_code == 200
    sign_out(here)
    assert here.get("/accounts/activity/").status_code == 302


def test_an_address_is_confirmed_by_the_link_in_its_mail():
    client = browser()
    client.post("/accounts/signup/", {"username": "new", "email": "new@example.mn", "password1": PASSWORD})
    job = JobLog.objects.get(job_type="account-mail")
    link = next(
        word
        for word in account_mails.build(job.job_id, job.payload).text.split()
        if word.startswith("http://testserver/accounts/confirm-email/")
    )
    path = link.removeprefix("http://testserver")
    assert client.get(path).status_code == 200
    assert not EmailAddress.objects.get().verified, "looking is not confirming"
    client.post(path)
    assert EmailAddress.objects.get().verified
    assert account_mails.build(job.job_id, job.payload) is None, "nothing is left to confirm"


def test_asking_for_a_password_tells_nobody_whether_there_is_an_account(bat):
    known = Client().post("/accounts/password/reset/", {"email": bat.email})
    unknown = Client().post("/accounts/password/reset/", {"email": "nobody@example.mn"})
    assert (known.status_code, known.url) == (unknown.status_code, unknown.url)
    assert JobLog.objects.filter(job_type="account-mail").count() == 1


def test_a_deleted_account_leaves_no_mail_waiting_and_no_session(bat, here):
    bat.delete()
    assert set(JobLog.objects.values_list("status", flat=True)) == {Status.DISCARDED}
    assert not Session.objects.filter(user_id__isnull=False).exists()
    assert here.get("/accounts/activity/").status_code == 302


def test_a_mail_about_an_account_that_is_gone_ends_without_a_word():
    payload = {"kind": "password_reset", "email": "x@example.mn", "userId": "999", "locale": "mn"}
    assert account_mails.build("job", payload) is None


def test_a_name_is_no_link_in_a_mail_to_somebody_else():
    browser().post(
        "/accounts/signup/", {"username": "www.evil.mn", "email": "victim@example.mn", "password1": PASSWORD}
    )
    job = JobLog.objects.get(job_type="account-mail")
    mail = account_mails.build(job.job_id, job.payload)
    for part in (mail.text, mail.html):
        assert "evil.mn" not in part


@pytest.mark.parametrize("kind", ["confirm_address", "password_reset", "changed", "way_back", "dispute_alert"])
@pytest.mark.parametrize("language", ["mn", "en"])
def test_each_mail_says_the_same_in_text_and_html_and_leads_to_one_place(bat, kind, language):
    payload = {"kind": kind, "email": bat.email, "locale": language, "what": "password", "method": "github"}
    subject, text, html = account_mails.render(payload, bat, "https://example.mn/there/")
    assert subject.endswith("- Yellow Books")
    assert text.count("https://example.mn/there/") == 1
    assert set(re.findall('href="(http[^"]*)"', html)) == {"https://example.mn/there/"}
    assert f'lang="{language}"' in html
    words = unescape(re.sub("<style.*?</style>|<[^>]+>", " ", html, flags=re.S)).split()
    assert {word.strip(":-") for word in text.split()} - {""} <= {word.strip(":-") for word in words}
