"""The page Security: the state of all that protects an account, of its own user, at a fixed cost."""

import re
from datetime import timedelta

import pytest
from allauth.account.models import EmailAddress
from allauth.mfa.models import Authenticator
from allauth.socialaccount.models import SocialAccount
from django.db.models.signals import post_init
from django.test import Client
from django.utils import timezone

from accounts.sign_in.event import SignIn
from accounts.sign_in.known_devices import Device
from accounts.sign_in.sessions import Session
from tests.support.people import FIREFOX, SAFARI, browser, last, person, sign_in, signed_in_browser, text_of

pytestmark = pytest.mark.django_db
EN = {"accept-language": "en"}
SECURITY = "/accounts/security/"
HOSTILE = "<script>alert(1)</script>"


@pytest.fixture
def bat():
    return person()


@pytest.fixture
def here(bat):
    return signed_in_browser()


def test_each_open_session_is_shown_with_its_device_and_can_be_ended_there(here):
    sign_in(browser(SAFARI, "198.51.100.9"))
    page = here.get(SECURITY, headers=EN).content.decode()
    assert page.count("this session") == 1
    assert 'class="icon device phone"' in page
    assert 'class="icon device computer"' in page
    assert "198.51.100.9" in page
    other = SignIn.objects.exclude(browser="Chrome").get()
    ended = here.post(f"/accounts/activity/{other.pk}/end/", {"from": "security"}, headers=EN, follow=True)
    assert ended.redirect_chain == [(SECURITY, 302)]
    assert "The session has ended: Mobile Safari, iOS" in ended.content.decode()
    assert f"/accounts/activity/{other.pk}/end/" not in ended.content.decode()


def test_the_page_that_has_the_button_is_shown_again_and_no_other(here):
    for said, shown in (("security", SECURITY), ("//evil.example", "/accounts/activity/"), ("", "/accounts/activity/")):
        sign_in(browser(FIREFOX))
        assert here.post(f"/accounts/activity/{last().pk}/end/", {"from": said}).url == shown


def test_sessions_without_a_recorded_sign_in_are_counted(here, bat):
    stray = Client()
    stray.force_login(bat)
    session = stray.session
    del session["sign_in"]
    session.save()
    assert "1 more session is open." in text_of(here, SECURITY)


def test_an_expired_session_is_not_open(here):
    sign_in(browser(FIREFOX))
    Session.objects.filter(sign_in=last().pk).update(expire_date=timezone.now())
    assert here.get(SECURITY).content.decode().count("/end/") == 1


def test_the_session_in_use_comes_first_and_more_than_a_page_of_them_are_counted(here, bat):
    open_many_sessions(bat, 30)
    page = here.get(SECURITY, headers=EN).content.decode()
    assert page.count("/end/") == 10
    assert page.index("this session") < page.index("Edge")
    assert "21 more sessions are open." in page


def open_many_sessions(user, count: int) -> None:
    """What a stranger with the password can do: sign in again and again, without a cookie."""
    made = SignIn.objects.bulk_create(SignIn(user=user, method="password", browser="Edge") for _ in range(count))
    ends = timezone.now() + timedelta(days=1)
    Session.objects.bulk_create(
        Session(session_key=one.pk.hex, user_id=user.pk, sign_in=one.pk, session_data="", expire_date=ends)
        for one in made
    )
    Device.objects.bulk_create(
        Device(user=user, browser="Edge", system="Windows", secret=one.pk.hex, first_at=one.at, last_at=ends)
        for one in made
    )


@pytest.mark.parametrize("model", [SignIn, Device, Session])
def test_a_stranger_who_signs_in_again_and_again_does_not_make_the_page_slow(model, here, bat):
    open_many_sessions(bat, 200)
    read = []
    post_init.connect(note := lambda **_: read.append(1), sender=model)
    try:
        page = here.get(SECURITY, headers=EN).content.decode()
    finally:
        post_init.disconnect(note, sender=model)
    assert len(read) <= 20
    assert "191 more sessions are open." in page
    assert page.count("/forget/") == 2
    assert page.index("this session") < page.index("Edge")


