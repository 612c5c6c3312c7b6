"""The Django app in a project: sign-ins are reported, disputes end sessions, checks name what is missing."""

import logging
from types import SimpleNamespace

import django
import pytest
from asgiref.sync import async_to_sync, sync_to_async
from django.conf import settings as project
from django.contrib.auth import get_user_model, login
from django.core import checks
from django.core.management import call_command
from django.db import connection, transaction
from django.test import AsyncClient, Client, RequestFactory, override_settings
from django.test.utils import CaptureQueriesContext
from signing import DISPUTED, OTHER_SECRET, SECRET, envelope, headers

from notifier_client.django import conf, receivers
from notifier_client.django.models import SessionEpoch
from notifier_client.django.sign_ins import find_address
from notifier_client.django.signals import sign_in_disputed

ENGINES = ["db", "cached_db", "cache", "file", "signed_cookies"]


@pytest.fixture(scope="module", autouse=True)
def tables():
    call_command("migrate", verbosity=0)


@pytest.fixture(autouse=True)
def clean(tables):
    yield
    SessionEpoch.objects.all().delete()
    get_user_model().objects.all().delete()


@pytest.fixture
def user():
    return get_user_model().objects.create_user("bat", "bat@example.mn", first_name="Бат")


@pytest.fixture
def sent(monkeypatch):
    """The sign-ins that were reported."""
    found = []
    client = SimpleNamespace(notify_in_background=found.append)
    monkeypatch.setattr(receivers, "notifier", lambda: None if conf.is_off() else client)
    return found


def sign_in(user, session=None, **meta):
    """Sign in by a request with these entries. Return the request."""
    request = RequestFactory().get("/", **meta)
    request.session = session if session is not None else Client().session
    login(request, user, "django.contrib.auth.backends.ModelBackend")
    return request


def dispute(user, secret=SECRET, client=None, event_id=None):
    body = envelope(data={**DISPUTED, "userId": str(user.pk)})
    given = headers(body, secrets=(secret,), event_id=event_id)
    return (client or Client()).post("/notifier/events/", body, content_type="application/json", headers=given)


def whoami(client):
    return client.get("/whoami/").content.decode()


def test_a_sign_in_is_reported(user, sent):
    sign_in(user, REMOTE_ADDR="203.0.113.7", HTTP_USER_AGENT="Mozilla/5.0")
    (found,) = sent
    assert (found.user_id, found.email, found.name) == (str(user.pk), "bat@example.mn", "Бат")
    assert (found.provider, found.ip_address, found.user_agent) == ("password", "203.0.113.7", "Mozilla/5.0")
    assert (found.locale, found.device_id) == ("en", None)


def test_a_sign_in_that_is_rolled_back_is_not_reported(user, sent):
    with transaction.atomic():
        sign_in(user)
        assert sent == []
        transaction.set_rollback(True)
    assert sent == []


def test_a_sign_in_costs_one_query(user, sent):
    request = RequestFactory().get("/")
    request.session = Client().session
    with CaptureQueriesContext(connection) as queries:
        receivers.signed_in(None, request, user)
    assert [query["sql"].split()[0] for query in queries].count("SELECT") == 1
    assert len(sent) == 1


@pytest.mark.parametrize(
    "fault",
    [
        {"NOTIFIER_URL": "nonsense"},
        {"NOTIFIER_KEY": None},
        {"NOTIFIER_PREPARE": "no.such.module"},
        {"NOTIFIER_IP_META": "builtins.int"},
    ],
    ids=str,
)
def test_no_fault_breaks_a_sign_in(user, caplog, fault):
    with override_settings(**fault):
        request = sign_in(user)
    assert request.session["_auth_user_id"] == str(user.pk)
    assert "was not reported" in caplog.text


def test_a_missing_table_breaks_no_sign_in_and_no_page(user, sent, caplog):
    call_command("migrate", "notifier_client", "zero", verbosity=0)
    try:
        with transaction.atomic():
            sign_in(user)
            assert get_user_model().objects.count() == 1
        client = Client()
        client.force_login(user)
        assert whoami(client) == "bat"
    finally:
        call_command("migrate", verbosity=0)
    assert len(sent) == 2
    assert "manage.py migrate notifier_client" in caplog.text


def test_a_user_without_an_address_and_a_project_that_turned_it_off_report_nothing(user, sent):
    with override_settings(NOTIFIER_URL=None):
        sign_in(user)
    user.email = ""
    sign_in(user)
    receivers.signed_in(None, None, user)
    assert sent == []


@pytest.mark.parametrize(
    ("records", "provider"),
    [
        ([], "password"),
        ([{"method": "password"}], "password"),
        ([{"method": "password"}, {"method": "socialaccount", "provider": "google"}], "google"),
        ([{"method": "socialaccount", "provider": "github"}, {"method": "mfa"}], "github"),
        ([{"method": "code"}], "email"),
        ([{"method": "mfa"}], "passkey"),
    ],
)
def test_the_provider_is_read_from_allauth(user, sent, records, provider):
    session = Client().session
    session["account_authentication_methods"] = records
    sign_in(user, session)
    assert sent[0].provider == provider


