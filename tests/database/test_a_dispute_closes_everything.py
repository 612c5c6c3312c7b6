"""What a dispute switches off besides sessions and the password, and how its owner switches it on again."""

from datetime import timedelta

import pytest
from allauth.account.models import EmailAddress, EmailConfirmationHMAC
from allauth.mfa.models import Authenticator
from allauth.socialaccount.models import SocialAccount
from django.contrib.auth.models import Permission
from django.db import transaction
from django.test import Client
from django.utils import timezone

from accounts import credentials
from accounts.changes import locking
from accounts.credentials import Credential
from accounts.sign_in import disputes
from accounts.sign_in.event import AccountChange, SignIn
from accounts.sites.keys import ApiKey
from accounts.sites.site import Site
from accounts.user import User
from jobs.core.audit import AuditEntry
from jobs.core.job import JobLog
from tests.support import robbery
from tests.support.people import PASSWORD, browser, last, person, sign_in
from tests.support.robbery import EVIL, FRESH, OWN, confirm, make_primary, press, prove, rob, way_back

pytestmark = pytest.mark.django_db
State = Credential.State


@pytest.fixture
def bat():
    return robbery.owner()


@pytest.fixture
def own_browser(bat):
    return robbery.own_browser()


def connect(user, uid, days_ago=0):
    account = SocialAccount.objects.create(user=user, provider="github", uid=uid)
    since = timezone.now() - timedelta(days=days_ago)
    SocialAccount.objects.filter(pk=account.pk).update(date_joined=since)
    Credential.objects.filter(reference=uid).update(since=since)


def test_staff_rights_are_suspended_and_another_operator_restores_them(bat, own_browser):
    User.objects.filter(pk=bat.pk).update(is_staff=True, is_superuser=True)
    robbery.thief()
    press(last())
    bat.refresh_from_db()
    assert (bat.is_staff, bat.is_superuser, bat.suspended_rights) == (False, False, ["is_staff", "is_superuser"])
    person("boss", is_staff=True, is_superuser=True)
    boss = Client()
    boss.force_login(User.objects.get(username="boss"))
    chosen = {"action": "restore_rights", "_selected_action": [bat.pk]}
    assert boss.post("/admin/accounts/user/", chosen).status_code == 302
    bat.refresh_from_db()
    assert (bat.is_staff, bat.is_superuser, bat.suspended_rights) == (True, True, [])
    entry = AuditEntry.objects.get(act="restore_rights")
    assert (entry.who, entry.target) == ("boss", f"user {bat.pk}")


def test_an_operator_who_may_only_change_accounts_restores_no_rights(bat):
    User.objects.filter(pk=bat.pk).update(suspended_rights=["is_superuser"])
    clerk = person("clerk", is_staff=True)
    clerk.user_permissions.set(Permission.objects.filter(codename__in=["change_user", "view_user"]))
    client = Client()
    client.force_login(clerk)
    client.post("/admin/accounts/user/", {"action": "restore_rights", "_selected_action": [bat.pk]})
    bat.refresh_from_db()
    assert not bat.is_superuser


def test_the_owner_restores_the_rights_with_a_settled_factor_alone(bat, own_browser):
    User.objects.filter(pk=bat.pk).update(suspended_rights=["is_staff"])
    sign_in(own_browser)
    prove(own_browser)
    own_browser.post("/accounts/changes/rights/")
    bat.refresh_from_db()
    assert not bat.is_staff
    Authenticator.objects.create(pk=7, user=bat, type="totp", data={})
    Credential.objects.filter(reference="7").update(since=timezone.now() - timedelta(days=9))
    check_with_factor(own_browser, bat, 7)
    own_browser.post("/accounts/changes/rights/")
    bat.refresh_from_db()
    assert bat.is_staff
    assert AuditEntry.objects.get(act="restore_rights").who == "bat"


def check_with_factor(client, user, reference):
    """Let the session pass the fresh check with a second factor, as allauth.mfa records it."""
    session = client.session
    record = {"method": "mfa", "at": timezone.now().timestamp(), "id": reference, "type": "totp"}
    session["account_authentication_methods"] = [{**record, "reauthenticated": True}]
    user.refresh_from_db()
    session["epoch"] = [user.pk, user.epoch]
    session.save()


