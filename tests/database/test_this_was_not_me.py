"""The link in the notice: what it may do, what the button does, and that it does it once."""

import re
from concurrent.futures import ThreadPoolExecutor
from datetime import timedelta

import pytest
import time_machine
from allauth.account.models import EmailAddress
from allauth.socialaccount.models import SocialAccount
from django.core import signing
from django.db import connection
from django.test import Client
from django.utils import timezone

from accounts.credentials import Credential
from accounts.links import dispute_links
from accounts.notices import account, digest
from accounts.notices.digest import DigestEntry
from accounts.sign_in import disputes
from accounts.sign_in.event import SignIn
from accounts.sign_in.known_devices import Device
from accounts.sign_in.sessions import Session
from accounts.user import User
from jobs.core.job import JobLog
from tests.support.people import CHROME, FIREFOX, PASSWORD, browser, last, person, sign_in
from tests.support.tables import renamed

pytestmark = pytest.mark.django_db
NOT_ME = {"answer": "not-me"}


def mails():
    return JobLog.objects.filter(job_type__in=["dispute-mail", "operator-alert"]).order_by("id")


@pytest.fixture
def robbed():
    """A person who is signed in, and an attacker who is too, from a device that is new."""
    bat = person()
    owner, attacker = browser(CHROME), browser(FIREFOX)
    sign_in(owner)
    sign_in(attacker)
    return bat, owner, attacker


def link_of(sign_in_record):
    return dispute_links.dispute_link(sign_in_record.pk).removeprefix("http://testserver")


def press(page):
    """The answer to "not me", sent from the page of a link."""
    return Client().post(page, NOT_ME)


def test_the_link_is_on_site_url_whatever_host_was_asked(robbed, settings):
    settings.SITE_URL = "https://shar-huudas.mn"
    assert dispute_links.dispute_link(last().pk).startswith("https://shar-huudas.mn/accounts/not-me/")


def test_looking_at_the_page_ten_times_changes_nothing(robbed):
    bat, owner, _attacker = robbed
    before = _state(bat)
    for _ in range(10):
        assert Client().get(link_of(last())).status_code == 200
        assert Client().head(link_of(last())).status_code == 200
    assert _state(bat) == before
    assert owner.get("/accounts/activity/").status_code == 200


@pytest.mark.parametrize(
    "sent", ["", "answer=", "answer=on", "answer=me&answer=not-me", "answer=NOT-ME", "answer=not-me&answer=not-me"]
)
def test_a_form_without_the_one_answer_changes_nothing_and_is_shown_again(robbed, sent):
    bat, _owner, _attacker = robbed
    before = _state(bat)
    form = "application/x-www-form-urlencoded"
    shown = Client().post(link_of(last()), sent, content_type=form, headers={"accept-language": "en"})
    assert shown.status_code == 200
    assert "Choose one answer" in shown.content.decode()
    assert Client().post(link_of(last()) + "?answer=not-me").status_code == 200
    assert _state(bat) == before


def test_the_answer_that_it_was_me_says_thank_you_and_changes_nothing(robbed):
    bat, _owner, _attacker = robbed
    before = _state(bat)
    shown = Client().post(link_of(last()), {"answer": "me"}, headers={"accept-language": "en"})
    assert shown.status_code == 200
    assert "Thank you" in shown.content.decode()
    assert _state(bat) == before


def test_a_robot_that_sends_the_pages_form_as_it_is_changes_nothing(robbed):
    bat, _owner, _attacker = robbed
    before = _state(bat)
    page = Client().get(link_of(last()))
    body = page.content.decode()
    radios = re.findall(r'<input type="radio"[^>]*>', body)
    assert [re.search('value="([^"]*)"', radio)[1] for radio in radios] == ["me", "not-me"]
    assert all(" required" in radio and "checked" not in radio for radio in radios)
    form = re.search(r'<form method="post" action="/accounts/not-me/.*?</form>', body, re.S)[0]
    assert form.count("<button") == 1
    hidden = dict(re.findall(r'<input type="hidden" name="([^"]*)" value="([^"]*)"', form))
    assert Client().post(link_of(last()), hidden).status_code == 200
    assert _state(bat) == before
    assert "no-store" in page["Cache-Control"]