def test_the_provider_is_read_from_social_auth(user, sent):
    user.social_user = SimpleNamespace(provider="google-oauth2")
    sign_in(user)
    assert sent[0].provider == "google-oauth2"


def last_digit(request):
    return request.META["REMOTE_ADDR"][-1]


@pytest.mark.parametrize(
    ("setting", "address"),
    [
        (None, "10.0.0.1"),
        ("HTTP_X_REAL_IP", "1.1.1.1"),
        ("HTTP_X_FORWARDED_FOR", "3.3.3.3"),
        ("HTTP_NOT_SENT", "0.0.0.0"),
        (last_digit, "1"),
        (f"{__name__}.last_digit", "1"),
    ],
    ids=str,
)
def test_the_address_comes_from_where_the_project_says(setting, address):
    meta = {"REMOTE_ADDR": "10.0.0.1", "HTTP_X_REAL_IP": "1.1.1.1", "HTTP_X_FORWARDED_FOR": "2.2.2.2, 3.3.3.3"}
    with override_settings(NOTIFIER_IP_META=setting):
        assert find_address(RequestFactory().get("/", **meta)) == address


def as_staff(sign_in, request, user):
    return None if user.is_staff else type(sign_in)(user_id="other", email="b@c.mn", provider="sso")


def test_a_project_can_change_or_drop_a_sign_in_but_not_its_user(user, sent):
    with override_settings(NOTIFIER_PREPARE=f"{__name__}.as_staff"):
        sign_in(user)
        user.is_staff = True
        sign_in(user)
    (found,) = sent
    assert (found.user_id, found.email, found.provider) == (str(user.pk), "b@c.mn", "sso")


def test_a_browser_keeps_its_device_id(user, sent):
    user.set_password("x")
    user.save()
    with override_settings(ROOT_URLCONF="sign_in_urls"):
        client = Client()
        assert client.get("/whoami/").cookies == {}
        for _ in range(2):
            client.post("/sign-in/", {"username": "bat", "password": "x"})
        cookie = client.cookies["notifier_device"]
        assert [found.device_id for found in sent] == [cookie.value] * 2
        assert (cookie["httponly"], cookie["samesite"]) == (True, "Lax")
        client.cookies["notifier_device"] = "forged; x"
        client.post("/sign-in/", {"username": "bat", "password": "x"})
        assert sent[2].device_id not in ("forged; x", sent[0].device_id)
    with override_settings(ROOT_URLCONF="sign_in_urls", NOTIFIER_DEVICE_COOKIE=None):
        Client().post("/sign-in/", {"username": "bat", "password": "x"})
    assert sent[3].device_id is None


@pytest.mark.parametrize("engine", ENGINES)
def test_a_dispute_ends_every_session_of_that_user_and_no_other(user, sent, engine):
    other = get_user_model().objects.create_user("dorj", "dorj@example.mn")
    with override_settings(SESSION_ENGINE=f"django.contrib.sessions.backends.{engine}"):
        clients = [Client(), Client(), Client()]
        for client, who in zip(clients, (user, user, other), strict=True):
            client.force_login(who)
        stolen = dict(clients[0].cookies)
        assert [whoami(client) for client in clients] == ["bat", "bat", "dorj"]
        assert dispute(user).status_code == 204
        assert [whoami(client) for client in clients] == ["-", "-", "dorj"]
        clients[0].cookies.update(stolen)
        assert whoami(clients[0]) == "-"
        clients[1].force_login(user)
        assert whoami(clients[1]) == "bat"


def test_a_dispute_ends_sessions_of_an_asynchronous_project(user, sent):
    async def visit():
        client = AsyncClient()
        await sync_to_async(client.force_login)(user)
        before = await client.get("/whoami/")
        await sync_to_async(dispute)(user)
        after = await client.get("/whoami/")
        return before.content, after.content

    assert async_to_sync(visit)() == (b"bat", b"-")
    assert len(sent) == 1


def test_a_session_from_before_the_installation_ends_too(user):
    client = Client()
    client.force_login(user)
    session = client.session
    del session["_notifier_epoch"]
    session.save()
    assert whoami(client) == "bat"
    dispute(user)
    assert whoami(client) == "-"


def test_an_event_that_is_repeated_ends_no_newer_session(user):
    client = Client()
    assert dispute(user, event_id="evt_1").status_code == 204
    client.force_login(user)
    assert dispute(user, event_id="evt_1").status_code == 204
    assert whoami(client) == "bat"
    assert dispute(user, event_id="evt_2").status_code == 204
    assert whoami(client) == "-"


