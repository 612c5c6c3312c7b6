"""The pages about one's own account: activity, sessions, devices, preferences, addresses, passwords."""

import re
import time
import uuid
from datetime import timedelta
from html import unescape

import pytest
import time_machine
from allauth.account.models import EmailAddress
from django.contrib.sessions.backends.base import UpdateError
from django.test import Client
from django.utils import timezone

from accounts.changes.record import What, record_change
from accounts.mail.brand import site_name
from accounts.notices import account, digest
from accounts.notices.digest import DigestEntry
from accounts.sign_in.event import NoticeStatus, SignIn
from accounts.sign_in.known_devices import Device
from accounts.sign_in.sessions import Session
from jobs.core import counters
from jobs.core.job import JobLog, Status
from jobs.worker import entry
from tests.support.people import CHROME, FIREFOX, PASSWORD, browser, last, person, sign_in, sign_out, signed_in_browser
from tests.support.rights import post_checked
from tests.support.tables import renamed

pytestmark = pytest.mark.django_db
EN = {"accept-language": "en"}


@pytest.fixture
def bat():
    return person()


@pytest.fixture
def here(bat):
    return signed_in_browser()


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


def test_use_does_not_prolong_a_session(here):
    week = timedelta(days=7)
    with time_machine.travel(timezone.now() + week, tick=False):
        assert here.get("/accounts/2fa/?next=/accounts/activity/").status_code == 200  # it writes the session
    with time_machine.travel(timezone.now() + 2 * week, tick=False):
        assert here.get("/accounts/activity/").status_code == 302


def test_a_check_of_the_user_gives_the_session_another_key(here):
    before = here.cookies["sessionid"].value
    assert here.post("/accounts/reauthenticate/", {"password": PASSWORD}).status_code == 302
    assert here.cookies["sessionid"].value != before
    assert not Session.objects.filter(pk=before).exists()
    assert here.get("/accounts/activity/").status_code == 200


def test_all_sessions_are_ended_together(here, there):
    here.post("/accounts/activity/end-all/")
    assert not Session.objects.filter(user_id__isnull=False).exists()
    for client in (here, there):
        assert client.get("/accounts/activity/").status_code == 302


def test_no_user_ends_anothers_session_or_forgets_anothers_device(here):
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
    assert JobLog.objects.get(job_type="security-mail").payload["what"] == "password"


@pytest.mark.parametrize(
    ("notice", "status", "said"),
    [
        (NoticeStatus.QUEUED, Status.COMPLETED, "sent"),
        (NoticeStatus.QUEUED, Status.ENQUEUED, "on its way"),
        (NoticeStatus.QUEUED, Status.FAILED, "on its way"),
        (NoticeStatus.QUEUED, Status.DLQ, "could not be delivered"),
        (NoticeStatus.LIMITED, Status.COMPLETED, "not sent: too many in an hour"),
        (NoticeStatus.UNVERIFIED, Status.COMPLETED, "not sent: the address is not confirmed"),
        (NoticeStatus.OPTED_OUT, Status.COMPLETED, "not sent: turned off"),
        (NoticeStatus.NO_ADDRESS, Status.COMPLETED, "not sent: the account has no address"),
        (NoticeStatus.PENDING, Status.COMPLETED, "will be sent when the queue recovers"),
    ],
)
def test_the_status_of_each_notice_is_shown(here, notice, status, said):
    SignIn.objects.update(notice=notice)
    JobLog.objects.update(status=status)
    assert f"<dd>{said}</dd>" in here.get("/accounts/activity/", headers=EN).content.decode()


def test_sign_ins_in_a_row_from_one_device_and_place_are_folded(bat, here):
    now = timezone.now()
    kinds = [
        ("Chrome", "203.0.113.9"),
        ("Chrome", "203.0.113.200"),
        ("Firefox", "203.0.113.9"),
        ("Chrome", "198.51.100.1"),
    ]
    SignIn.objects.all().delete()
    SignIn.objects.bulk_create(
        SignIn(user=bat, at=now - timedelta(hours=n), browser=browser, system="Windows", ip=ip, method="password")
        for n, (browser, ip) in enumerate(kind for kind in kinds for _ in range(3))
    )
    page = here.get("/accounts/activity/", headers=EN).content.decode()
    assert page.count('<details class="older"') == 3
    assert "5 earlier sign-ins from this device and place" in page
    assert page.count("2 earlier sign-ins from this device and place") == 2


