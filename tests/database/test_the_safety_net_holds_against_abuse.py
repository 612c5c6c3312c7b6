"""Ways in which the safety net itself was used against an account, each closed."""

import ast
import re
from pathlib import Path

import pytest
from allauth.account.models import EmailAddress
from django.conf import settings
from django.contrib.auth.hashers import get_hasher
from django.contrib.auth.models import Permission
from django.test import Client
from django.urls import get_resolver

from accounts.sign_in.event import SignIn
from accounts.user import User
from jobs.core.audit import AuditEntry
from jobs.core.job import JobLog
from tests.support import api_client
from tests.support.people import PASSWORD, browser, last, person, sign_in

SOURCES = [path for app in ("accounts", "jobs", "notifier") for path in (Path(settings.BASE_DIR) / app).rglob("*.py")]


def test_every_keyed_hash_names_its_algorithm():
    unnamed = [f"{source}:{line}" for source in SOURCES for line in _hashes_of_a_default_algorithm(source)]
    assert SOURCES
    assert unnamed == []


def _hashes_of_a_default_algorithm(source):
    for node in ast.walk(ast.parse(source.read_text())):
        keywords = [keyword.arg for keyword in getattr(node, "keywords", [])]
        if isinstance(node, ast.Call) and getattr(node.func, "id", "") == "salted_hmac" and "algorithm" not in keywords:
            yield node.lineno


def pages(patterns, before=""):
    """Every address of the site below `before` that takes no argument."""
    for pattern in patterns:
        path = before + str(pattern.pattern)
        if hasattr(pattern, "url_patterns"):
            yield from pages(pattern.url_patterns, path)
        elif not set(path) & set("<(?\\^*"):
            yield f"/{path}"


@pytest.mark.django_db
def test_no_private_page_is_stored_by_a_browser_or_a_proxy():
    person("boss", is_staff=True, is_superuser=True)
    client = browser()
    sign_in(client, "boss")
    own = f"/accounts/activity/{last().pk}/not-me/"
    private = [path for path in pages(get_resolver().url_patterns) if path.startswith(("/accounts/", "/admin/"))]
    assert {"/accounts/email/", "/accounts/password/change/", "/accounts/reauthenticate/"} <= set(private)
    for path in [*private, own, "/accounts/not-me/x/", "/accounts/no-such-page/", "/"]:
        if "logout" not in path:
            for browsing in (client, Client()) if path != "/" else (client,):
                assert "no-store" in browsing.get(path).get("Cache-Control", ""), path
    assert client.get("/accounts/activity/").status_code == 200, "still signed in"


@pytest.mark.django_db
def test_a_public_page_may_be_stored():
    assert "Cache-Control" not in Client().get("/")


@pytest.mark.django_db
def test_a_client_that_varies_its_user_ids_cannot_flood_one_mailbox(client):
    key, other = api_client.key("enqueue"), api_client.key("enqueue", name="other")
    for number in range(20):
        notice = api_client.notification(jobId=f"n{number}", userId=f"random-{number}")
        assert api_client.post(client, notice, key).status_code == 202
    notice = api_client.notification(jobId="n20", userId="random-20", email="BAT@example.mn")
    answer = api_client.post(client, notice, key)
    assert (answer.status_code, answer.json()["type"]) == (429, "urn:notifier:problem:too-many-notices")
    assert 0 < int(answer["Retry-After"]) <= 3600
    assert api_client.post(client, notice, other).status_code == 202, "another site has a limit of its own"


@pytest.fixture
def operator():
    """A client of an operator who may see and delete accounts, and nothing else."""
    boss = person("boss", is_staff=True)
    boss.user_permissions.set(Permission.objects.filter(codename__in=["view_user", "delete_user"]))
    client = Client()
    client.force_login(boss)
    return client


DELETIONS = {
    "its page": lambda client, bat: client.post(f"/admin/accounts/user/{bat.pk}/delete/", {"post": "yes"}),
    "the list": lambda client, bat: client.post(
        "/admin/accounts/user/", {"action": "delete_selected", "_selected_action": [bat.pk], "post": "yes"}
    ),
}