def test_a_used_link_gives_no_new_one(robbed):
    page = link_of(last())
    with time_machine.travel(timedelta(days=6)):
        for _ in range(2):
            answer = press(page)
            assert answer.status_code == 302
            assert answer.url == page
    with time_machine.travel(timedelta(days=8)):
        assert Client().get(answer.url).status_code == 404


def test_the_button_ends_every_session_and_the_next_request_is_a_sign_in_page(robbed):
    _bat, owner, attacker = robbed
    answer = press(link_of(last()))
    assert answer.status_code == 302
    assert Session.objects.filter(user_id__isnull=False).count() == 0
    for client in (owner, attacker):
        assert client.get("/accounts/activity/").url.startswith("/accounts/login/")


def test_the_button_makes_the_password_useless_and_forgets_devices(robbed):
    bat, _owner, _attacker = robbed
    press(link_of(last()))
    assert sign_in(browser(FIREFOX)).status_code == 200, "the attacker knows the password"
    assert not Device.objects.filter(user=bat).exists()
    bat.refresh_from_db()
    assert not bat.has_usable_password()


def test_a_session_kept_elsewhere_would_end_too(robbed):
    bat, _owner, _attacker = robbed
    before = bat.get_session_auth_hash()
    press(link_of(last()))
    bat.refresh_from_db()
    assert bat.get_session_auth_hash() != before


def test_it_works_once_and_says_so_after(robbed):
    page = link_of(last())
    press(page)
    jobs = JobLog.objects.count()
    first = SignIn.objects.get(disputed_at__isnull=False).disputed_at
    press(page)
    assert JobLog.objects.count() == jobs
    assert SignIn.objects.get(disputed_at__isnull=False).disputed_at == first
    said = Client().get(page, headers={"accept-language": "en"}).content.decode()
    assert "Your account is protected" in said
    assert "<fieldset" not in said


def test_two_presses_in_parallel_do_it_once(robbed):
    sign_in_record = last()
    assert disputes.dispute(SignIn.objects.get(pk=sign_in_record.pk))
    assert not disputes.dispute(sign_in_record)


def test_the_way_back_goes_to_the_address_that_was_notified_and_works_without_a_password(robbed):
    bat, _owner, _attacker = robbed
    User.objects.filter(pk=bat.pk).update(email="thief@example.mn")
    EmailAddress.objects.create(user=bat, email="thief@example.mn", verified=True, primary=True)
    press(link_of(last()))
    way_back = mails().first()
    assert (way_back.payload["kind"], way_back.payload["email"]) == ("way_back", "bat@example.mn")
    bat.refresh_from_db()
    assert bat.email == "bat@example.mn"
    assert not EmailAddress.objects.filter(email="thief@example.mn").exists()

    mail = account.build_mail(way_back.job_id, way_back.payload)
    reset = re.search(r"http://testserver(/accounts/password/reset/key/\S+)", mail.text)[1]
    client = browser()
    form = client.get(reset, follow=True)
    answer = client.post(form.redirect_chain[-1][0], {"password1": "brand-New-horses", "password2": "brand-New-horses"})
    assert answer.status_code == 302
    assert sign_in(browser(), password="brand-New-horses").status_code == 302
    assert last().new_device, "every device is new after a dispute"


def test_no_token_is_stored_with_the_job(robbed):
    press(link_of(last()))
    for job in mails():
        details = {"account", "at", "device"} if job.payload["kind"] == "dispute_alert" else set()
        assert set(job.payload) == {"kind", "email", "userId", "locale", "signInId", "method"} | details


