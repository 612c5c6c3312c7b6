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

from accounts import account_mails, dispute_links, disputes
from accounts.models import Device, Session, SignIn, User
from jobs.models import JobLog
from tests.people import CHROME, FIREFOX, browser, last, person, sign_in
from tests.tables import renamed

pytestmark = pytest.mark.django_db


def mails():
    return JobLog.objects.filter(job_type="dispute-mail").order_by("id")


@pytest.fixture
def robbed():
    """A person who is signed in, and an attacker who is too, from a device that is new."""
    bat = person()
    owner, attacker = browser(CHROME), browser(FIREFOX)
    sign_in(owner)
    sign_in(attacker)
    return bat, owner, attacker


def link_of(sign_in_record):
    return dispute_links.link(sign_in_record.pk).removeprefix("http://testserver")


def test_the_link_is_on_site_url_whatever_host_was_asked(robbed, settings):
    settings.SITE_URL = "https://shar-huudas.mn"
    assert dispute_links.link(last().pk).startswith("https://shar-huudas.mn/accounts/not-me/")


def test_looking_at_the_page_ten_times_changes_nothing(robbed):
    bat, owner, _attacker = robbed
    before = _state(bat)
    for _ in range(10):
        assert Client().get(link_of(last())).status_code == 200
        assert Client().head(link_of(last())).status_code == 200
    assert _state(bat) == before
    assert owner.get("/accounts/activity/").status_code == 200


def test_the_button_ends_every_session_and_the_next_request_is_a_sign_in_page(robbed):
    _bat, owner, attacker = robbed
    answer = Client().post(link_of(last()))
    assert answer.status_code == 302
    assert Session.objects.filter(user_id__isnull=False).count() == 0
    for client in (owner, attacker):
        assert client.get("/accounts/activity/").url.startswith("/accounts/login/")


def test_the_button_makes_the_password_useless_and_forgets_devices(robbed):
    bat, _owner, _attacker = robbed
    Client().post(link_of(last()))
    assert sign_in(browser(FIREFOX)).status_code == 200, "the attacker knows the password"
    assert not Device.objects.filter(user=bat).exists()
    bat.refresh_from_db()
    assert not bat.has_usable_password()


def test_a_session_kept_elsewhere_would_end_too(robbed):
    bat, _owner, _attacker = robbed
    before = bat.get_session_auth_hash()
    Client().post(link_of(last()))
    bat.refresh_from_db()
    assert bat.get_session_auth_hash() != before


def test_it_works_once_and_says_so_after(robbed):
    page = link_of(last())
    Client().post(page)
    jobs = JobLog.objects.count()
    first = SignIn.objects.get(disputed_at__isnull=False).disputed_at
    Client().post(page)
    assert JobLog.objects.count() == jobs
    assert SignIn.objects.get(disputed_at__isnull=False).disputed_at == first
    said = Client().get(page, headers={"accept-language": "en"}).content.decode()
    assert "Your account is closed to others" in said
    assert '<button class="danger' not in said


def test_two_presses_at_once_do_it_once(robbed):
    sign_in_record = last()
    assert disputes.dispute(SignIn.objects.get(pk=sign_in_record.pk))
    assert not disputes.dispute(sign_in_record)


def test_the_way_back_goes_to_the_address_that_was_told_and_works_without_a_password(robbed):
    bat, _owner, _attacker = robbed
    User.objects.filter(pk=bat.pk).update(email="thief@example.mn")
    EmailAddress.objects.create(user=bat, email="thief@example.mn", verified=True, primary=True)
    Client().post(link_of(last()))
    way_back = mails().first()
    assert (way_back.payload["kind"], way_back.payload["email"]) == ("way_back", "bat@example.mn")
    bat.refresh_from_db()
    assert bat.email == "bat@example.mn"
    assert not EmailAddress.objects.filter(email="thief@example.mn").exists()

    mail = account_mails.build(way_back.job_id, way_back.payload)
    reset = re.search(r"http://testserver(/accounts/password/reset/key/\S+)", mail.text)[1]
    client = browser()
    form = client.get(reset, follow=True)
    answer = client.post(form.redirect_chain[-1][0], {"password1": "brand-New-horses", "password2": "brand-New-horses"})
    assert answer.status_code == 302
    assert sign_in(browser(), password="brand-New-horses").status_code == 302
    assert last().new_device, "every device is new after a dispute"


def test_no_token_is_stored_with_the_job(robbed):
    Client().post(link_of(last()))
    for job in mails():
        assert set(job.payload) == {"kind", "email", "userId", "locale", "signInId", "method"}


def test_operators_are_told_or_else_the_sites_contact(robbed, settings):
    Client().post(link_of(last()))
    assert list(mails().filter(payload__kind="dispute_alert").values_list("payload__email", flat=True)) == [
        settings.SUPPORT_EMAIL
    ]
    person("boss", is_staff=True, is_superuser=True)
    person("clerk", is_staff=True)
    Client().post(link_of(SignIn.objects.earliest("at")))
    assert mails().last().payload["email"] == "boss@example.mn"
    assert mails().filter(payload__kind="dispute_alert").count() == 2


