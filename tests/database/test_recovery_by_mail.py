"""The first address of an account starts it over; a reset ends sessions and leads to what was changed."""

import pytest
from allauth.account.models import EmailAddress, EmailConfirmationHMAC
from allauth.socialaccount.models import SocialAccount
from django.test import Client

from accounts.credentials import Credential
from accounts.pending import flow
from accounts.pending.request import PendingRequest, RequestKind
from accounts.sign_in.event import AccountChange
from accounts.sign_in.sessions import Session
from accounts.user import User
from jobs.core.job import JobLog
from tests.support import robbery
from tests.support.people import PASSWORD, browser, last, sign_in
from tests.support.robbery import FRESH

pytestmark = pytest.mark.django_db
HERS = "hers@example.mn"


@pytest.fixture
def squatter():
    """A browser in which a squatter signed up with another user's address and connected his GitHub account."""
    client = browser()
    client.post("/accounts/signup/", {"email": HERS, "password1": PASSWORD})
    SocialAccount.objects.create(user=User.objects.get(), provider="github", uid="his")
    return client


def confirmation():
    return f"/accounts/confirm-email/{EmailConfirmationHMAC(EmailAddress.objects.get(email=HERS)).key}/"


def test_the_first_confirmation_drops_the_squatters_password_sessions_and_github_account(squatter):
    mailbox = browser()
    answer = mailbox.post(confirmation())
    assert answer.url.startswith("/accounts/password/reset/key/"), "the owner sets a password of her own"
    assert squatter.get("/accounts/activity/").status_code == 302
    assert sign_in(browser(), HERS).status_code == 200
    assert not SocialAccount.objects.exists()
    assert Credential.objects.get(kind="github").state == Credential.State.GONE
    assert not Session.objects.filter(user_id__isnull=False).exists()
    form = mailbox.get(answer.url, follow=True).redirect_chain[-1][0]
    mailbox.post(form, {"password1": FRESH, "password2": FRESH})
    assert sign_in(browser(), HERS, FRESH).status_code == 302


def test_confirming_in_a_session_of_the_account_drops_the_same(squatter):
    """A squatter may have signed the victim's browser in to the account that he made."""
    User.objects.update(first_name="Thief", language="en", notify_sign_ins=False)
    other = browser()
    sign_in(other, HERS)
    answer = squatter.post(confirmation(), headers={"accept-language": "en"})
    assert answer.url.startswith("/accounts/password/reset/key/"), "a password of her own comes next"
    user = User.objects.get()
    assert not user.has_usable_password()
    assert (user.first_name, user.language, user.notify_sign_ins) == ("", "", True)
    assert not SocialAccount.objects.exists()
    assert not user.devices.exists()
    assert not user.sign_ins.exists()
    assert not Session.objects.filter(user_id__isnull=False).exists()
    for client in (squatter, other):
        assert client.get("/accounts/activity/").status_code == 302
    shown = squatter.get(answer.url, follow=True, headers={"accept-language": "en"})
    assert "Set a password now" in shown.content.decode()
    form = shown.redirect_chain[-1][0]
    assert squatter.post(form, {"password1": FRESH, "password2": FRESH}).status_code == 302
    assert sign_in(browser(), HERS, FRESH).status_code == 302
    assert (last().new_device, last().vouched) == (False, True), "the account begins with this sign-in"


def test_a_deletion_that_a_squatter_asked_for_ends_with_the_first_confirmation(squatter):
    flow.ask(User.objects.get(), RequestKind.DELETE)
    browser().post(confirmation())
    assert not PendingRequest.objects.waiting().exists()


def test_a_reset_before_the_first_confirmation_confirms_and_drops_what_was_there(squatter):
    Client().post("/accounts/password/reset/", {"email": HERS})
    job = JobLog.objects.filter(payload__kind="password_reset").latest("pk")
    hers = browser()
    form = hers.get(robbery.path_in(job, "password/reset/key"), follow=True).redirect_chain[-1][0]
    hers.post(form, {"password1": FRESH, "password2": FRESH})
    assert EmailAddress.objects.get().verified
    assert not SocialAccount.objects.exists()
    assert squatter.get("/accounts/activity/").status_code == 302
    assert sign_in(browser(), HERS, FRESH).status_code == 302


def test_a_later_confirmation_drops_nothing():
    user = robbery.owner()
    client = robbery.own_browser()
    sign_in(client)
    robbery.prove(client)
    client.post("/accounts/email/", {"action_add": "", "email": HERS})
    Client().post(confirmation())
    user.refresh_from_db()
    assert user.has_usable_password()
    assert client.get("/accounts/activity/").status_code == 200


def test_a_reset_ends_sessions_and_the_epoch_reverts_nothing_and_is_emailed():
    user = robbery.owner()
    robbery.own_browser()
    thief = robbery.thief()
    robbery.prove(thief)
    robbery.confirm(thief, robbery.EVIL)
    epoch = User.objects.get().epoch
    Client().post("/accounts/password/reset/", {"email": robbery.OWN})
    job = JobLog.objects.filter(payload__kind="password_reset").latest("pk")
    client = robbery.recover(robbery.path_in(job, "password/reset/key"))
    user.refresh_from_db()
    assert user.epoch == epoch + 1
    assert thief.get("/accounts/activity/").status_code == 302
    assert EmailAddress.objects.filter(email=robbery.EVIL).exists()
    assert AccountChange.objects.filter(what="recovered").count() == 1
    assert client.get("/accounts/login/").url == "/accounts/changes/", "a sign-in after a recovery leads to the review"


def test_an_unconfirmed_first_address_can_only_be_replaced(squatter):
    robbery.prove(squatter)
    squatter.post("/accounts/email/", {"action_add": "", "email": "typo@example.mn"})
    assert [row.email for row in EmailAddress.objects.all()] == [HERS]
    squatter.post("/accounts/email/", {"action_replace": "", "email": "not an address"})
    assert [row.email for row in EmailAddress.objects.all()] == [HERS]
    squatter.post("/accounts/email/", {"action_replace": "", "email": "right@example.mn"})
    assert [(row.email, row.primary, row.verified) for row in EmailAddress.objects.all()] == [
        ("right@example.mn", True, False)
    ]
    assert User.objects.get().email == "right@example.mn"
    job = JobLog.objects.filter(payload__kind="confirm_address").latest("pk")
    assert job.payload["email"] == "right@example.mn"
    squatter.post(robbery.path_in(job, "confirm-email"))
    squatter.post("/accounts/email/", {"action_replace": "", "email": "third@example.mn"})
    assert [row.email for row in EmailAddress.objects.all()] == ["right@example.mn"]