def test_operators_are_notified_or_else_the_sites_contact(robbed, settings):
    press(link_of(last()))
    assert list(mails().filter(payload__kind="dispute_alert").values_list("payload__email", flat=True)) == [
        settings.SUPPORT_EMAIL
    ]
    person("boss", is_staff=True, is_superuser=True)
    person("clerk", is_staff=True)
    press(link_of(SignIn.objects.earliest("at")))
    assert mails().last().payload["email"] == "boss@example.mn"
    assert mails().filter(payload__kind="dispute_alert").count() == 2


def test_github_accounts_that_were_connected_since_go_and_older_ones_stay(robbed):
    bat, _owner, _attacker = robbed
    SocialAccount.objects.create(user=bat, provider="github", uid="attacker's")
    mine = SocialAccount.objects.create(user=bat, provider="github", uid="mine")
    SocialAccount.objects.filter(pk=mine.pk).update(date_joined="2020-01-01T00:00Z")
    Credential.objects.filter(reference="mine").update(since="2020-01-01T00:00Z")
    press(link_of(last()))
    assert list(SocialAccount.objects.values_list("uid", flat=True)) == ["mine"]


def test_an_hourly_limit_that_is_used_up_holds_no_way_back_up(robbed):
    bat, _owner, _attacker = robbed
    for _ in range(12):
        account.enqueue_mail("password_reset", bat.email, bat)
    assert JobLog.objects.filter(job_type="account-mail").count() == account.PER_HOUR
    press(link_of(last()))
    assert mails().count() == 2


@pytest.mark.parametrize(
    "spoil", [lambda t: t[:-1], lambda t: t + "x", lambda t: "x" + t, lambda t: t.upper(), lambda t: "a"]
)
@pytest.mark.parametrize("method", ["get", "post"])
def test_a_tampered_link_is_a_clear_page_and_changes_nothing(robbed, spoil, method):
    bat, _owner, _attacker = robbed
    before = _state(bat)
    token = link_of(last()).removeprefix("/accounts/not-me/").removesuffix("/")
    answer = getattr(Client(), method)(f"/accounts/not-me/{spoil(token)}/", NOT_ME, headers={"accept-language": "en"})
    assert answer.status_code == 404
    assert "This link no longer works" in answer.content.decode()
    assert _state(bat) == before


def test_a_link_lasts_seven_days(robbed):
    page = link_of(last())
    with time_machine.travel(timedelta(days=6, hours=23)):
        assert Client().get(page).status_code == 200
    with time_machine.travel(timedelta(days=7, minutes=1)):
        assert Client().get(page).status_code == 404
        assert press(page).status_code == 404


def test_a_link_of_another_site_or_another_purpose_is_invalid(robbed, settings):
    page = link_of(last())
    settings.SITE_URL = "https://other.example.mn"
    assert Client().get(page).status_code == 404
    settings.SITE_URL = "http://testserver"
    assert Client().get(page).status_code == 200
    assert disputes.find_link(signing.dumps(str(last().pk))) is None
    assert disputes.find_link(signing.dumps(str(last().pk), salt="account")) is None


@pytest.mark.parametrize("named", ["not a uuid", "", None, 7, {"a": 1}, "\x00"])
def test_a_signed_link_that_names_nothing_is_invalid(named, settings):
    assert disputes.find_link(signing.dumps(named, salt=f"{dispute_links.DISPUTE_SALT}:{settings.SITE_URL}")) is None


def test_a_link_to_an_account_that_is_gone_is_a_clear_page(robbed):
    bat, _owner, _attacker = robbed
    page = link_of(last())
    bat.delete()
    assert Client().get(page).status_code == 404


def test_the_button_needs_its_forms_token(robbed):
    strict = Client(enforce_csrf_checks=True)
    answer = strict.post(link_of(last()), NOT_ME, headers={"accept-language": "en"})
    assert answer.status_code == 403
    assert "Please submit the form again" in answer.content.decode()
    assert not SignIn.objects.filter(disputed_at__isnull=False).exists()


