"""Second factors without a browser: an app's codes, recovery codes, their limits, their history, their secrets."""

import pytest
from allauth.account.models import EmailAddress
from allauth.mfa.models import Authenticator
from allauth.socialaccount.models import SocialAccount

from accounts import credentials
from accounts.credentials import Credential
from accounts.factors import authenticators
from accounts.mail.content import write_content
from accounts.sign_in.sessions import Session
from jobs.core.job import JobLog
from tests.support.factors import (
    ADD_APP,
    CODES,
    SECOND_STEP,
    add_app,
    code,
    confirm,
    enter_code,
    read_secret,
    recovery_codes,
)
from tests.support.people import FIREFOX, PASSWORD, browser, last, person, sign_in, sign_out

pytestmark = pytest.mark.django_db
PICTURE, REMOVE_APP = "/accounts/2fa/totp/picture/", "/accounts/2fa/totp/deactivate/"
MAKE_CODES, PASSKEY_SIGN_IN = "/accounts/2fa/recovery-codes/generate/", "/accounts/2fa/webauthn/login/"


@pytest.fixture
def bat():
    return person()


@pytest.fixture
def client(bat):
    """Bat's browser, signed in with the password."""
    client = browser()
    sign_in(client)
    return client


@pytest.fixture
def secret(client):
    """The secret of the authenticator app that Bat adds."""
    return add_app(client)


def enters(client, given) -> bool:
    """Whether a second step with this code signs in."""
    enter_code(client, given)
    return client.get("/accounts/activity/").status_code == 200


def mails(what):
    return [
        job.payload["email"]
        for job in JobLog.objects.filter(job_type="security-mail").order_by("pk")
        if job.payload.get("what") == what
    ]


def test_a_password_alone_does_not_sign_in(client, secret):
    sign_out(client)
    answer = sign_in(client)
    assert answer.url == SECOND_STEP
    assert client.get("/accounts/activity/").status_code == 302
    assert not enters(client, "000000")
    assert enters(client, code(secret, 1))


def test_the_notice_and_the_activity_page_name_both_ways(client, secret):
    client.post("/language/setlang/", {"language": "en"})
    sign_out(client)
    sign_in(client)
    enter_code(client, code(secret, 1))
    assert (last().method, last().second_factor, last().ways) == ("password", "code", "password and code")
    assert b"password and code" in client.get("/accounts/activity/").content
    payload = JobLog.objects.get(job_id=last().job_id).payload
    content = write_content({**payload, "locale": "en"})
    assert (content.values["way"], content.advice) == ("Password and a code", "factor")


def test_a_code_signs_in_once(client, secret):
    sign_out(client)
    other = browser(FIREFOX)
    for visitor in (client, other):
        sign_in(visitor)
    assert enters(client, code(secret, 1))
    assert not enters(other, code(secret, 1))


def test_the_code_that_added_the_app_does_not_sign_in(client, secret):
    sign_out(client)
    sign_in(client)
    assert not enters(client, code(secret))


def test_a_slow_clock_is_forgiven_and_a_stopped_one_is_not(bat, client):
    confirm(client)
    secret = read_secret(client.get(ADD_APP))
    assert client.post(ADD_APP, {"code": code(secret, -3)}).status_code == 200
    assert client.post(ADD_APP, {"code": code(secret, -1)}).status_code == 302


def test_a_recovery_code_signs_in_once_and_is_emailed(bat, client, secret):
    EmailAddress.objects.create(user=bat, email="second@example.mn", verified=True)
    kept = recovery_codes(client)
    assert len(kept) == 10
    sign_out(client)
    sign_in(client)
    assert enters(client, kept[3])
    assert last().second_factor == "recovery_code"
    assert sorted(mails("recovery_code_used")) == ["bat@example.mn", "second@example.mn"]
    sign_out(client)
    sign_in(client)
    assert not enters(client, kept[3])


def test_new_recovery_codes_replace_the_old_ones(client, secret):
    old = recovery_codes(client)
    client.post(MAKE_CODES)
    assert set(recovery_codes(client)).isdisjoint(old)
    sign_out(client)
    sign_in(client)
    assert not enters(client, old[0])


def test_a_second_step_has_the_budget_of_its_account(bat, client, secret):
    stranger = browser(FIREFOX, "198.51.100.9")
    sign_in(stranger)
    given = [enter_code(stranger, f"{n:06}").status_code for n in range(21)]
    assert given == [200] * 20 + [429]
    assert enter_code(stranger, code(secret, 1)).status_code == 429
    sign_out(client)
    sign_in(client)
    assert enters(client, code(secret, 1)), "a stranger used up the budget of the user's own device"


def test_no_secret_is_stored_in_the_clear(bat, client):
    confirm(client)
    pending = read_secret(client.get(ADD_APP))
    session = Session.objects.get(user_id=bat.pk).get_decoded()
    assert pending not in str(session)
    client.post(ADD_APP, {"code": code(pending)})
    stored = str(list(Authenticator.objects.values_list("data", flat=True)))
    assert pending not in stored
    assert stored.count("gAAAAA") == 2, "the seeds of the app and of the recovery codes are encrypted"


def test_the_picture_is_for_the_session_that_adds_the_app(client):
    assert client.get(PICTURE).status_code == 404
    assert browser().get(PICTURE).status_code == 302
    confirm(client)
    client.get(ADD_APP)
    picture = client.get(PICTURE)
    assert picture["Content-Type"] == "image/svg+xml"
    assert "no-store" in picture["Cache-Control"]
    assert b"<svg" in picture.content
    add_app(client)
    assert client.get(PICTURE).status_code == 404