def test_a_new_device_or_a_disputed_sign_in_is_never_folded(bat, here):
    SignIn.objects.bulk_create(
        SignIn(user=bat, browser="Chrome", system="Windows", method="password") for _ in range(4)
    )
    SignIn.objects.filter(pk=last().pk).update(new_device=True)
    SignIn.objects.filter(pk=SignIn.objects.earliest("at").pk).update(disputed_at=timezone.now())
    page = here.get("/accounts/activity/", headers=EN).content.decode()
    assert page.count('<span class="tag warn">new device') == page.count('<span class="tag bad">not you') == 1
    shown = page.split("<details")[0] + "".join(part.split("</details>")[1] for part in page.split("<details")[1:])
    assert "new device</span>" in shown
    assert "not you</span>" in shown


def test_a_thousand_sign_ins_are_a_page_of_moderate_size(bat, here):
    SignIn.objects.bulk_create(SignIn(user=bat, method="password", ip="192.0.2.1") for _ in range(1_000))
    answer = here.get("/accounts/activity/?page=2")
    assert answer.status_code == 200
    assert len(answer.content) < 600_000


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


def prefer(client, **fields):
    """Post the preferences, and the password when it is asked for."""
    return post_checked(client, "/accounts/preferences/", {"language": "", "time_zone": "", **fields})


def test_preferences_are_kept_and_the_pages_follow_the_language(bat, here):
    assert prefer(here, language="en", time_zone="Asia/Hovd", last_name="Бат\u202e").status_code == 302
    bat.refresh_from_db()
    assert (bat.language, bat.time_zone, bat.notify_sign_ins) == ("en", "Asia/Hovd", False)
    assert bat.last_name == "Бат"
    assert '<html lang="en">' in here.get("/accounts/preferences/").content.decode()
    client = browser()
    sign_in(client)
    assert '<html lang="en">' in client.get("/").content.decode()


@pytest.mark.parametrize("password", ["", "wrong"])
@pytest.mark.parametrize("change", [{"language": "en"}, {"notify_sign_ins": "on", "first_name": "Evil"}])
def test_neither_notices_nor_the_name_are_changed_without_the_password(bat, here, password, change):
    answer = here.post("/accounts/preferences/", {"language": "", "time_zone": "", **change})
    assert answer.url.startswith("/accounts/reauthenticate/")
    assert here.post(answer.url, {"password": password}).status_code == 200
    bat.refresh_from_db()
    assert (bat.language, bat.notify_sign_ins, bat.first_name) == ("", True, "")


def test_what_is_harmless_is_changed_without_the_password(bat, here):
    answer = here.post("/accounts/preferences/", {"language": "en", "time_zone": "", "notify_sign_ins": "on"})
    assert answer.url == "/accounts/preferences/"
    bat.refresh_from_db()
    assert bat.language == "en"


def test_an_email_says_that_notices_were_turned_off_and_the_name_changed(bat, here):
    prefer(here, language="en", first_name="Bold")
    jobs = JobLog.objects.exclude(job_type="signin-notification").order_by("pk")
    assert [(job.payload["what"], job.payload["email"]) for job in jobs] == [
        ("notices", bat.email),
        ("name", bat.email),
    ]
    texts = [account.build_mail(job.job_id, {**job.payload, "locale": "en"}).text for job in jobs]
    assert "Emails about sign-ins were turned off." in texts[0]
    assert "The name of the account was changed." in texts[1]
    here.post(
        "/accounts/preferences/", {"language": "en", "time_zone": "", "notify_sign_ins": "on", "first_name": "Bold"}
    )
    bat.refresh_from_db()
    assert bat.notify_sign_ins, "they are turned on without a password"
    assert jobs.all().count() == 2


