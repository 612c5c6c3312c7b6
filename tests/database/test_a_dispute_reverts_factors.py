""" "This wasn't me" and second factors: a thief's are held, and the owner's come back with their old codes."""

import pytest
from allauth.mfa.models import Authenticator
from allauth.socialaccount.models import SocialAccount
from django.test import Client

from accounts import credentials
from accounts.credentials import Credential
from accounts.links import dispute_links
from accounts.sign_in.event import AccountChange, SignIn
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


def held(kind: str) -> Credential:
    return Credential.objects.select_related("user").get(kind=kind, state="held")


def dispute_a_connection(uid: str):
    """An account whose GitHub account is held, after a dispute of the sign-in that connected it."""
    bat = person()
    sign_in(browser())
    sign_in(browser(FIREFOX))
    SocialAccount.objects.create(user=bat, provider="github", uid=uid)
    press(last())
    return bat


def test_a_github_account_that_another_account_took_is_not_called_switched_on():
    """Else a stranger could connect it later without an email, and with an age that no dispute touches."""
    bat = dispute_a_connection("the-thief")
    elsewhere = SocialAccount.objects.create(user=person("thief"), provider="github", uid="the-thief")
    assert not credentials.restore(held("github"))
    assert held("github").sealed
    elsewhere.delete()
    Credential.objects.filter(state="held", user=bat).end_power()
    SocialAccount.objects.create(user=bat, provider="github", uid="the-thief")
    assert AccountChange.objects.filter(user=bat, what="github_added").count() == 2


def test_an_app_in_whose_place_another_is_stays_held_and_can_be_restored_later():
    bat = person()
    sign_in(browser())
    thief = browser(FIREFOX)
    sign_in(thief)
    stolen = last()
    add_app(thief)
    press(stolen)
    add_app(recover(bat))
    assert not credentials.restore(held("totp"))
    assert held("totp").sealed
    Authenticator.objects.filter(user=bat, type="totp").delete()
    assert credentials.restore(held("totp"))
    assert Authenticator.objects.get(user=bat, type="totp").data
