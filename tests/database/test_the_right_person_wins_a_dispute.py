"""A link acts for the address it was mailed to: a thief's own link, and the reader of an old mailbox, win nothing."""

from datetime import timedelta

import pytest
import time_machine
from allauth.account.models import EmailAddress, EmailConfirmationHMAC
from django.test import Client
from django.utils import timezone

from accounts import credentials
from accounts.credentials import Credential
from accounts.links import dispute_links
from accounts.sign_in import disputes
from accounts.sign_in.event import AccountChange, SignIn
from accounts.user import User
from jobs.core.job import JobLog
from tests.support.people import CHROME, FIREFOX, PASSWORD, browser, last, sign_in

pytestmark = pytest.mark.django_db

OWN, EVIL, NEW = "bat@example.mn", "thief@evil.test", "bat@new.test"
WEEK = timedelta(days=7)


@pytest.fixture
def bat():
    """A user who confirmed the address long ago and has signed in since, in a browser that is known."""
    with time_machine.travel(timezone.now() - timedelta(days=30), tick=False):
        user = User.objects.create_user("bat", OWN, PASSWORD)
        EmailAddress.objects.create(user=user, email=OWN, verified=True, primary=True)
        Credential.objects.update(since=timezone.now())
    return user


@pytest.fixture
def own_browser(bat):
    client = browser(CHROME)
    with time_machine.travel(timezone.now() - timedelta(days=20), tick=False):
        sign_in(client)
        client.post("/accounts/logout/")
        SignIn.objects.update(at=timezone.now())
    return client


def prove(client):
    """Give the password again, as changes of addresses ask for it."""
    assert client.post("/accounts/reauthenticate/", {"password": PASSWORD}).status_code == 302


def confirm(client, address):
    """Add an address on the page and follow its confirmation link, as its owner does."""
    assert client.post("/accounts/email/", {"action_add": "", "email": address}).status_code == 302
    row = EmailAddress.objects.get(email=address)
    client.post(f"/accounts/confirm-email/{EmailConfirmationHMAC(row).key}/")
    assert EmailAddress.objects.get(email=address).verified


def make_primary(client, address):
    client.post("/accounts/email/", {"action_primary": "", "email": address})


def remove(client, address):
    client.post("/accounts/email/", {"action_remove": "", "email": address})
    assert not EmailAddress.objects.filter(email=address).exists()


def press(sign_in_record):
    path = dispute_links.dispute_path(sign_in_record.pk)
    return Client().post(path, {"answer": "not-me"})


def robbery(own_browser):
    """A thief with the password puts his own address in the place of the owner's; the two links."""
    thief = browser(FIREFOX, "198.51.100.9")
    sign_in(thief)
    first = last()
    prove(thief)
    confirm(thief, EVIL)
    make_primary(thief, EVIL)
    remove(thief, OWN)
    thief.post("/accounts/logout/")
    sign_in(thief)
    assert (first.email, last().email) == (OWN, EVIL)
    return first, last()


def ways_back():
    jobs = JobLog.objects.filter(payload__kind="way_back").order_by("pk")
    return [job.payload["email"] for job in jobs]


def test_the_thiefs_link_after_the_owners_changes_nothing(bat, own_browser):
    owners, thiefs = robbery(own_browser)
    press(owners)
    bat.refresh_from_db()
    assert (bat.email, ways_back()) == (OWN, [OWN])
    assert press(thiefs).status_code == 410
    bat.refresh_from_db()
    assert (bat.email, ways_back()) == (OWN, [OWN])
    assert [row.email for row in EmailAddress.objects.filter(user=bat)] == [OWN]


def test_the_owners_link_after_the_thiefs_still_gives_the_owner_the_account(bat, own_browser):
    owners, thiefs = robbery(own_browser)
    press(thiefs)
    press(owners)
    bat.refresh_from_db()
    assert (bat.email, ways_back()[-1]) == (OWN, OWN)
    assert [row.email for row in EmailAddress.objects.filter(user=bat)] == [OWN]
    assert Credential.objects.get(user=bat, address=EVIL).state == Credential.State.HELD