@pytest.mark.django_db
@pytest.mark.parametrize("way", DELETIONS)
def test_an_operator_deletes_a_user_who_has_signed_in_and_it_is_audited(operator, way):
    bat = person()
    sign_in(browser())
    assert operator.get(f"/admin/accounts/user/{bat.pk}/delete/").status_code == 200
    assert DELETIONS[way](operator, bat).status_code == 302
    assert not User.objects.filter(username="bat").exists()
    assert not SignIn.objects.filter(user_id=bat.pk).exists()
    entry = AuditEntry.objects.get(act="delete_user")
    assert (entry.who, entry.target) == ("boss", f"user {bat.pk}")


@pytest.mark.django_db
@pytest.mark.parametrize("way", DELETIONS)
def test_without_the_permission_no_user_is_deleted(operator, way):
    bat = person()
    sign_in(browser())
    User.objects.get(username="boss").user_permissions.set(Permission.objects.filter(codename="view_user"))
    DELETIONS[way](operator, bat)
    assert User.objects.filter(username="bat").exists()
    assert not AuditEntry.objects.exists()


def sign_up(name: str, email: str):
    return browser().post("/accounts/signup/", {"username": name, "email": email, "password1": PASSWORD})


@pytest.mark.django_db
def test_sign_up_does_not_reveal_whether_an_address_has_an_account():
    bat = person()
    EmailAddress.objects.create(user=bat, email=bat.email, verified=True, primary=True)
    taken, free = sign_up("one", bat.email), sign_up("two", "unknown@example.mn")
    assert (taken.status_code, taken.url) == (free.status_code, free.url) == (302, "/accounts/activity/")
    assert EmailAddress.objects.exclude(user=bat).filter(email=bat.email, verified=False).count() == 1
    JobLog.objects.all().delete()
    Client().post("/accounts/password/reset/", {"email": bat.email})
    assert JobLog.objects.get(payload__kind="password_reset").payload["userId"] == str(bat.pk), "the address stays his"


@pytest.mark.django_db
def test_sign_up_does_not_reveal_whether_a_name_is_taken():
    person("taken")
    taken, free = sign_up("taken", "one@example.mn"), sign_up("free", "two@example.mn")
    assert (taken.status_code, taken.url) == (free.status_code, free.url) == (302, "/accounts/activity/")
    names = User.objects.filter(email__in=["one@example.mn", "two@example.mn"]).values_list("username", flat=True)
    assert all(re.fullmatch("user-[a-z0-9]{12}", name) for name in names)
    assert b"username" not in Client().get("/accounts/signup/").content


@pytest.mark.django_db
@pytest.mark.parametrize("path", ["/accounts/login/", "/admin/login/"])
def test_an_inactive_account_does_not_confirm_its_password(path):
    person("gone", is_active=False, is_staff=True)

    def said(password: str) -> tuple[int, list[bytes]]:
        fields = {"login": "gone", "username": "gone", "password": password}
        answer = browser().post(path, fields, headers={"accept-language": "en"})
        errors = re.findall(rb'<(?:div class="message error"|p class="errornote").*?</(?:div|p)>', answer.content, re.S)
        return answer.status_code, errors

    right, wrong = said(PASSWORD), said("wrong")
    assert right == wrong
    assert right[0] == 200
    assert right[1]


NAMES = {"a user name": "bat", "an address": "bat@example.mn", "no user name": "bold", "no address": "bold@example.mn"}


@pytest.mark.django_db
@pytest.mark.parametrize("form", [("/accounts/login/", "login"), ("/admin/login/", "username")])
def test_a_wrong_password_takes_the_same_work_whether_there_is_an_account_or_not(form, monkeypatch):
    person()
    hasher, hashed = type(get_hasher()), []
    encode = hasher.encode
    monkeypatch.setattr(hasher, "encode", lambda *args, **more: hashed.append(1) or encode(*args, **more))
    work = {}
    for kind, name in NAMES.items():
        hashed.clear()
        assert browser().post(form[0], {form[1]: name, "password": "wrong-Steppe-horse"}).status_code == 200
        work[kind] = len(hashed)
    assert len(set(work.values())) == 1, work
