"""STAFF_MFA=required: no administration and no staff session of the API without a second factor."""

from datetime import timedelta

import pytest
import time_machine
from django.test import Client

from accounts.user import User
from tests.support.factors import SECOND_STEP, add_app, code, confirm, enter_code
from tests.support.people import PASSWORD, browser, person, sign_in, sign_out

pytestmark = pytest.mark.django_db
ADMIN, LOGIN, SECURITY = "/admin/", "/admin/login/?next=/admin/", "/accounts/2fa/?next=%2Fadmin%2F"
API = "/api/admin/dlq"


@pytest.fixture(autouse=True)
def required(settings):
    settings.STAFF_MFA = "required"


@pytest.fixture
def boss():
    return User.objects.create_superuser("boss", "boss@example.mn", PASSWORD)


def sign_in_at_the_admin(client: Client):
    return client.post(LOGIN, {"username": "boss", "password": PASSWORD, "next": ADMIN})


@pytest.mark.parametrize("way", [sign_in_at_the_admin, lambda client: sign_in(client, "boss")])
def test_staff_without_a_factor_are_led_to_add_one_and_then_on(boss, way):
    client = browser()
    way(client)
    first = client.get(ADMIN)
    assert first.url == LOGIN
    assert client.get(LOGIN).url == SECURITY
    page = client.get(SECURITY, headers={"accept-language": "en"}).content.decode()
    assert "Add a passkey or an authenticator app first" in page
    for path in ("/admin/jobs/joblog/", "/admin/address/", "/admin/accounts/user/"):
        assert client.get(path).url.startswith("/admin/login/")
    add_app(client)
    codes = client.get("/accounts/2fa/recovery-codes/").content.decode()
    assert 'class="button main" href="/admin/"' in codes
    assert client.get(ADMIN).status_code == 200


def test_a_password_is_the_first_step_of_the_admins_sign_in(boss):
    client = browser()
    sign_in_at_the_admin(client)
    secret = add_app(client)
    sign_out(client)
    assert sign_in_at_the_admin(client).url == SECOND_STEP
    assert client.get(ADMIN).status_code == 302
    assert enter_code(client, code(secret, 1)).url == ADMIN
    assert client.get(ADMIN).status_code == 200


def test_where_a_factor_is_optional_one_that_there_is_still_counts(boss, settings):
    settings.STAFF_MFA = "optional"
    client = browser()
    assert sign_in_at_the_admin(client).url == ADMIN
    assert client.get(ADMIN).status_code == 200
    add_app(client)
    sign_out(client)
    assert sign_in_at_the_admin(client).url == SECOND_STEP
    assert client.get(ADMIN).status_code == 302


def test_a_session_from_before_the_factor_proves_it_first(boss):
    older, newer = browser(), browser()
    for client in (older, newer):
        sign_in(client, "boss")
    secret = add_app(newer)
    check = "/accounts/2fa/reauthenticate/?next=%2Fadmin%2F"
    assert older.get(LOGIN).url == check
    assert older.post(check, {"code": code(secret, 1), "next": ADMIN}).url == ADMIN
    assert older.get(ADMIN).status_code == 200


def test_the_factor_is_asked_for_again_after_twelve_hours(boss):
    client = browser()
    sign_in(client, "boss")
    secret = add_app(client)
    check = "/accounts/2fa/reauthenticate/?next=%2Fadmin%2F"
    with time_machine.travel(timedelta(hours=11, minutes=59)):
        assert client.get(ADMIN).status_code == 200
    with time_machine.travel(timedelta(hours=12, minutes=1)):
        assert client.get(ADMIN).url == LOGIN
        assert client.post("/admin/accounts/user/", {"action": "restore_rights"}).status_code == 302
        assert client.get(API).status_code == 403
        assert client.get("/accounts/activity/").status_code == 200, "the user's own pages stay open"
        assert client.get(LOGIN).url == check
        assert client.post(check, {"code": code(secret), "next": ADMIN}).url == ADMIN
        assert client.get(ADMIN).status_code == 200


def test_the_hours_are_a_setting(boss, settings):
    settings.STAFF_MFA_HOURS = 1
    client = browser()
    sign_in(client, "boss")
    add_app(client)
    with time_machine.travel(timedelta(minutes=61)):
        assert client.get(ADMIN).url == LOGIN


def test_a_session_whose_factor_was_removed_is_led_to_add_one(boss):
    client = browser()
    sign_in(client, "boss")
    add_app(client)
    client.post("/accounts/2fa/totp/deactivate/")
    assert client.get(LOGIN).url == SECURITY


def test_the_api_takes_no_staff_session_without_a_factor(boss):
    client = browser()
    sign_in(client, "boss")
    refused = client.get(API)
    assert refused.status_code == 403
    assert "second factor" in refused.json()["detail"]
    add_app(client)
    assert client.get(API).status_code == 200


def test_a_user_who_is_not_staff_is_asked_for_nothing(boss):
    person()
    client = browser()
    sign_in(client)
    assert client.get(LOGIN).status_code == 200, "Django's page, which says that the account is not authorized"
    assert client.get("/accounts/activity/").status_code == 200


@pytest.mark.parametrize("page", ["//evil.test/", "https://evil.test/"])
def test_the_way_on_leads_to_this_site_alone(boss, page):
    client = browser()
    sign_in(client, "boss")
    client.get("/accounts/2fa/", {"next": page})
    add_app(client)
    assert "evil.test" not in client.get("/accounts/2fa/").content.decode()
    assert confirm(client).status_code == 302