def test_a_new_password_ends_the_other_sessions_and_says_so(here):
    sign_in(browser(FIREFOX))
    new = {"oldpassword": "seven-Steppe-horses", "password1": "other-Steppe-horse", "password2": "other-Steppe-horse"}
    answer = here.post("/accounts/password/change/", new, headers=EN, follow=True)
    assert answer.redirect_chain[-1][0] == SECURITY
    assert "Your new password is set. Every other session has ended." in answer.content.decode()
    assert answer.content.decode().count("/end/") == 1
    assert Session.objects.filter(user_id__isnull=False).count() == 1
    assert "Last changed on" in answer.content.decode()


def test_a_device_is_forgotten_there(here):
    page = here.get(SECURITY).content.decode()
    [path] = re.findall(r'action="(/accounts/devices/\d+/forget/)"', page)
    answer = here.post(path, headers=EN, follow=True)
    assert answer.redirect_chain == [(SECURITY, 302)]
    assert "Forgotten: Chrome, Windows." in answer.content.decode()
    assert not Device.objects.exists()


def test_every_way_to_sign_in_is_named_with_its_state(here, bat, settings):
    settings.GITHUB_CLIENT_ID = "x"
    text = text_of(here, SECURITY)
    for said in (
        "A password is set.",
        "You have no passkey.",
        "You have no authenticator app.",
        "No GitHub account is connected.",
        "bat@example.mn primary confirmed",
        "On: we email you about every sign-in.",
    ):
        assert said in text
    EmailAddress.objects.create(user=bat, email=bat.email, primary=True, verified=True)
    EmailAddress.objects.create(user=bat, email="new@example.mn")
    SocialAccount.objects.create(user=bat, provider="github", uid="7", extra_data={"login": "bold"})
    SocialAccount.objects.create(user=bat, provider="github", uid="8", extra_data={"login": None})
    Authenticator.objects.create(user=bat, type="totp", data={"secret": "x"})
    Authenticator.objects.create(user=bat, type="recovery_codes", data={"used_mask": 3, "seed": "x"})
    bat.notify_sign_ins = False
    bat.set_unusable_password()
    bat.save()
    here.force_login(bat)
    text = text_of(here, SECURITY)
    for said in (
        "No password is set.",
        "You are asked for its code after the password.",
        "Connected: bold, 8",
        "Codes left: 8 of 10",
        "new@example.mn not confirmed",
        "Off for usual sign-ins.",
        "A second factor protects your account",
    ):
        assert said in text


def test_github_is_not_offered_when_it_is_off(here, settings):
    settings.GITHUB_CLIENT_ID = ""
    assert "GitHub" not in text_of(here, SECURITY)


def test_security_takes_a_fixed_number_of_queries(here, bat, django_assert_max_num_queries):
    for number in range(15):
        sign_in(browser(FIREFOX, f"203.0.113.{number}"))
        EmailAddress.objects.create(user=bat, email=f"bat{number}@example.mn", verified=True)
        SocialAccount.objects.create(user=bat, provider="github", uid=str(number), extra_data={"login": "x"})
    with django_assert_max_num_queries(15):
        assert here.get(SECURITY).status_code == 200


def test_security_shows_nothing_of_another_user(here):
    other = person("saran")
    EmailAddress.objects.create(user=other, email="secret@example.mn", verified=True)
    SocialAccount.objects.create(user=other, provider="github", uid="9", extra_data={"login": "secret-login"})
    sign_in(browser(SAFARI, "198.51.100.77"), "saran")
    page = here.get(SECURITY).content.decode()
    assert not {found for found in ("secret", "198.51.100.77", "Safari", "saran") if found in page}


@pytest.mark.parametrize("path", [SECURITY, "/accounts/activity/"])
def test_hostile_names_of_browsers_are_escaped(here, path):
    SignIn.objects.update(browser=HOSTILE, system=HOSTILE)
    Device.objects.update(browser=HOSTILE, system=HOSTILE)
    page = here.get(path).content.decode()
    assert "<script>" not in page
    assert "&lt;script&gt;" in page


def test_a_device_has_the_icon_of_its_kind(here):
    for system, icon in (("Android", "phone"), ("Mac OS X", "computer"), ("Tizen", "unknown"), ("", "unknown")):
        SignIn.objects.update(system=system)
        page = here.get("/accounts/activity/").content.decode()
        assert f'<span class="icon device {icon}" aria-hidden="true"></span>' in page