def test_api_keys_that_were_made_since_are_revoked_and_older_ones_stay(bat, own_browser):
    User.objects.filter(pk=bat.pk).update(is_staff=True, is_superuser=True)
    ApiKey.objects.make("old", ["read"], who="bat", made_by=bat)
    ApiKey.objects.update(created_at=timezone.now() - timedelta(days=9))
    client = robbery.thief()
    client.post(
        "/admin/accounts/apikey/add/",
        {"site": Site.objects.make("his", who="tests").pk, "name": "his", "scopes": ["enqueue"]},
    )
    ApiKey.objects.make("others", ["read"], who="boss", made_by=person("boss"))
    press(last())
    assert {key.name: key.usable for key in ApiKey.objects.all()} == {"old": True, "his": False, "others": True}


def test_the_github_account_that_made_the_disputed_sign_in_is_held_and_comes_back_as_the_owners(bat, own_browser):
    connect(bat, "17", days_ago=20)
    robbery.thief()
    SignIn.objects.filter(pk=last().pk).update(method="github", made_with="17")
    press(last())
    assert not SocialAccount.objects.exists()
    held = Credential.objects.get(kind="github")
    assert held.state == State.HELD
    client = way_back()
    shown = client.get("/accounts/changes/").content.decode()
    assert "GitHub" in shown
    prove(client, FRESH)
    client.post(f"/accounts/changes/held/{held.pk}/", {"answer": "mine"})
    assert SocialAccount.objects.get().uid == "17"
    assert SocialAccount.objects.get().date_joined < timezone.now() - timedelta(days=19)
    assert AccountChange.objects.filter(what="restored").exists()


def test_a_held_thing_needs_a_fresh_check_and_its_owner(bat, own_browser):
    rob(robbery.thief())
    press(SignIn.objects.filter(vouched=False).earliest("at"))
    held = Credential.objects.get(address=EVIL)
    person("saraa")
    other = browser()
    sign_in(other, "saraa")
    prove(other)
    assert other.post(f"/accounts/changes/held/{held.pk}/", {"answer": "mine"}).status_code == 404
    client = way_back()
    assert client.post(f"/accounts/changes/held/{held.pk}/", {"answer": "mine"}).url.startswith("/accounts/reauth")
    held.refresh_from_db()
    assert held.state == State.HELD


def test_removing_a_held_thing_is_final_also_for_a_later_dispute(bat, own_browser):
    rob(robbery.thief())
    press(SignIn.objects.filter(vouched=False).earliest("at"))
    held = Credential.objects.get(address=EVIL)
    client = way_back()
    prove(client, FRESH)
    client.post(f"/accounts/changes/held/{held.pk}/", {"answer": "remove"})
    press(last())
    held.refresh_from_db()
    assert held.state == State.GONE
    assert not EmailAddress.objects.filter(email=EVIL).exists()


def test_an_address_that_a_thief_removed_although_an_older_one_stayed_comes_back(bat, own_browser):
    EmailAddress.objects.create(user=bat, email="second@example.mn", verified=True)
    Credential.objects.filter(address="second@example.mn").update(since=timezone.now() - timedelta(days=12))
    client = robbery.thief()
    prove(client)
    robbery.remove(client, "second@example.mn")
    assert Credential.objects.get(address="second@example.mn").state == State.GONE
    press(last())
    assert Credential.objects.get(address="second@example.mn").state == State.CURRENT
    assert EmailAddress.objects.filter(email="second@example.mn", verified=True).exists()


def test_what_a_settled_factor_proved_is_not_undone(bat, own_browser):
    client = robbery.thief()
    prove(client)
    confirm(client, "second@example.mn")
    Credential.objects.filter(address="second@example.mn").update(backing=Credential.Backing.FACTOR)
    press(last())
    assert EmailAddress.objects.filter(email="second@example.mn").exists()


def test_a_pending_confirmation_a_reset_link_and_a_session_of_an_older_epoch_do_nothing(bat, own_browser):
    client = robbery.thief()
    prove(client)
    client.post("/accounts/email/", {"action_add": "", "email": EVIL})
    pending = EmailConfirmationHMAC(EmailAddress.objects.get(email=EVIL)).key
    reset = credentials.ResetTokenGenerator().make_token(bat)
    changed = {"oldpassword": PASSWORD, "password1": FRESH, "password2": FRESH}
    assert client.post("/accounts/password/change/", changed).status_code == 302
    bat.refresh_from_db()
    assert bat.epoch == 1
    Client().post(f"/accounts/confirm-email/{pending}/")
    assert not EmailAddress.objects.get(email=EVIL).verified
    assert not credentials.ResetTokenGenerator().check_token(bat, reset)
    assert client.post("/accounts/email/", {"action_add": "", "email": "x@evil.test"}).status_code == 302
    assert EmailAddress.objects.filter(email="x@evil.test").exists(), "the acting session's check is renewed"