def test_a_change_asks_for_the_factor_and_not_for_the_password(bat, client, secret):
    sign_out(client)
    sign_in(client)
    enter_code(client, code(secret, 1))
    assert client.get(REMOVE_APP).url.startswith("/accounts/2fa/reauthenticate/")
    assert confirm(client).url.startswith("/accounts/2fa/reauthenticate/"), "the password is not enough"
    assert client.post(REMOVE_APP).status_code == 302
    assert credentials.has_factor(bat)
    client.post("/accounts/2fa/reauthenticate/", {"code": recovery_codes_of(bat)[0]})
    client.post(REMOVE_APP)
    assert not credentials.has_factor(bat)


def recovery_codes_of(user):
    return Authenticator.objects.get(user=user, type="recovery_codes").wrap().get_unused_codes()


def test_every_change_is_in_the_history(bat, client, secret):
    factors = Credential.objects.filter(user=bat).exclude(kind="address")
    assert sorted(factors.values_list("kind", "state")) == [("recovery_codes", "current"), ("totp", "current")]
    assert authenticators.remove_all_factors(bat) == 2
    assert set(factors.values_list("state", flat=True)) == {"leaving"}
    assert authenticators.remove_all_factors(bat) == 0


def test_a_held_factor_is_restored_with_its_codes(bat, client, secret):
    row = Authenticator.objects.get(user=bat, type="totp")
    sealed = authenticators.hold(bat, str(row.pk))
    assert not credentials.has_factor(bat)
    assert authenticators.hold(bat, str(row.pk)) == {}
    authenticators.restore(bat, str(row.pk), sealed)
    authenticators.restore(bat, str(row.pk), sealed)
    assert Authenticator.objects.get(user=bat, type="totp").pk == row.pk
    assert Credential.objects.get(user=bat, kind="totp").state == "current"
    sign_out(client)
    sign_in(client)
    assert enters(client, code(secret, 1))


def test_an_account_is_deleted_with_its_factors(bat, client, secret):
    bat.delete()
    assert not Authenticator.objects.exists()
    assert not JobLog.objects.filter(user_id=str(bat.pk), job_type="security-mail", status="enqueued").exists()


def test_nothing_is_added_before_the_address_is_confirmed(bat, client):
    EmailAddress.objects.create(user=bat, email=bat.email, verified=False)
    for path in (ADD_APP, "/accounts/2fa/webauthn/add/"):
        assert client.get(path).url == "/accounts/2fa/"


def test_an_account_without_a_password_is_asked_for_github_again(bat, client):
    bat.set_unusable_password()
    bat.save()
    SocialAccount.objects.create(user=bat, provider="github", uid="7")
    client.force_login(bat)
    assert client.get(ADD_APP).url.startswith("/accounts/check/github/")


def test_a_factor_whose_key_is_lost_is_refused_clearly(client, secret, settings):
    sign_out(client)
    settings.SECRET_KEY = "another key " * 5
    sign_in(client)
    assert enter_code(client, code(secret, 1)).status_code == 200
    assert "log in" not in client.get("/accounts/activity/").content.decode()


HOSTILE = [
    "",
    "[]",
    "null",
    '"x"',
    "{",
    "{}",
    '{"id": 5, "rawId": [], "response": "x", "type": null}',
    '{"id": "AA", "rawId": "AA", "type": "public-key", "response": {"userHandle": 7}}',
    '{"id": "AA", "rawId": "AA", "type": "public-key", "response": {"clientDataJSON": "e30", "authenticatorData": "AA",'
    ' "signature": "AA", "userHandle": "AA"}}',
    '{"id": "AA", "rawId": "AA", "type": "public-key", "clientExtensionResults": {}, "response": {"clientDataJSON":'
    ' "eyJ0eXBlIjoid2ViYXV0aG4uZ2V0IiwiY2hhbGxlbmdlIjoiQUEiLCJvcmlnaW4iOiJodHRwOi8vdGVzdHNlcnZlciJ9",'
    ' "authenticatorData": "SZYN5YgOjGh0NBcPZHZgW4_krrmihjLHmVzzuoMdl2MFAAAAAQ", "signature": "AA",'
    ' "userHandle": "MQ"}}',
]


@pytest.mark.parametrize("credential", HOSTILE)
def test_no_response_of_a_passkey_breaks_a_page(client, credential):
    stranger = browser()
    stranger.get(PASSKEY_SIGN_IN, headers={"accept": "application/json"})
    assert stranger.post(PASSKEY_SIGN_IN, {"credential": credential}).url == "/accounts/login/"
    assert b'class="message error"' in stranger.get("/accounts/login/").content
    confirm(client)
    assert client.get("/accounts/2fa/webauthn/add/").status_code == 200
    assert client.post("/accounts/2fa/webauthn/add/", {"credential": credential, "name": "x"}).status_code == 200
    assert not Authenticator.objects.exists()


def test_a_sign_in_page_keeps_the_wanted_page_after_a_refused_passkey():
    answer = browser().post(PASSKEY_SIGN_IN, {"credential": "{}", "next": "/accounts/preferences/"})
    assert answer.url == "/accounts/login/?next=%2Faccounts%2Fpreferences%2F"


def test_recovery_codes_are_shown_after_a_check_alone(client, secret):
    sign_out(client)
    sign_in(client)
    enter_code(client, code(secret, 1))
    assert client.get(CODES).url.startswith("/accounts/2fa/reauthenticate/")
    assert PASSWORD not in client.get("/accounts/2fa/").content.decode()