def test_after_the_owners_press_the_thiefs_address_resets_nothing(bat, own_browser):
    owners, _thiefs = robbery(own_browser)
    press(owners)
    before = JobLog.objects.filter(payload__kind="password_reset").count()
    Client().post("/accounts/password/reset/", {"email": EVIL})
    assert JobLog.objects.filter(payload__kind="password_reset").count() == before


def test_a_held_address_disputes_nothing_that_comes_after(bat, own_browser):
    owners, _thiefs = robbery(own_browser)
    press(owners)
    later = AccountChange.objects.filter(user=bat, what="reported").latest("at")
    AccountChange.objects.filter(pk=later.pk).update(closed_since=None)
    assert Client().post(dispute_links.dispute_path(later.pk, EVIL), {"answer": "not-me"}).status_code == 410
    bat.refresh_from_db()
    assert (bat.email, ways_back()) == (OWN, [OWN])


def test_an_old_mailbox_given_up_in_a_known_browser_has_no_power(bat, own_browser):
    sign_in(own_browser)
    old_notice = last()
    assert old_notice.vouched
    prove(own_browser)
    confirm(own_browser, NEW)
    make_primary(own_browser, NEW)
    remove(own_browser, OWN)
    press(old_notice)
    bat.refresh_from_db()
    assert (bat.email, ways_back()) == (NEW, [])
    assert bat.has_usable_password()


def test_an_unproved_removal_keeps_its_power_for_seven_days_and_no_longer(bat, own_browser):
    owners, _thiefs = robbery(own_browser)
    Credential.objects.filter(address=OWN).update(removed_at=timezone.now() - WEEK - timedelta(minutes=1))
    press(owners)
    bat.refresh_from_db()
    assert (bat.email, ways_back()) == (EVIL, [])
    assert Credential.objects.get(user=bat, address=OWN).state == Credential.State.GONE


def test_a_removal_in_a_strange_browser_proves_nothing(bat, own_browser):
    robbery(own_browser)
    assert Credential.objects.get(user=bat, address=OWN).state == Credential.State.LEAVING


def test_a_thief_with_the_same_browser_family_is_not_vouched(bat, own_browser):
    thief = browser(CHROME, "198.51.100.9")
    sign_in(thief)
    assert not last().vouched
    with time_machine.travel(timezone.now() + timedelta(days=3), tick=False):
        thief.post("/accounts/logout/")
        sign_in(thief)
        assert not last().vouched


def test_no_address_older_than_the_pressing_one_is_touched(bat, own_browser):
    robbery(own_browser)
    thiefs = last()
    since = Credential.objects.get(user=bat, address=OWN).since
    press(thiefs)
    kept = Credential.objects.get(user=bat, address=OWN)
    assert (kept.state, kept.since) == (Credential.State.LEAVING, since)


def test_nothing_can_be_added_before_the_sign_up_address_is_confirmed(client):
    squatter = browser(FIREFOX)
    User.objects.create_user("squat", "victim@example.mn", PASSWORD)
    EmailAddress.objects.create(user=User.objects.get(), email="victim@example.mn", verified=False, primary=True)
    sign_in(squatter, "squat")
    prove(squatter)
    squatter.post("/accounts/email/", {"action_add": "", "email": EVIL})
    assert not EmailAddress.objects.filter(email=EVIL).exists()


def test_an_unconfirmed_address_resets_only_before_the_first_was_confirmed(bat):
    EmailAddress.objects.create(user=bat, email="later@example.mn", verified=False)
    assert not credentials.may_reset(bat, "later@example.mn")
    assert credentials.may_reset(bat, OWN)
    fresh = User.objects.create_user("saraa", "saraa@example.mn", PASSWORD)
    EmailAddress.objects.create(user=fresh, email="saraa@example.mn", verified=False)
    assert credentials.may_reset(fresh, "saraa@example.mn")


def test_two_presses_of_one_link_are_one(bat, own_browser):
    owners, _ = robbery(own_browser)
    assert disputes.dispute(owners)
    assert not disputes.dispute(SignIn.objects.get(pk=owners.pk))


def test_an_address_that_is_taken_on_again_keeps_its_age_while_it_is_leaving(bat, own_browser):
    robbery(own_browser)
    since = Credential.objects.get(address=OWN).since
    EmailAddress.objects.create(user=bat, email=OWN, verified=True)
    assert Credential.objects.get(address=OWN).since == since
