"""Operators export, restore and erase by permission, with a reason and an audit entry."""

import json
from concurrent.futures import ThreadPoolExecutor
from datetime import timedelta

import pytest
from allauth.account.models import EmailAddress
from allauth.socialaccount.models import SocialAccount
from django.contrib.auth.models import Permission
from django.core.management import call_command
from django.db import OperationalError, connection, transaction
from django.test import Client
from django.utils import timezone

from accounts.admin import AccountAdmin
from accounts.credentials import Credential
from accounts.pending import flow
from accounts.pending.request import PendingRequest, RequestKind
from accounts.user import User
from jobs.core.audit import AuditEntry
from jobs.core.job import JobLog
from tests.support.operators import job
from tests.support.people import browser as new_browser
from tests.support.people import person, sign_in
from tests.support.rights import post_checked

pytestmark = pytest.mark.django_db
WHY = {"reason": "passport seen"}
PERMISSIONS = ("view_user", "delete_user", "export_user", "restore_user", "remove_factors", "cancel_pendingrequest")


@pytest.fixture
def bat():
    user = person()
    EmailAddress.objects.create(user=user, email=user.email, verified=True, primary=True)
    return user


def operator(*permissions: str) -> Client:
    boss = person("boss", is_staff=True)
    boss.user_permissions.set(Permission.objects.filter(codename__in=permissions))
    client = Client(headers={"accept-language": "en"})
    client.force_login(boss)
    return client


@pytest.fixture
def boss():
    return operator(*PERMISSIONS, "view_pendingrequest")


@pytest.fixture
def other_site(bat):
    """A job of another site to the address of the user, one to a merely entered address, and a stranger's."""
    EmailAddress.objects.create(user=bat, email="merely@entered.mn", verified=False)
    addresses = {"theirs": "BAT@example.mn", "entered": "merely@entered.mn", "strangers": "saran@example.mn"}
    for name, address in addresses.items():
        job(f"shop:{name}", source="shop", user_id="99", payload={"email": address, "name": "x"})


def test_the_page_gives_the_user_everything_as_a_file(bat, other_site):
    client = new_browser()
    sign_in(client)
    assert client.get("/accounts/data/").status_code == 200
    assert client.post("/accounts/data/").url.startswith("/accounts/reauthenticate/")
    answer = post_checked(client, "/accounts/data/")
    assert answer["Content-Disposition"].startswith('attachment; filename="account-')
    assert "no-store" in answer["Cache-Control"]
    found = json.loads(answer.content)
    assert found["account"]["email"] == bat.email
    assert [entry["address"] for entry in found["addressHistory"]] == [bat.email]
    assert len(found["signIns"]) == len(found["devices"]) == len(found["jobs"]) == 1
    assert "jobsOfOtherSites" not in found
    more = json.loads(client.post("/accounts/data/", {"other_sites": "on"}).content)
    assert [one["job_id"] for one in more["jobsOfOtherSites"]] == ["shop:theirs"]


def test_the_command_and_the_page_give_the_same(bat, other_site, capsys):
    client = new_browser()
    sign_in(client)
    page = json.loads(post_checked(client, "/accounts/data/", {"other_sites": "on"}).content)
    call_command("export_user", "bat", "--other-sites")
    printed = json.loads(capsys.readouterr().out)
    for found in (page, printed):
        found.pop("sessions")  # each request prolongs its session
    assert printed == page


def test_an_operator_exports_with_a_reason_and_it_is_audited(bat, boss, other_site):
    path = f"/admin/accounts/user/{bat.pk}/export/"
    assert boss.get(path).status_code == 200
    assert boss.post(path).status_code == 200, "the form again: a reason is missing"
    assert not AuditEntry.objects.exists()
    found = json.loads(boss.post(path, {**WHY, "other_sites": "on"}).content)
    assert [one["job_id"] for one in found["jobsOfOtherSites"]] == ["shop:theirs"]
    entry = AuditEntry.objects.get()
    assert (entry.who, entry.act, entry.target) == ("boss", "export_user", f"user {bat.pk}")
    assert entry.detail == {"why": "passport seen", "other_sites": True}


@pytest.mark.parametrize("chosen", [True, False])
def test_a_deletion_erases_jobs_of_other_sites_on_request(bat, boss, other_site, chosen):
    path = f"/admin/accounts/user/{bat.pk}/delete/"
    assert b'name="other_sites"' in boss.get(path).content
    boss.post(path, {"post": "yes", **({"other_sites": "on"} if chosen else {})})
    assert not User.objects.filter(pk=bat.pk).exists()
    blank = set(JobLog.objects.filter(payload={}, source="shop").values_list("job_id", flat=True))
    assert blank == ({"shop:theirs"} if chosen else set())
    assert AuditEntry.objects.get(act="delete_user").detail == ({"erased_jobs_of_other_sites": 1} if chosen else {})