def test_without_a_password_a_recent_sign_in_turns_notices_off(bat, here):
    bat.set_unusable_password()
    bat.save()
    here.force_login(bat)
    session = here.session
    session["account_authentication_methods_user"] = str(bat.pk)
    for age, still_on in ((601, True), (599, False)):
        session["account_authentication_methods"] = [{"method": "socialaccount", "at": time.time() - age}]
        session.save()
        assert here.post("/accounts/preferences/", {"language": "", "time_zone": ""}).status_code == 302
        bat.refresh_from_db()
        assert bat.notify_sign_ins is still_on


@pytest.mark.parametrize("wrong", [{"language": "xx"}, {"time_zone": "Mars/Base"}, {"time_zone": "\x00"}])
def test_preferences_that_are_none_are_refused_with_a_word(bat, here, wrong):
    answer = here.post("/accounts/preferences/", {"language": "", "time_zone": "", "notify_sign_ins": "on", **wrong})
    assert answer.status_code == 200
    assert b"errorlist" in answer.content


def test_a_forgotten_device_is_reported_as_new(here):
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
    client.post("/accounts/signup/", {"email": "new@example.mn", "password1": PASSWORD})
    job = JobLog.objects.get(job_type="account-mail")
    link = next(
        word
        for word in account.build_mail(job.job_id, job.payload).text.split()
        if word.startswith("http://testserver/accounts/confirm-email/")
    )
    path = link.removeprefix("http://testserver")
    assert client.get(path).status_code == 200
    assert not EmailAddress.objects.get().verified, "looking is not confirming"
    client.post(path)
    assert EmailAddress.objects.get().verified
    assert account.build_mail(job.job_id, job.payload) is None, "nothing is left to confirm"


def test_a_confirmed_address_is_not_said_to_be_confirmed_again(bat, here):
    EmailAddress.objects.create(user=bat, email=bat.email, verified=True, primary=True)
    before = JobLog.objects.count()
    here.post("/accounts/email/", {"action_send": "", "email": bat.email}, headers=EN)
    page = here.get("/accounts/email/", headers=EN).content.decode()
    assert "already confirmed" in page
    assert "is on its way" not in page
    assert JobLog.objects.count() == before


def test_a_confirmation_that_the_limit_held_back_is_not_said_to_be_sent(bat, here):
    EmailAddress.objects.create(user=bat, email="new@example.mn", verified=False)
    for _ in range(account.PER_HOUR):
        account.enqueue_mail("password_reset", bat.email, bat)
    here.post("/accounts/email/", {"action_send": "", "email": "new@example.mn"}, headers=EN)
    page = here.get("/accounts/email/", headers=EN).content.decode()
    assert "No email was sent" in page
    assert "is on its way" not in page


def test_asking_for_a_password_does_not_reveal_whether_there_is_an_account(bat):
    known = Client().post("/accounts/password/reset/", {"email": bat.email})
    unknown = Client().post("/accounts/password/reset/", {"email": "unknown@example.mn"})
    assert (known.status_code, known.url) == (unknown.status_code, unknown.url)
    assert JobLog.objects.filter(job_type="account-mail").count() == 1


def test_a_deleted_account_leaves_no_mail_waiting_and_no_session(bat, here):
    bat.delete()
    assert set(JobLog.objects.values_list("status", flat=True)) == {Status.DISCARDED}
    assert not Session.objects.filter(user_id__isnull=False).exists()
    assert here.get("/accounts/activity/").status_code == 302


def test_a_mail_about_an_account_that_is_gone_ends_without_a_word():
    payload = {"kind": "password_reset", "email": "x@example.mn", "userId": "999", "locale": "mn"}
    assert account.build_mail("job", payload) is None


def test_a_name_never_becomes_a_link_in_a_mail_to_another_user():
    person("www.evil.mn").emailaddress_set.create(email="victim@example.mn")
    user = EmailAddress.objects.get().user
    account.enqueue_mail("confirm_address", "victim@example.mn", user)
    job = JobLog.objects.get(job_type="account-mail")
    mail = account.build_mail(job.job_id, job.payload)
    for part in (mail.text, mail.html):
        assert "evil.mn" not in part


