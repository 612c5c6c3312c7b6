"""Second factors: since when each belongs to the account, held by a dispute, restored when a thief removed them."""

from datetime import timedelta

import pytest
from django.db.models import F
from django.utils import timezone

from accounts import credentials
from accounts.credentials import Credential
from accounts.sign_in import disputes
from accounts.sign_in.event import SignIn
from tests.support.people import FIREFOX, browser, last, person, sign_in

pytestmark = pytest.mark.django_db
KIND = "fake"  # a kind of factor that no app owns
State = Credential.State


@pytest.fixture
def shelf(monkeypatch):
    """A kind of factor whose rows are kept in a dictionary: reference -> secret."""
    rows = {}
    credentials.register_factor(
        KIND,
        hold=lambda user, reference: {"secret": rows.pop(reference)},
        restore=lambda user, reference, sealed: rows.setdefault(reference, sealed["secret"]) == sealed["secret"],
    )
    return rows


@pytest.fixture
def robbed():
    """A user with an old sign-in of her own, and a thief who is signed in."""
    bat = person()
    sign_in(browser())
    SignIn.objects.update(at=F("at") - timedelta(days=20))
    Credential.objects.update(since=F("since") - timedelta(days=20))
    return bat


def enrol(user, shelf, reference, days_ago=0):
    shelf[reference] = f"secret of {reference}"
    credentials.factor_added(user, KIND, reference)
    Credential.objects.filter(reference=reference).update(since=timezone.now() - timedelta(days=days_ago))


def test_a_factor_that_the_thief_enrolled_is_held_and_the_owners_is_restored(robbed, shelf):
    enrol(robbed, shelf, "hers", days_ago=10)
    sign_in(browser(FIREFOX))
    credentials.factor_removed(robbed, KIND, "hers", {"secret": shelf.pop("hers")})
    enrol(robbed, shelf, "his")
    assert disputes.dispute(last())
    assert shelf == {"hers": "secret of hers"}
    states = dict(Credential.objects.filter(kind=KIND).values_list("reference", "state"))
    assert states == {"hers": State.CURRENT, "his": State.HELD}


def test_a_factor_is_settled_after_a_week_or_when_enrolled_before_the_first_sign_in(robbed, shelf):
    enrol(robbed, shelf, "new")
    assert not credentials.is_settled(robbed, KIND, "new")
    Credential.objects.filter(reference="new").update(since=timezone.now() - timedelta(days=7, minutes=1))
    assert credentials.is_settled(robbed, KIND, "new")
    fresh = person("saraa")
    enrol(fresh, shelf, "first")
    assert credentials.is_settled(fresh, KIND, "first")
    assert not credentials.is_settled(fresh, KIND, "new")


def test_a_factor_that_is_enrolled_again_keeps_its_age_while_it_is_leaving(robbed, shelf):
    enrol(robbed, shelf, "hers", days_ago=10)
    since = Credential.objects.get(reference="hers").since
    credentials.factor_removed(robbed, KIND, "hers", {"secret": shelf.pop("hers")})
    enrol_again = Credential.objects.get(reference="hers")
    assert enrol_again.state == State.LEAVING
    credentials.factor_added(robbed, KIND, "hers")
    again = Credential.objects.get(reference="hers")
    assert (again.state, again.since, again.sealed) == (State.CURRENT, since, {})


def test_removing_a_factor_ends_the_epoch(robbed, shelf):
    enrol(robbed, shelf, "hers", days_ago=10)
    before = robbed.epoch
    credentials.factor_removed(robbed, KIND, "hers", {"secret": shelf.pop("hers")})
    robbed.refresh_from_db()
    assert robbed.epoch == before + 1


def test_what_was_removed_is_forgotten_after_a_week(robbed, shelf):
    enrol(robbed, shelf, "hers", days_ago=10)
    credentials.factor_removed(robbed, KIND, "hers", {"secret": shelf.pop("hers")})
    Credential.objects.update(removed_at=timezone.now() - timedelta(days=7, minutes=1))
    credentials.close_expired(robbed.pk)
    row = Credential.objects.get(reference="hers")
    assert (row.state, row.sealed) == (State.GONE, {})