def former(bat) -> Credential:
    now = timezone.now()
    return Credential.objects.create(
        user=bat,
        address="old@example.mn",
        state="gone",
        since=now - timedelta(days=50),
        removed_at=now - timedelta(days=9),
    )


def since(days: int) -> str:
    return f"{timezone.localtime() - timedelta(days=days):%Y-%m-%dT%H:%M}"


def test_an_operator_asks_for_the_return_of_an_address(bat, boss):
    path, old = f"/admin/accounts/user/{bat.pk}/restore/", former(bat)
    assert "old@example.mn" in boss.get(path).content.decode()
    asked = boss.post(path, {**WHY, "former": old.pk, "since": since(10)})
    assert asked.status_code == 302
    request = PendingRequest.objects.get()
    assert (request.kind, request.address, request.operator) == ("restore", "old@example.mn", "boss")
    assert request.due_at - request.asked_at == timedelta(hours=72)
    entry = AuditEntry.objects.get()
    assert (entry.act, entry.detail) == ("restore_user", {"why": "passport seen", "request": request.pk})
    boss.post(path, {**WHY, "former": old.pk, "since": since(10)})
    assert PendingRequest.objects.count() == AuditEntry.objects.count() == 1, "one at a time"


@pytest.mark.parametrize(
    "wrong", [{"since": since(51)}, {"since": since(8)}, {"since": "x"}, {"reason": ""}, {"former": "0"}]
)
def test_an_invalid_restore_is_refused_with_a_word(bat, boss, wrong):
    data = {**WHY, "former": former(bat).pk, "since": since(10), **wrong}
    answer = boss.post(f"/admin/accounts/user/{bat.pk}/restore/", data)
    assert answer.status_code == 200
    assert b"errorlist" in answer.content
    assert not PendingRequest.objects.exists()


def test_an_operator_cancels_a_request_and_it_is_audited(bat, boss):
    request = flow.ask(bat, RequestKind.LOST_FACTOR)
    page = boss.get(f"/admin/accounts/pendingrequest/{request.pk}/change/")
    assert b"Cancel the request" in page.content
    assert boss.get("/admin/accounts/pendingrequest/").status_code == 200
    for _ in range(2):
        assert boss.post(f"/admin/accounts/pendingrequest/{request.pk}/cancel/").status_code == 302
    request.refresh_from_db()
    assert request.cancelled_at
    assert AuditEntry.objects.get().act == "cancel_request"


@pytest.mark.parametrize("page", ["export", "restore", "remove-factors"])
@pytest.mark.parametrize("superior", [True, False])
def test_without_the_permission_or_on_a_superuser_nothing_is_done(bat, page, superior):
    client = operator(*(PERMISSIONS if superior else ["view_user", "view_pendingrequest"]))
    User.objects.filter(pk=bat.pk).update(is_superuser=superior)
    for answer in (client.get, client.post):
        assert answer(f"/admin/accounts/user/{bat.pk}/{page}/", WHY).status_code == 403
    assert not AuditEntry.objects.exists()
    request = flow.ask(bat, RequestKind.LOST_FACTOR)
    if not superior:
        assert client.post(f"/admin/accounts/pendingrequest/{request.pk}/cancel/").status_code == 403
        request.refresh_from_db()
        assert request.waits


def test_the_buttons_are_shown_by_permission(bat, boss):
    page = boss.get(f"/admin/accounts/user/{bat.pk}/change/").content.decode()
    for name in ("export", "restore"):
        assert f"/admin/accounts/user/{bat.pk}/{name}/" in page


def change(client: Client, user: User, **values: object):
    """Save the page of an account with other values."""
    form = {"username": user.username, "email": user.email, "is_active": "on", "notify_sign_ins": "on", **values}
    form |= {"date_joined_0": user.date_joined.date(), "date_joined_1": f"{user.date_joined:%H:%M:%S}"}
    return client.post(f"/admin/accounts/user/{user.pk}/change/", form)


def test_an_operator_who_changes_accounts_gives_no_rights(bat):
    client = operator("view_user", "change_user")
    boss = User.objects.get(username="boss")
    for user in (bat, boss):
        assert change(client, user, first_name="Bold", is_staff="on", is_superuser="on").status_code == 302
        user.refresh_from_db()
        assert (user.first_name, user.is_superuser) == ("Bold", False)
    assert not bat.is_staff
    assert boss.user_permissions.count() == 2


