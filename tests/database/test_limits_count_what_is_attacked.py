"""Every form that takes a password or sends an email has a limit, and no stranger can use up another's."""

import re
from datetime import timedelta

import pytest
import time_machine
from allauth.account.models import EmailAddress
from django.urls import get_resolver

from accounts.sign_in import ratelimit
from accounts.sign_in.event import SignIn
from accounts.sign_in.sessions import Session
from accounts.user import User
from jobs.core.job import JobLog
from tests.support.people import FIREFOX, PASSWORD, browser, person, sign_in, sign_out

pytestmark = [pytest.mark.django_db, pytest.mark.slow]


@pytest.fixture(autouse=True)
def few(settings):
    settings.SIGN_IN_RATE_PER_NAME, settings.SIGN_IN_RATE_PER_ADDRESS = "3/5m", "50/5m"


@pytest.fixture
def bat():
    return person(is_staff=True, is_superuser=True)


def stranger(number: int = 0):
    """A browser that was never seen, on a network of its own."""
    return browser(address=f"198.51.100.{number}")


def login(client, password="wrong", login="bat", **more):
    return client.post("/accounts/login/", {"login": login, "password": password, **more})


def admin_login(client, password="wrong", username="bat", **more):
    return client.post("/admin/login/?next=/admin/", {"username": username, "password": password, **more})


NAMES = ["bat", "BAT", "  Bat ", " " * 300 + "bat"]
NAME_AND_ADDRESS = ["bat", "bat@example.mn", "BAT@EXAMPLE.MN", "bat"]
FULL_WIDTH = ["ｂａｔ", "bat", "ｂat", "baｔ"]
GUESSES = {
    "the name": lambda n: login(stranger(n)),
    "the name, a field of another form changing": lambda n: login(stranger(n), username=f"x{n}", email="x@a.mn"),
    "the name, written differently": lambda n: login(stranger(n), login=NAMES[n]),
    "the address": lambda n: login(stranger(n), login="bat@example.mn"),
    "name and address in turn": lambda n: login(stranger(n), login=NAME_AND_ADDRESS[n]),
    "the admin": lambda n: admin_login(stranger(n)),
    "the admin, a field of another form changing": lambda n: admin_login(stranger(n), login=f"x{n}", email="x@a.mn"),
    "the admin, in full-width letters": lambda n: admin_login(stranger(n), username=FULL_WIDTH[n]),
    "the admin, by the address": lambda n: admin_login(stranger(n), username="bat@example.mn"),
    "both forms in turn": lambda n: (login if n % 2 else admin_login)(stranger(n)),
    "a name that there is not": lambda n: login(stranger(n), login="unknown-name"),
    "an address that there is not": lambda n: login(stranger(n), login="unknown@example.mn"),
}


@pytest.mark.parametrize("form", GUESSES)
def test_the_fourth_wrong_password_of_an_account_is_refused_whatever_the_form_calls_it(bat, form):
    answers = [GUESSES[form](n).status_code for n in range(4)]
    assert answers == [200, 200, 200, 429]


@pytest.mark.parametrize("form", [form for form in GUESSES if "is not" not in form])
def test_the_owner_gets_in_on_her_device_from_another_network_whatever_strangers_did(bat, form):
    hers = browser()
    sign_in(hers)
    sign_out(hers)
    for n in range(4):
        GUESSES[form](n)
    hers.defaults["REMOTE_ADDR"] = "192.0.2.44"
    assert sign_in(hers).status_code == 302
    sign_out(hers)
    assert admin_login(hers, PASSWORD).status_code == 302
    assert sign_in(stranger(9)).status_code == 429, "a stranger who knows the password waits"


def test_without_the_cookie_a_network_from_which_she_signed_in_recently_has_a_budget_of_its_own(bat):
    sign_in(browser())
    for n in range(4):
        login(stranger(n))
    assert sign_in(browser(FIREFOX)).status_code == 302
    with time_machine.travel(timedelta(days=31)):
        for n in range(4):
            login(stranger(n))
        SignIn.objects.exclude(pk=SignIn.objects.earliest("at").pk).delete()
        assert sign_in(browser(FIREFOX)).status_code == 429, "that was too long ago"


def test_a_network_of_which_she_said_that_it_was_not_her_is_not_known(bat):
    sign_in(stranger(7))
    SignIn.objects.update(disputed_at="2026-01-01T00:00Z")
    for n in range(3):
        login(stranger(n))
    assert sign_in(stranger(7)).status_code == 429


