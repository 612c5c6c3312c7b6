""" "This wasn't me" from the activity page proves less than a link, so it does less."""

import pytest
from allauth.account.models import EmailAddress
from allauth.socialaccount.models import SocialAccount

from accounts.credentials import Credential
from accounts.sign_in.event import AccountChange, SignIn
from jobs.core.job import JobLog
from tests.support import robbery
from tests.support.people import last, sign_in
from tests.support.robbery import EVIL, FRESH, OWN, confirm, make_primary, prove

pytestmark = pytest.mark.django_db
NEW_PASSWORD = {"password1": FRESH, "password2": FRESH}


@pytest.fixture
def bat():
    return robbery.owner()


@pytest.fixture
def own_browser(bat):
    client = robbery.own_browser()
    sign_in(client)
    return client


def page_of(sign_in_record):
    return f"/accounts/activity/{sign_in_record.pk}/not-me/"


def test_it_asks_first_and_keeps_nothing_that_was_entered(bat, own_browser):
    robbery.thief()
    page = page_of(last())
    assert own_browser.get(page).url.startswith("/accounts/reauthenticate/")
    assert own_browser.post(page, NEW_PASSWORD).url == page
    assert FRESH not in str(dict(own_browser.session))
    bat.refresh_from_db()
    assert not bat.check_password(FRESH)


def test_it_ends_other_sessions_sets_a_password_and_holds_what_the_stranger_added(bat, own_browser):
    thief = robbery.thief()
    stranger = last()
    prove(thief)
    confirm(thief, EVIL)
    make_primary(thief, EVIL)
    prove(own_browser)
    assert own_browser.get(page_of(stranger)).status_code == 200
    assert own_browser.post(page_of(stranger), NEW_PASSWORD).url == "/accounts/changes/"
    bat.refresh_from_db()
    assert (bat.email, bat.check_password(FRESH)) == (OWN, True)
    assert Credential.objects.get(address=EVIL).state == Credential.State.HELD
    assert thief.get("/accounts/activity/").status_code == 302
    assert own_browser.get("/accounts/activity/").status_code == 200
    notified = JobLog.objects.filter(payload__what="stranger_out").values_list("payload__email", flat=True)
    assert sorted(notified) == sorted([OWN, EVIL])


def test_it_mints_no_link_and_mails_no_way_back(bat, own_browser):
    robbery.thief()
    prove(own_browser)
    shown = own_browser.get(page_of(last())).content.decode()
    assert "/accounts/not-me/" not in shown
    assert "/accounts/not-me/" not in own_browser.get("/accounts/activity/").content.decode()
    own_browser.post(page_of(last()), NEW_PASSWORD)
    assert not JobLog.objects.filter(payload__kind="way_back").exists()


def test_a_thief_with_a_stolen_session_touches_nothing_that_is_older_than_it(bat, own_browser):
    """The thief's session begins after the owner added her second address, in her own session."""
    prove(own_browser)
    confirm(own_browser, "second@example.mn")
    owners = SignIn.objects.filter(vouched=True).latest("at")
    thief = robbery.thief()
    prove(thief)
    thief.post(page_of(owners), NEW_PASSWORD)
    assert EmailAddress.objects.filter(email="second@example.mn").exists()
    change = AccountChange.objects.get(what="stranger_out")
    robbery.Client().post(robbery.link_for(change, OWN), robbery.NOT_ME)
    bat.refresh_from_db()
    assert not bat.has_usable_password(), "the owner's link undoes it"


def test_the_sessions_own_sign_in_cannot_be_reported(bat, own_browser):
    prove(own_browser)
    assert own_browser.get(page_of(last())).status_code == 404


@pytest.mark.parametrize("button", ["action_add", "action_primary", "action_remove"])
def test_every_change_of_an_address_asks_for_the_user_first(bat, own_browser, button):
    EmailAddress.objects.create(user=bat, email="second@example.mn", verified=True)
    answer = own_browser.post("/accounts/email/", {button: "", "email": "second@example.mn"})
    assert answer.url.startswith("/accounts/reauthenticate/")


def test_a_user_with_github_alone_is_asked_for_github_again(bat, own_browser, settings):
    settings.GITHUB_CLIENT_ID = "client"
    SocialAccount.objects.create(user=bat, provider="github", uid="17")
    session = own_browser.session
    bat.set_unusable_password()
    bat.save()
    own_browser.force_login(bat)
    answer = own_browser.post("/accounts/email/", {"action_add": "", "email": EVIL})
    assert answer.url.startswith("/accounts/check/github/")
    assert session is not None
    assert not EmailAddress.objects.filter(email=EVIL).exists()