@pytest.mark.parametrize("kind", account.LINKS)
@pytest.mark.parametrize("language", ["mn", "en"])
def test_each_mail_says_the_same_in_text_and_html_and_leads_to_one_place(bat, kind, language):
    event = {"what": "password", "at": "2026-03-01T01:30:00+00:00", "account": "b… (1)", "device": "Chrome, Windows"}
    events = {"events": [event, {**event, "what": "notices"}]} if kind.endswith("_digest") else event
    payload = {"kind": kind, "email": bat.email, "locale": language, "method": "github", **events}
    subject, text, html = account.render_mail(payload, bat, "https://example.mn/there/")
    assert subject.endswith(f"- {site_name(language)}")
    linked = not kind.startswith("site_dispute")  # to the support of another site, which has pages of its own
    assert text.count("https://example.mn/there/") == linked
    assert set(re.findall('href="(http[^"]*)"', html)) == ({"https://example.mn/there/"} if linked else set())
    assert f'lang="{language}"' in html
    words = unescape(re.sub("<style.*?</style>|<[^>]+>", " ", html, flags=re.S)).split()
    assert {word.strip(":-,") for word in text.split()} - {""} <= {word.strip(":-,") for word in words}


@pytest.fixture
def reset_flood(bat):
    """A stranger asked for a new password until the limit was reached."""
    for _ in range(12):
        account.enqueue_mail("password_reset", bat.email, bat)
    assert JobLog.objects.filter(payload__kind="password_reset").count() == account.PER_HOUR


CHANGED = {"oldpassword": PASSWORD, "password1": "other-Steppe-horse", "password2": "other-Steppe-horse"}


def test_a_stranger_cannot_silence_the_email_about_a_new_password(bat, here, reset_flood):
    here.post("/accounts/password/change/", CHANGED)
    job = JobLog.objects.get(job_type="security-mail")
    assert (job.payload["what"], job.payload["email"]) == ("password", bat.email)


def test_every_confirmed_address_hears_of_a_change(bat, here):
    EmailAddress.objects.create(user=bat, email="bat@second.mn", verified=True)
    EmailAddress.objects.create(user=bat, email="bat@unconfirmed.mn", verified=False)
    here.post("/accounts/password/change/", CHANGED)
    notified = JobLog.objects.filter(job_type="security-mail").values_list("payload__email", flat=True)
    assert sorted(notified) == ["bat@example.mn", "bat@second.mn"]


def test_more_changes_of_a_kind_within_an_hour_become_one_digest_and_none_is_lost(bat):
    for number in range(6):
        record_change(bat, What.PASSWORD if number % 2 else What.ADDRESS)
    mails = JobLog.objects.filter(job_type="security-mail").order_by("id")
    assert [job.payload["what"] for job in mails] == ["address", "password"]
    mails.update(created_at=timezone.now() - timedelta(hours=1, seconds=1))
    DigestEntry.objects.update(due_at=timezone.now())
    digest.enqueue_digests()
    mail = account.build_mail("job", {**mails.last().payload, "locale": "en"})
    assert mail.text.count("The password was changed or set.") == 2
    assert mail.text.count("An email address of the account") == 2
    assert not DigestEntry.objects.exists()


def test_a_change_while_the_queue_is_broken_is_emailed_later(bat, here):
    with renamed("job_logs"):
        assert here.post("/accounts/password/change/", CHANGED).status_code == 302
    digest.enqueue_digests()
    assert JobLog.objects.get(job_type="security-mail").payload["events"][0]["what"] == "password"


def test_a_job_that_has_nothing_to_send_is_discarded_and_says_why(bat):
    EmailAddress.objects.create(user=bat, email=bat.email, verified=True)
    account.enqueue_mail("confirm_address", bat.email, bat)
    job = JobLog.objects.get()
    entry.run(job.pk, 1)
    job.refresh_from_db()
    assert (job.status, job.error_class, job.attempts.count()) == (Status.DISCARDED, "obsolete", 1)
    assert "no email was sent" in job.error
    counted = counters.read()
    assert sum(n for what, (n, _) in counted.items() if what.name == "discarded") == 1