def test_a_known_device_has_a_limit_too(bat):
    hers = browser()
    sign_in(hers)
    sign_out(hers)
    assert [login(hers).status_code for _ in range(4)] == [200, 200, 200, 429]
    assert sign_in(stranger()).status_code == 302, "and it takes nothing from the others"


def test_a_device_that_was_forgotten_is_a_strangers(bat):
    hers = browser()
    sign_in(hers)
    sign_out(hers)
    bat.devices.all().delete()
    hers.defaults["REMOTE_ADDR"] = "192.0.2.44"
    for n in range(3):
        login(stranger(n))
    assert sign_in(hers).status_code == 429


SIGNED_IN = {
    "reauthentication": lambda client, password: client.post("/accounts/reauthenticate/", {"password": password}),
    "a change of password": lambda client, password: client.post(
        "/accounts/password/change/", {"oldpassword": password, "password1": "x", "password2": "y"}
    ),
}


@pytest.mark.parametrize("form", SIGNED_IN)
@pytest.mark.parametrize("kept", ["sessionid", "sessionid and known_device"])
def test_a_stolen_session_guesses_no_more_than_anyone(bat, form, kept):
    thief = browser()
    sign_in(thief)
    for name in set(thief.cookies) - set(kept.split(" and ")):
        del thief.cookies[name]
    answers = []
    for n in range(4):
        thief.defaults["REMOTE_ADDR"] = f"198.51.100.{n}"
        answers.append(SIGNED_IN[form](thief, "wrong").status_code)
    assert answers == [200, 200, 200, 429]


@pytest.mark.parametrize("form", SIGNED_IN)
def test_strangers_keep_no_user_from_the_forms_of_the_signed_in(bat, form):
    hers = browser()
    sign_in(hers)
    for n in range(4):
        login(stranger(n))
    assert SIGNED_IN[form](hers, "wrong").status_code == 200


def test_the_admins_own_form_for_a_new_password_leads_to_the_one_that_counts(bat):
    hers = browser()
    sign_in(hers)
    for send in (hers.get, hers.post):
        answer = send("/admin/password_change/")
        assert (answer.status_code, answer.url) == (302, "/accounts/password/change/")


IMPOSSIBLE = {
    "no password": lambda: login(stranger(), ""),
    "no password at the admin": lambda: admin_login(stranger(), ""),
    "no name": lambda: login(stranger(), "x", ""),
    "a name with NUL": lambda: login(stranger(), "x", "bat\0"),
    "a name that is too long": lambda: admin_login(stranger(), "x", "bat" * 99),
    "only the field of another form": lambda: stranger().post("/accounts/login/", {"username": "bat", "password": "x"}),
    "no token of the form": lambda: _strict().post("/accounts/login/", {"login": "bat", "password": "x"}),
    "a password that is right": lambda: sign_in(stranger()),
    "a password that is right, at the admin": lambda: admin_login(stranger(), PASSWORD),
}


def _strict():
    client = stranger()
    client.handler.enforce_csrf_checks = True
    return client


@pytest.mark.parametrize("attempt", IMPOSSIBLE)
def test_an_attempt_that_guesses_nothing_is_not_counted(bat, attempt):
    assert 429 not in {IMPOSSIBLE[attempt]().status_code for _ in range(9)}
    SignIn.objects.all().delete()  # else the network would be known
    assert [login(stranger()).status_code for _ in range(4)] == [200, 200, 200, 429]


def test_a_hundred_failures_in_a_row_from_unknown_devices_are_the_last(bat):
    hers = browser()
    sign_in(hers)
    sign_out(hers)
    asked = 0
    for hour in range(40):
        with time_machine.travel(timedelta(hours=hour), tick=False):
            asked += sum(login(stranger(n)).status_code == 200 for n in range(4))
    assert asked == ratelimit.IN_A_ROW == 100
    with time_machine.travel(timedelta(days=99)):
        answer = login(stranger(), PASSWORD)
        assert answer.status_code == 429, "waiting does not help a stranger"
        assert "/accounts/password/reset/" in answer.content.decode(), "but the user is shown a way"
    assert sign_in(hers).status_code == 302
    assert login(stranger()).status_code == 200, "her sign-in ends the row"


