"""Accounts for the tests, and browsers of Django's test client that sign in to them."""

import re
from datetime import timedelta
from html import unescape

from django.contrib.auth.hashers import PBKDF2PasswordHasher
from django.db.models import F
from django.http import HttpResponse
from django.test import Client

from accounts.sign_in.event import SignIn
from accounts.sign_in.known_devices import Device
from accounts.user import User
from jobs.core.job import JobLog
from tests.support.site import Site

CHROME = (
    "Mozilla/5.0 (Windows NT 10.0; Win64; x64) AppleWebKit/537.36 (KHTML, like Gecko) Chrome/126.0.0.0 Safari/537.36"
)
NEWER_CHROME = CHROME.replace("126.0", "131.0")
FIREFOX = "Mozilla/5.0 (X11; Linux x86_64; rv:128.0) Gecko/20100101 Firefox/128.0"
SAFARI = (
    "Mozilla/5.0 (iPhone; CPU iPhone OS 17_5 like Mac OS X) AppleWebKit/605.1.15 (KHTML, like Gecko) "
    "Version/17.5 Mobile/15E148 Safari/604.1"
)
PASSWORD = "seven-Steppe-horses"


def person(name: str = "bat", **more: object) -> User:
    """An account that an operator made."""
    return User.objects.create_user(name, f"{name}@example.mn", PASSWORD, **more)


def browser(user_agent: str = CHROME, address: str = "203.0.113.7") -> Client:
    """A browser with cookies of its own."""
    return Client(headers={"user-agent": user_agent}, REMOTE_ADDR=address)


def sign_in(client: Client, name: str = "bat", password: str = PASSWORD) -> HttpResponse:
    """The answer to the sign-in form."""
    return client.post("/accounts/login/", {"login": name, "password": password})


def signed_in_browser(user_agent: str = CHROME) -> Client:
    """A browser in which `bat` is signed in."""
    client = browser(user_agent)
    sign_in(client)
    return client


def text_of(client: Client, path: str) -> str:
    """What a page says in English, in one line."""
    answer = client.get(path, headers={"accept-language": "en"})
    assert answer.status_code == 200
    return unescape(re.sub(r"\s+", " ", re.sub(r"<[^>]*>", " ", answer.content.decode())))


def sign_out(client: Client) -> None:
    """Signs out as the button does: other cookies stay."""
    client.post("/accounts/logout/")


def last() -> SignIn:
    """The newest sign-in."""
    return SignIn.objects.latest("at")


def settle(site: Site, name: str, *, staff: bool = False) -> None:
    """An account with one old sign-in, in the database of a site that runs."""
    [(pk,)] = site.sql(
        "INSERT INTO accounts_user (username, email, password, first_name, last_name, is_superuser, is_staff,"
        " is_active, date_joined, language, time_zone, notify_sign_ins)"
        " VALUES (%s, %s, %s, '', '', %s, %s, true, now(), '', '', true) RETURNING id",
        name,
        f"{name}@example.mn",
        PBKDF2PasswordHasher().encode(PASSWORD, "salt"),
        staff,
        staff,
    )
    site.sql(
        "INSERT INTO accounts_signin (id, at, user_id, method, ip, browser, system, email, language, time_zone,"
        " new_device, more_sign_ins, notice, dispute_pending, vouched)"
        " VALUES (gen_random_uuid(), now() - interval '2 days', %s,"
        " 'github', '2001:db8:85a3::8a2e:370:7334', 'Mobile Safari', 'iOS', '', 'mn', 'Asia/Hovd', true, 0, 'limited',"
        " false, false)",
        pk,
    )


def let_time_pass(**how_much: float) -> None:
    """Everything that is recorded of sign-ins and jobs becomes older by a timedelta of these values."""
    span = timedelta(**how_much)
    SignIn.objects.update(at=F("at") - span)
    Device.objects.update(first_at=F("first_at") - span, last_at=F("last_at") - span)
    User.objects.filter(last_login__isnull=False).update(last_login=F("last_login") - span)
    JobLog.objects.update(created_at=F("created_at") - span)
