""" "This wasn't me" and second factors: a thief's are held, and the owner's come back with their old codes."""

import pytest
from allauth.mfa.models import Authenticator
from allauth.socialaccount.models import SocialAccount
from django.test import Client

from accounts import credentials
from accounts.credentials import Credential
from accounts.links import dispute_links
from accounts.sign_in.event import SignIn
from tests.support.factors import add_app, code, enter_code, recovery_codes
from tests.support.people import FIREFOX, PASSWORD, browser, last, person, sign_in, sign_out

pytestmark = pytest.mark.django_db


def press(sign_in_record: SignIn) -> None:
    Client().post(dispute_links.dispute_path(sign_in_record.pk, sign_in_record.email), {"answer": "not-me"})


def recover(user) -> Client:
    """The owner, after the way back: a new password, and the sign-in with it."""
    user.set_password(PASSWORD)
    user.save()
    client = browser()
    sign_in(client)
    return client


def test_a_thiefs_factor_does_not_shut_the_owner_out():
    bat = person()
    sign_in(browser())
    thief = browser(FIREFOX)
    sign_in(thief)
    stolen = last()
    add_app(thief)
    press(stolen)
    assert not credentials.has_factor(bat)
    assert set(Credential.objects.filter(kind__in=["totp", "recovery_codes"]).values_list("state", flat=True)) == {
        "held"
    }
    assert recover(bat).get("/accounts/activity/").status_code == 200


@pytest.mark.parametrize("kind", ["totp", "github"])
def test_what_a_thief_added_and_removed_again_does_not_come_back(kind):
    bat = person()
    sign_in(browser())
    thief = browser(FIREFOX)
    sign_in(thief)
    stolen = last()
    if kind == "totp":
        enrolled = add_app(thief)
        enter_code(thief, code(enrolled, 1))
        thief.post("/accounts/2fa/totp/deactivate/")
    else:
        SocialAccount.objects.create(user=bat, provider="github", uid="the-thief").delete()
    removed = Credential.objects.get(kind=kind)
    assert removed.state == "leaving"
    press(stolen)
    assert not Authenticator.objects.filter(user=bat).exists()
    assert not SocialAccount.objects.filter(user=bat).exists()
    before, removed = removed.sealed, Credential.objects.get(pk=removed.pk)
    assert (removed.state, removed.sealed) == ("held", before), "were it the owner's, she could switch it on again"


def test_the_owners_factor_comes_back_when_a_thief_replaced_it():
    bat = person()
    owner, thief = browser(), browser(FIREFOX)
    sign_in(owner)
    secret = add_app(owner)
    kept = recovery_codes(owner)
    before = Authenticator.objects.get(user=bat, type="totp")
    sign_in(thief)
    enter_code(thief, code(secret, 1))  # phished
    stolen = last()
    thief.post("/accounts/2fa/reauthenticate/", {"code": kept[0]})
    thief.post("/accounts/2fa/totp/deactivate/")
    assert add_app(thief) != secret
    press(stolen)
    after = Authenticator.objects.get(user=bat, type="totp")
    assert (after.pk, after.data) == (before.pk, {**before.data, "last_step": after.data["last_step"]})
    owner = recover(bat)
    assert owner.get("/accounts/activity/").status_code == 302, "the factor is asked for"
    enter_code(owner, kept[5])
    assert owner.get("/accounts/activity/").status_code == 200
    sign_out(owner)