def test_a_new_password_begins_a_new_row(bat, settings):
    settings.SIGN_IN_RATE_PER_NAME = "1000/5m"
    settings.SIGN_IN_RATE_PER_ADDRESS = "1000/5m"
    for _ in range(100):
        login(stranger())
    assert login(stranger(), PASSWORD).status_code == 429
    bat.set_password("brand-New-horses")
    bat.save()
    assert login(stranger(), "brand-New-horses").status_code == 302


def reset(client, email="bat@example.mn", **more):
    return client.post("/accounts/password/reset/", {"email": email, **more})


def add_address(client, email, **more):
    return client.post("/accounts/email/", {"action_add": "", "email": email, **more})


def resend(client, email):
    return client.post("/accounts/email/", {"action_send": "", "email": email})


def sign_up(number, email):
    body = {"username": f"new{number}", "email": email, "password1": PASSWORD}
    return stranger(number).post("/accounts/signup/", body)


@pytest.mark.parametrize("more", [{}, {"login": "x{n}"}, {"username": "x{n}"}])
def test_resets_are_limited_for_each_address_from_wherever_they_are_asked_for(bat, more):
    fields = [{name: value.format(n=n) for name, value in more.items()} for n in range(5)]
    answers = [reset(stranger(n), **fields[n]).status_code for n in range(5)]
    assert answers == [302, 302, 302, 429, 429]
    assert JobLog.objects.filter(payload__kind="password_reset").count() == 3


def test_a_script_that_asks_for_json_is_counted_too(bat):
    answers = [
        stranger(n)
        .post("/accounts/password/reset/", {"email": bat.email}, headers={"x-requested-with": "XMLHttpRequest"})
        .status_code
        for n in range(4)
    ]
    assert answers == [200, 200, 200, 429]


def test_a_reset_that_names_no_address_is_not_counted(bat):
    for wrong in ("", "not an address", "@", "bat@example.mn x") * 3:
        assert reset(stranger(), wrong).status_code == 200
    assert reset(stranger()).status_code == 302


def test_requests_are_limited_for_each_requester(bat, settings):
    settings.SIGN_IN_RATE_PER_ADDRESS = "4/5m"
    assert [reset(stranger(), f"a{n}@example.mn").status_code for n in range(5)] == [302] * 4 + [429]
    assert reset(stranger(1)).status_code == 302


def test_a_stranger_who_signs_up_again_and_again_does_not_fill_anothers_mailbox():
    for n in range(9):
        sign_up(n, "victim@example.mn")
    assert JobLog.objects.filter(payload__email="victim@example.mn").count() <= 3


def test_confirmations_are_limited_for_each_address_and_each_account(bat):
    hers = browser()
    sign_in(hers)
    hers.post("/accounts/reauthenticate/", {"password": PASSWORD})
    EmailAddress.objects.create(user=bat, email="new@example.mn", verified=False)
    assert [resend(hers, "new@example.mn").status_code for _ in range(4)] == [302, 302, 302, 429]
    assert hers.post("/accounts/email/", {"action_primary": "", "email": bat.email}).status_code == 302


def challenge(client, **headers):
    return client.get("/accounts/2fa/webauthn/login/", headers={"accept": "application/json", **headers})


def test_sessions_with_a_passkeys_challenge_are_limited_for_each_network(settings):
    settings.SIGN_IN_RATE_PER_ADDRESS = "3/5m"
    answers = [challenge(stranger()) for _ in range(4)]
    assert [answer.status_code for answer in answers] == [200, 200, 200, 429]
    assert answers[-1]["Retry-After"]
    assert Session.objects.count() == 3, "above the limit no session begins"
    assert challenge(stranger(1)).status_code == 200, "another network has its own limit"


def test_a_page_that_begins_no_session_is_not_counted(settings):
    settings.SIGN_IN_RATE_PER_ADDRESS = "3/5m"
    assert {challenge(stranger(), accept="text/html").status_code for _ in range(5)} == {302}
    assert challenge(stranger()).status_code == 200