def test_github_accounts_that_were_connected_since_go_and_older_ones_stay(robbed):
    bat, _owner, _attacker = robbed
    SocialAccount.objects.create(user=bat, provider="github", uid="attacker's")
    mine = SocialAccount.objects.create(user=bat, provider="github", uid="mine")
    SocialAccount.objects.filter(pk=mine.pk).update(date_joined="2020-01-01T00:00Z")
    Client().post(link_of(last()))
    assert list(SocialAccount.objects.values_list("uid", flat=True)) == ["mine"]


def test_an_hourly_limit_that_somebody_used_up_holds_no_way_back_up(robbed):
    bat, _owner, _attacker = robbed
    for _ in range(12):
        account_mails.enqueue("password_reset", bat.email, bat)
    assert JobLog.objects.filter(job_type="account-mail").count() == account_mails.PER_HOUR
    Client().post(link_of(last()))
    assert mails().count() == 2


@pytest.mark.parametrize(
    "spoil", [lambda t: t[:-1], lambda t: t + "x", lambda t: "x" + t, lambda t: t.upper(), lambda t: "a"]
)
@pytest.mark.parametrize("method", ["get", "post"])
def test_a_tampered_link_is_a_clear_page_and_changes_nothing(robbed, spoil, method):
    bat, _owner, _attacker = robbed
    before = _state(bat)
    token = link_of(last()).removeprefix("/accounts/not-me/").removesuffix("/")
    answer = getattr(Client(), method)(f"/accounts/not-me/{spoil(token)}/", headers={"accept-language": "en"})
    assert answer.status_code == 404
    assert "This link does not work any more" in answer.content.decode()
    assert _state(bat) == before


def test_a_link_lasts_seven_days(robbed):
    page = link_of(last())
    with time_machine.travel(timedelta(days=6, hours=23)):
        assert Client().get(page).status_code == 200
    with time_machine.travel(timedelta(days=7, minutes=1)):
        assert Client().get(page).status_code == 404
        assert Client().post(page).status_code == 404


def test_a_link_of_another_site_or_another_purpose_is_none(robbed, settings):
    page = link_of(last())
    settings.SITE_URL = "https://other.example.mn"
    assert Client().get(page).status_code == 404
    settings.SITE_URL = "http://testserver"
    assert Client().get(page).status_code == 200
    assert dispute_links.find(signing.dumps(str(last().pk))) is None
    assert dispute_links.find(signing.dumps(str(last().pk), salt="account")) is None


@pytest.mark.parametrize("named", ["not a uuid", "", None, 7, {"a": 1}, "\x00"])
def test_a_signed_link_that_names_nothing_is_none(named):
    assert dispute_links.find(signing.dumps(named, salt=dispute_links._salt())) is None


def test_a_link_to_an_account_that_is_gone_is_a_clear_page(robbed):
    bat, _owner, _attacker = robbed
    page = link_of(last())
    bat.delete()
    assert Client().get(page).status_code == 404


def test_the_button_needs_its_forms_token(robbed):
    strict = Client(enforce_csrf_checks=True)
    answer = strict.post(link_of(last()), headers={"accept-language": "en"})
    assert answer.status_code == 403
    assert "Please send the form once more" in answer.content.decode()
    assert not SignIn.objects.filter(disputed_at__isnull=False).exists()


def test_with_the_queue_out_of_order_the_account_is_closed_and_the_mails_stay_owed(robbed):
    _bat, owner, _attacker = robbed
    with renamed("job_logs"):
        assert Client().post(link_of(last())).status_code == 302
    assert owner.get("/accounts/activity/").status_code == 302
    assert mails().count() == 0
    disputes.tell_owed()
    disputes.tell_owed()
    assert mails().count() == 2
    assert not SignIn.objects.filter(dispute_owed=True).exists()


def test_one_can_get_there_from_the_page_of_ones_sign_ins_but_only_to_ones_own(robbed):
    _bat, owner, _attacker = robbed
    stranger = browser()
    person("saran")
    sign_in(stranger, "saran")
    attackers = SignIn.objects.filter(user__username="bat").latest("at")
    assert owner.get(f"/accounts/activity/{attackers.pk}/not-me/").url.startswith("/accounts/not-me/")
    assert stranger.get(f"/accounts/activity/{attackers.pk}/not-me/").status_code == 404


def test_an_unconfirmed_address_gets_no_way_back():
    bat = person()
    EmailAddress.objects.create(user=bat, email=bat.email, verified=False, primary=True)
    sign_in(browser())
    Client().post(link_of(last()))
    assert list(mails().values_list("payload__kind", flat=True)) == ["dispute_alert"]


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