def test_a_check_of_an_older_epoch_is_asked_for_again(bat, own_browser):
    client = robbery.thief()
    prove(client)
    credentials.end_epoch(bat)
    answer = client.post("/accounts/email/", {"action_add": "", "email": EVIL})
    assert answer.url.startswith("/accounts/reauthenticate/")
    assert not EmailAddress.objects.filter(email=EVIL).exists()


def test_a_request_that_a_dispute_overtook_does_nothing(bat, own_browser, monkeypatch):
    client = robbery.thief()
    prove(client)
    link, real = last(), locking.lock_session

    def overtaken(request):
        assert request.user.pk == bat.pk, "the request's user is loaded before the dispute"
        if not link.disputed_at:
            disputes.dispute(link)
        return real(request)

    monkeypatch.setattr(locking, "lock_session", overtaken)
    answer = client.post("/accounts/email/", {"action_add": "", "email": EVIL})
    assert answer.url == "/accounts/login/"
    assert not EmailAddress.objects.filter(email=EVIL).exists()


def test_a_request_of_an_operator_that_a_dispute_overtook_does_nothing(bat, own_browser, monkeypatch):
    User.objects.filter(pk=bat.pk).update(is_staff=True, is_superuser=True)
    client = robbery.thief()
    link, real = last(), locking.lock_session

    def overtaken(request):
        disputes.dispute(link)
        return real(request)

    monkeypatch.setattr(locking, "lock_session", overtaken)
    answer = client.post(
        "/admin/accounts/apikey/add/",
        {"site": Site.objects.make("his", who="tests").pk, "name": "his", "scopes": ["enqueue"]},
    )
    assert answer.url == "/accounts/login/"
    assert not ApiKey.objects.exists()


def test_a_github_account_is_as_old_as_the_databases_clock_says(bat, own_browser):
    client = robbery.thief()
    connect(bat, "his")
    SocialAccount.objects.update(date_joined=timezone.now() - timedelta(hours=1))  # by a web host whose clock is slow
    press(last())
    assert not SocialAccount.objects.exists()
    assert client.get("/accounts/activity/").status_code == 302


def test_a_sign_in_whose_password_was_checked_before_a_dispute_fails(bat, own_browser, monkeypatch):
    robbery.thief()
    link, real = last(), locking.lock_account

    def overtaken(user, **more):
        if not SignIn.objects.get(pk=link.pk).disputed_at:
            disputes.dispute(link)
        return real(user, **more)

    monkeypatch.setattr(locking, "lock_account", overtaken)
    client = browser()
    sign_in(client)
    assert client.get("/accounts/activity/").status_code == 302


def test_the_way_back_leads_to_what_is_held_and_what_was_changed(bat, own_browser):
    rob(robbery.thief())
    press(SignIn.objects.filter(vouched=False).earliest("at"))
    client = way_back()
    page = client.get("/accounts/changes/", headers={"accept-language": "en"}).content.decode()
    assert "email address: t***@evil.test" in page
    assert EVIL not in page, "no address in full"
    assert page.count("This wasn&#x27;t me") + page.count("This wasn't me") >= 1


def test_the_change_that_a_recovery_lists_can_be_disputed_for_the_recovering_address(bat, own_browser):
    rob_in_part()
    Client().post("/accounts/password/reset/", {"email": OWN})
    job = JobLog.objects.filter(payload__kind="password_reset").latest("pk")
    client = robbery.recover(robbery.path_in(job, "password/reset/key"))
    change = AccountChange.objects.filter(what="address").earliest("at")
    path = f"/accounts/changes/{change.pk}/"
    assert client.get(path).status_code == 200
    assert client.post(path).status_code == 200
    assert EmailAddress.objects.filter(email=EVIL).exists(), "no answer, no act"
    client.post(path, {"answer": "not-me"})
    assert not EmailAddress.objects.filter(email=EVIL).exists()
    assert client.get("/accounts/activity/").status_code == 302


def rob_in_part():
    client = robbery.thief()
    prove(client)
    confirm(client, EVIL)
    make_primary(client, EVIL)


def test_without_a_recovery_the_page_disputes_nothing(bat, own_browser):
    rob_in_part()
    sign_in(own_browser)
    change = AccountChange.objects.filter(what="address").earliest("at")
    assert own_browser.post(f"/accounts/changes/{change.pk}/", {"answer": "not-me"}).status_code == 404
    with transaction.atomic():
        assert EmailAddress.objects.filter(email=EVIL).exists()