LIMITED = {  # what takes a password, has an email sent or begins an anonymous session, by the limit that counts it
    "admin/login/": "guesses",
    "accounts/login/": "guesses",
    "accounts/reauthenticate/": "guesses",
    "accounts/password/change/": "guesses",
    "accounts/2fa/authenticate/": "guesses",
    "accounts/2fa/reauthenticate/": "guesses",
    "accounts/2fa/webauthn/login/": "challenges",
    "accounts/signup/": "requests",
    "accounts/lost-factor/": "requests",
    "accounts/password/reset/": "requests",
    "accounts/email/": "requests",
    "accounts/3rdparty/signup/": "requests",
}
WITHOUT_A_LIMIT = {  # every other page of an account, by why it needs none
    "opened with a link from a mailbox": """
        accounts/confirm-email/<key>/ accounts/not-me/<str:token>/ accounts/unsubscribe/<str:token>/
        accounts/notices/off/<str:token>/ accounts/cancel/<str:token>/ accounts/lost-factor/<str:token>/
        accounts/password/reset/key/<uidb36>-<key>/ accounts/password/reset/key/done/""",
    "part of signing in by a code, which is turned off": "accounts/login/code/confirm/",
    "for accounts without a password": "accounts/password/set/",
    "takes no password; its security email has a limit of its own": "accounts/3rdparty/",
    "leads to accounts/reauthenticate/ for the password": "accounts/preferences/ accounts/data/ accounts/delete/",
    "takes a passkey, which cannot be guessed": "accounts/2fa/webauthn/reauthenticate/",
    "changes a factor, after a check of its own; its security email has a limit of its own": """
        accounts/2fa/totp/activate/ accounts/2fa/totp/deactivate/ accounts/2fa/webauthn/add/
        accounts/2fa/webauthn/keys/<int:pk>/remove/ accounts/2fa/webauthn/keys/<int:pk>/edit/
        accounts/2fa/recovery-codes/generate/""",
    "takes no password and sends no email": """
        accounts/2fa/ accounts/2fa/totp/picture/ accounts/2fa/webauthn/
        accounts/2fa/recovery-codes/ accounts/2fa/recovery-codes/download/
        accounts/deleting/
        accounts/logout/ accounts/inactive/ accounts/confirm-email/ accounts/password/reset/done/
        accounts/3rdparty/login/cancelled/ accounts/3rdparty/login/error/
        accounts/social/login/cancelled/ accounts/social/login/error/
        accounts/social/signup/ accounts/social/connections/
        accounts/github/login/ accounts/github/login/callback/ accounts/email/works-again/
        accounts/activity/ accounts/activity/end-all/ accounts/activity/<uuid:sign_in>/end/
        accounts/activity/<uuid:sign_in>/not-me/ accounts/devices/<int:device>/forget/
        accounts/check/ accounts/check/github/ accounts/security/ accounts/notices/""",
    "asks for a fresh check first; its security email has a limit of its own": """
        accounts/changes/ accounts/changes/rights/ accounts/changes/<uuid:change>/
        accounts/changes/held/<int:entry>/""",
}


TURNED_OFF = {"accounts/reauthenticate/code/", "accounts/reauthenticate/code/confirm/"}  # allauth 65.22 adds them


def test_a_check_by_a_code_from_a_mailbox_is_turned_off(bat):
    client = browser()
    sign_in(client)
    assert {client.post(f"/{path}").status_code for path in TURNED_OFF} <= {403, 404}


def test_every_form_is_in_this_table():
    """A new page of an account fails here until it has a limit, or a reason why it needs none."""
    seen = dict(_limits(get_resolver().url_patterns))
    needless = [path for paths in WITHOUT_A_LIMIT.values() for path in paths.split()]
    assert {path for path in seen if path.startswith("accounts/")} - TURNED_OFF == {*needless, *LIMITED} - {
        "admin/login/"
    }
    assert {path: limit for path, limit in seen.items() if limit} == LIMITED


def _limits(patterns, before=""):
    """Every address of the site with its limit; of two patterns for one address the first."""
    found = {}
    for pattern in patterns:
        path = before + str(pattern.pattern).replace("^", "").replace("$", "")
        path = re.sub(r"\(\?P<(\w+)>(\[[^]]*\]|[^)])*\)", r"<\1>", path)
        if hasattr(pattern, "url_patterns"):
            for inner, limit in _limits(pattern.url_patterns, path).items():
                found.setdefault(inner, limit)
        else:
            found.setdefault(path, getattr(pattern.callback, "limits", ""))
    return found


def test_no_email_of_the_form_is_needed_for_a_user_without_a_cache(bat, settings, transactional_db):
    settings.CACHES = {
        **settings.CACHES,
        "default": {"BACKEND": "django.core.cache.backends.db.DatabaseCache", "LOCATION": "no_such_table"},
    }
    assert reset(stranger()).status_code == 302
    assert sign_in(stranger()).status_code == 302
    assert User.objects.count() == 1
