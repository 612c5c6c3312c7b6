"""The messages after a button: each is true, and names what it is about."""

from pathlib import Path

import allauth
import pytest
from allauth.account.models import EmailAddress
from django.contrib.messages import get_messages
from django.template.loader import get_template, render_to_string
from django.test import Client
from django.utils import translation

from accounts.credentials import Credential
from accounts.sign_in.sessions import Session
from tests.support.people import CHROME, FIREFOX, PASSWORD, browser, last, person, sign_in
from tests.support.rights import post_checked

pytestmark = pytest.mark.django_db
EN = {"accept-language": "en"}
ALLAUTHS_OWN = {  # read: they are true here
    "account/messages/cannot_delete_primary_email.txt",
    "account/messages/email_confirmed.txt",
    "account/messages/email_deleted.txt",
    "account/messages/logged_out.txt",
    "account/messages/unverified_primary_email.txt",
}
NEVER_SHOWN = {  # sign-in by code and phone numbers are off
    "account/messages/login_code_sent.txt",
    "account/messages/phone_verification_sent.txt",
    "account/messages/phone_verified.txt",
}


@pytest.fixture
def bat():
    user = person()
    EmailAddress.objects.create(user=user, email=user.email, primary=True, verified=True)
    return user


@pytest.fixture
def here(bat):
    client = browser(CHROME)
    client.defaults["HTTP_ACCEPT_LANGUAGE"] = "en"
    sign_in(client)
    return client


def said(response) -> list[str]:
    return [str(message) for message in get_messages(response.wsgi_request)]


def allauths_messages() -> set[str]:
    root = Path(allauth.__file__).parent / "templates"
    files = [file for app in ("account", "socialaccount", "mfa") for file in (root / app / "messages").glob("*.txt")]
    return {str(file.relative_to(root)) for file in files}


@pytest.mark.parametrize("name", sorted(allauths_messages() - ALLAUTHS_OWN - NEVER_SHOWN))
def test_every_message_of_allauth_has_our_words(name):
    assert "site-packages" not in get_template(name).origin.name


def test_the_message_of_a_sign_in_names_the_user_and_no_random_name(bat):
    for first_name, username, shown in (("Болд", "bat", "Болд"), ("", "user-abcdefgh1234", bat.email)):
        type(bat).objects.filter(pk=bat.pk).update(first_name=first_name, username=username)
        assert f"You are signed in as {shown}." in said(sign_in_in_english(bat.email))


def sign_in_in_english(login: str):
    return Client(headers={**EN, "user-agent": CHROME}).post("/accounts/login/", {"login": login, "password": PASSWORD})


def test_a_name_in_a_message_is_escaped_once(bat):
    bat.first_name = "<b>O'Neil & co"
    bat.save()
    client = Client(headers={**EN, "user-agent": CHROME})
    page = client.post("/accounts/login/", {"login": "bat", "password": PASSWORD}, follow=True).content.decode()
    assert "You are signed in as &lt;b&gt;O&#x27;Neil &amp; co." in page


def test_a_session_that_had_ended_is_not_said_to_be_ended_now(here):
    sign_in(browser(FIREFOX))
    path = f"/accounts/activity/{last().pk}/end/"
    assert "The session has ended: Firefox, Linux" in said(here.post(path, headers=EN))
    assert "This session had already ended: Firefox, Linux" in said(here.post(path, headers=EN))


def test_ending_the_own_session_says_that_one_is_signed_out(here):
    answer = here.post(f"/accounts/activity/{last().pk}/end/", headers=EN)
    assert "You have signed out." in said(answer)
    assert not Session.objects.filter(user_id__isnull=False).exists()


def test_a_confirmation_is_said_to_be_on_its_way_and_not_to_be_sent(here, bat):
    EmailAddress.objects.create(user=bat, email="new@example.mn")
    answer = here.post("/accounts/email/", {"action_send": "", "email": "new@example.mn"}, headers=EN)
    assert "An email with a link that confirms the address is on its way to new@example.mn." in said(answer)


def test_a_new_primary_address_is_not_promised_notices_before_it_is_confirmed(here, bat):
    EmailAddress.objects.create(user=bat, email="new@example.mn", verified=True)
    answer = post_checked(here, "/accounts/email/", {"action_primary": "", "email": "new@example.mn"})
    page = here.get("/accounts/email/", headers=EN)
    assert answer.status_code == 302
    assert "once it is confirmed" in page.content.decode()


@pytest.mark.parametrize("answer", ["mine", "remove"])
def test_a_decision_about_something_held_names_it(here, bat, answer):
    held = Credential.objects.create(user=bat, kind="address", address="new@example.mn", state="held")
    done = post_checked(here, f"/accounts/changes/held/{held.pk}/", {"answer": answer})
    with translation.override("en"):
        kind = str(held.get_kind_display())
    page = here.get("/accounts/changes/", headers=EN).content.decode()
    word = {"mine": "Switched on again", "remove": "Removed"}[answer]
    assert done.status_code == 302
    assert f"{word}: {kind}: n***@example.mn" in page


def test_the_message_about_a_lost_factor_says_where_the_link_goes(client):
    answer = client.post("/accounts/lost-factor/", {"email": "bat@example.mn"}, headers=EN)
    assert said(answer) == [
        "If an account with a second factor has this address, "
        "we email a link to the address that the account has had for longest."
    ]


@pytest.mark.parametrize(
    ("name", "text"),
    [
        ("socialaccount/messages/account_connected.txt", "You can sign in with it from now on."),
        ("socialaccount/messages/account_connected_updated.txt", "Nothing has changed."),
        ("socialaccount/messages/account_connected_other.txt", "Nothing has changed"),
        ("socialaccount/messages/account_disconnected.txt", "no longer signs in"),
        ("mfa/messages/recovery_codes_generated.txt", "Only these work from now on."),
    ],
)
def test_other_messages_say_what_it_means(name, text):
    with translation.override("en"):
        assert text in render_to_string(name)
    with translation.override("mn"):
        assert text not in render_to_string(name)