def test_with_the_queue_unavailable_the_account_is_closed_and_the_mails_stay_pending(robbed):
    _bat, owner, _attacker = robbed
    with renamed("job_logs"):
        assert press(link_of(last())).status_code == 302
    assert owner.get("/accounts/activity/").status_code == 302
    assert mails().count() == 0
    disputes.enqueue_pending()
    disputes.enqueue_pending()
    assert mails().count() == 2
    assert not SignIn.objects.filter(dispute_pending=True).exists()


def test_one_can_get_there_from_the_page_of_ones_sign_ins_but_only_to_ones_own(robbed):
    _bat, owner, _attacker = robbed
    stranger = browser()
    person("saran")
    sign_in(stranger, "saran")
    attackers = SignIn.objects.filter(user__username="bat").latest("at")
    for client, status in ((owner, 200), (stranger, 404)):
        client.post("/accounts/reauthenticate/", {"password": PASSWORD})
        assert client.get(f"/accounts/activity/{attackers.pk}/not-me/").status_code == status


def test_an_unconfirmed_address_gets_no_way_back():
    bat = person()
    EmailAddress.objects.create(user=bat, email=bat.email, verified=False, primary=True)
    sign_in(browser())
    assert press(link_of(last())).status_code == 410
    assert not mails().exists()


def _state(user):
    user.refresh_from_db()
    return (
        user.password,
        user.email,
        Device.objects.count(),
        Session.objects.count(),
        JobLog.objects.count(),
        list(SignIn.objects.order_by("pk").values_list("pk", "disputed_at")),
    )


@pytest.mark.django_db(transaction=True)
def test_ten_presses_at_the_same_instant_do_it_once():
    person()
    sign_in(browser())
    pressed = last()

    def press(_number):
        try:
            return disputes.dispute(SignIn.objects.select_related("user").get(pk=pressed.pk))
        finally:
            connection.close()

    with ThreadPoolExecutor(10) as threads:
        assert sorted(threads.map(press, range(10))) == [False] * 9 + [True]
    assert mails().filter(payload__kind="way_back").count() == 1


def test_an_alert_names_the_account_masked_and_the_time_and_the_device(robbed):
    bat, _owner, _attacker = robbed
    press(link_of(last()))
    alert = mails().get(payload__kind="dispute_alert")
    mail = account.build_mail(alert.job_id, {**alert.payload, "locale": "en"})
    assert f"Account b… ({bat.pk}), signed in" in mail.text
    for part in (mail.text, mail.html):
        assert f"b… ({bat.pk})" in part
        assert "Firefox" in part
        assert bat.username not in part.replace("operators", "")


def test_a_flood_of_disputes_is_one_alert_and_one_digest_an_hour_for_each_operator(settings):
    person("boss", is_staff=True, is_superuser=True)
    for number in range(4):
        person(f"user{number}")
        sign_in(browser(), f"user{number}")
        press(link_of(last()))
    assert mails().filter(payload__kind="way_back").count() == 4
    alerts = JobLog.objects.filter(job_type="operator-alert").order_by("id")
    assert alerts.count() == 1
    digest.enqueue_digests()
    assert alerts.count() == 1, "not before the hour is over"
    DigestEntry.objects.update(due_at=timezone.now())
    digest.enqueue_digests()
    assert alerts.count() == 1, "the queue's own count says so"
    assert DigestEntry.objects.filter(due_at__gt=timezone.now()).count() == 3
    alerts.update(created_at=timezone.now() - timedelta(hours=1, seconds=1))
    DigestEntry.objects.update(due_at=timezone.now())
    digest.enqueue_digests()
    digest.enqueue_digests()
    assert alerts.count() == 2
    mail = account.build_mail("job", {**alerts.last().payload, "locale": "en"})
    assert mail.to == "boss@example.mn"
    assert mail.text.count("Account u… (") == 3
    assert len(re.findall(r"<td[^>]*>u… \(", mail.html)) == 3
    assert not DigestEntry.objects.exists()