def test_the_signal_is_sent_once_and_a_failing_receiver_has_the_event_sent_again(user, sent):
    found, fail = [], [True]

    def receive(sender, event, user, **_):
        if fail:
            raise RuntimeError("the receiver failed")
        found.append((event.type, user))

    sign_in_disputed.connect(receive)
    try:
        client = Client(raise_request_exception=False)
        logging.getLogger("django.request").disabled = True
        assert dispute(user, client=client, event_id="evt_1").status_code == 500
        assert SessionEpoch.objects.count() == 0
        fail.clear()
        assert [dispute(user, event_id="evt_1").status_code for _ in range(2)] == [204, 204]
    finally:
        logging.getLogger("django.request").disabled = False
        sign_in_disputed.disconnect(receive)
    assert found == [("sign_in.disputed", user)]


@pytest.mark.parametrize("pk", ["999", "not a number", "9" * 40, "\x00"])
def test_a_dispute_of_an_unknown_user_is_accepted(pk):
    assert dispute(SimpleNamespace(pk=pk)).status_code == 204


def test_only_a_signed_post_of_a_usual_size_is_accepted(user):
    client = Client(enforce_csrf_checks=True)
    assert dispute(user, OTHER_SECRET, client).status_code == 400
    assert client.get("/notifier/events/").status_code == 405
    assert client.post("/notifier/events/", b"x" * 70_000, content_type="application/json").status_code == 413
    assert dispute(user, client=client).status_code == 204
    with override_settings(NOTIFIER_EVENT_SECRET=f"{OTHER_SECRET} {SECRET}"):
        assert dispute(user, OTHER_SECRET).status_code == 204
    with override_settings(NOTIFIER_EVENT_SECRET=""):
        assert dispute(user).status_code == 503


def test_an_event_of_another_type_is_accepted():
    body = envelope("notice.failed", {"jobId": "a", "userId": "1", "reason": "exhausted", "errorClass": "temporary"})
    given = {"content_type": "application/json", "headers": headers(body)}
    assert Client().post("/notifier/events/", body, **given).status_code == 204


@pytest.mark.skipif(django.VERSION < (5, 1), reason="LoginRequiredMiddleware came with Django 5.1")
def test_a_project_that_requires_a_sign_in_everywhere_still_receives_events(user):
    required = [*project.MIDDLEWARE, "django.contrib.auth.middleware.LoginRequiredMiddleware"]
    with override_settings(MIDDLEWARE=required):
        assert dispute(user).status_code == 204


MIDDLEWARE = "notifier_client.django.middleware.NotifierMiddleware"


@pytest.mark.parametrize(
    ("changes", "found"),
    [
        ({}, []),
        ({"NOTIFIER_URL": None, "NOTIFIER_KEY": ""}, []),
        ({"NOTIFIER_URL": "x"}, ["E001"]),
        ({"NOTIFIER_URL": "http://notifier.example.mn"}, ["W003"]),
        ({"NOTIFIER_URL": "http://notifier.example.mn", "DEBUG": True}, []),
        ({"NOTIFIER_KEY": ""}, ["E002"]),
        ({"NOTIFIER_EVENT_SECRET": "x"}, ["E003"]),
        ({"NOTIFIER_EVENT_SECRET": [SECRET, OTHER_SECRET]}, []),
        ({"NOTIFIER_EVENT_SECRET": ""}, ["W001"]),
        ({"MIDDLEWARE": []}, ["E004"]),
        ({"MIDDLEWARE": [MIDDLEWARE]}, ["E005"]),
        ({"NOTIFIER_IP_META": "no.such"}, ["E006"]),
        ({"NOTIFIER_IP_META": "HTTP_X_REAL_IP"}, []),
        ({"NOTIFIER_PREPARE": 3}, ["E007"]),
        ({"ROOT_URLCONF": "empty_urls"}, ["W002"]),
    ],
    ids=str,
)
def test_the_checks_name_what_is_missing(changes, found):
    with override_settings(**changes):
        messages = checks.run_checks(tags=["notifier_client"])
    assert [message.id.rpartition(".")[2] for message in messages] == found


def test_a_setting_may_be_an_environment_variable(monkeypatch):
    with override_settings():
        for name in ("NOTIFIER_URL", "NOTIFIER_KEY", "NOTIFIER_EVENT_SECRET"):
            delattr(project, name)
        assert {m.id[-4:] for m in checks.run_checks(tags=["notifier_client"])} == {"E001", "E002", "W001"}
        monkeypatch.setenv("NOTIFIER_URL", "https://notifier.example.mn")
        monkeypatch.setenv("NOTIFIER_KEY", "nk_1")
        monkeypatch.setenv("NOTIFIER_EVENT_SECRET", SECRET)
        assert checks.run_checks(tags=["notifier_client"]) == []
        assert conf.notifier() is conf.notifier()


def test_a_request_without_a_user_costs_no_query():
    with CaptureQueriesContext(connection) as queries:
        assert whoami(Client()) == "-"
    assert len(queries) == 0