@pytest.mark.django_db(transaction=True)
def test_an_account_is_locked_while_an_operator_changes_it(bat, monkeypatch):
    """Else its page would write back what a dispute changed meanwhile."""
    if connection.vendor != "postgresql":
        pytest.skip("SQLite has no locks on rows")
    client, real, free = operator("view_user", "change_user"), AccountAdmin.save_model, []

    def save(*args):
        with ThreadPoolExecutor(1) as other:
            free.append(other.submit(is_free, bat.pk).result())
        return real(*args)

    monkeypatch.setattr(AccountAdmin, "save_model", save)
    assert change(client, bat, first_name="Bold").status_code == 302
    assert free == [False]
    assert is_free(bat.pk)


def is_free(pk: int) -> bool:
    """Whether another connection could change the account now."""
    try:
        with transaction.atomic():
            User.objects.select_for_update(nowait=True).get(pk=pk)
        return True
    except OperationalError:
        return False
    finally:
        connection.close()


def test_none_but_a_superuser_changes_or_deletes_a_superuser(bat):
    User.objects.filter(pk=bat.pk).update(is_superuser=True)
    client, page = operator("view_user", "change_user", "delete_user"), f"/admin/accounts/user/{bat.pk}"
    password = {"usable_password": "true", "password1": "other-Steppe-horse", "password2": "other-Steppe-horse"}
    assert client.post(f"{page}/password/", password).status_code == 403
    assert change(client, bat, email="evil@example.mn").status_code == 403
    assert client.post(f"{page}/delete/", {"post": "yes"}).status_code == 403
    chosen = {"action": "delete_selected", "_selected_action": [bat.pk], "post": "yes"}
    assert client.post("/admin/accounts/user/", chosen).status_code == 403
    before = bat.password
    bat.refresh_from_db()
    assert (bat.email, bat.password) == ("bat@example.mn", before)


def test_no_operator_adds_or_changes_an_address_or_a_github_account_of_a_user(bat):
    person("boss", is_staff=True, is_superuser=True)
    github, address = SocialAccount.objects.create(user=bat, provider="github", uid="7"), bat.emailaddress_set.get()
    client = Client()
    client.force_login(User.objects.get(username="boss"))
    for kind, row in (("account/emailaddress", address), ("socialaccount/socialaccount", github)):
        assert client.get(f"/admin/{kind}/").status_code == 200
        page = f"/admin/{kind}/{row.pk}/"
        assert client.get(f"{page}change/").status_code == 200
        for path in (f"/admin/{kind}/add/", f"{page}change/", f"{page}delete/"):
            assert client.post(path, {"post": "yes"}).status_code == 403


def test_an_account_that_an_operator_closes_has_no_session_when_it_is_opened_again(bat):
    here = new_browser()
    sign_in(here)
    client = operator("view_user", "change_user")
    assert change(client, bat, is_active="").status_code == 302
    assert change(client, bat).status_code == 302
    assert User.objects.get(pk=bat.pk).is_active
    assert here.get("/accounts/activity/").status_code == 302


def test_an_address_that_an_operator_replaced_is_notified_and_resets_no_password(bat):
    client = operator("view_user", "change_user")
    assert change(client, bat, email="bat@new.test").status_code == 302
    notified = JobLog.objects.filter(job_type="security-mail", payload__what="address_removed")
    assert {job.payload["email"] for job in notified} == {"bat@example.mn", "bat@new.test"}
    for address in ("bat@example.mn", "bat@new.test"):
        new_browser().post("/accounts/password/reset/", {"email": address})
    resets = JobLog.objects.filter(job_type="account-mail", payload__kind="password_reset")
    assert [job.payload["email"] for job in resets] == ["bat@new.test"]


def test_a_password_that_an_operator_set_is_reported_and_ends_the_sessions(bat):
    here, client = new_browser(), operator("view_user", "change_user")
    sign_in(here)
    password = {"usable_password": "true", "password1": "other-Steppe-horse", "password2": "other-Steppe-horse"}
    assert client.post(f"/admin/accounts/user/{bat.pk}/password/", password).status_code == 302
    assert JobLog.objects.get(job_type="security-mail").payload["what"] == "password"
    assert here.get("/accounts/activity/").status_code == 302
    before = bat.epoch
    bat.refresh_from_db()
    assert bat.epoch > before
