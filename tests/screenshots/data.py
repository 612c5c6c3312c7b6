"""The people, sign-ins, jobs and sites of the pictures: invented, the same in each run.

It is imported when Django's settings name that database (tests/screenshots/__main__.py).
"""

import io
from datetime import datetime, timedelta
from typing import Any

from allauth.account.models import EmailAddress
from allauth.mfa.recovery_codes.internal.auth import RecoveryCodes
from allauth.mfa.totp.internal.auth import TOTP, generate_totp_secret
from django.core.management import call_command
from django.test import Client
from django.utils import timezone

from accounts.links import dispute_links
from accounts.sign_in.event import NoticeStatus, SignIn
from accounts.sign_in.known_devices import Device
from accounts.sites.api_requests import ApiRequest
from accounts.sites.keys import ApiKey
from accounts.sites.sign_ins import SiteSignIn, record_site_sign_in
from accounts.sites.site import Site
from accounts.suppression import entries
from accounts.user import User
from jobs.core import pauses
from jobs.core.errors import ErrorClass, Failure
from jobs.core.job import JobLog, Status
from jobs.maintenance.faults import Faults
from jobs.queue import actions
from jobs.schedules.ticker import Ticker
from tests.support.events import endpoint_of
from tests.support.operators import job, tried

OPERATOR, READER, NEWCOMER = "saraa", "bat", "oyuna"
NAMES = {OPERATOR: ("Сараа", "Болд"), READER: ("Бат-Эрдэнэ", "Дорж"), NEWCOMER: ("Оюун", "Ганбат")}
SHOP = {"name": "Mountain Shop", "url": "https://shop.example", "secure_url": "https://shop.example/security"}
SHOP |= {"support_email": "help@shop.example", "colour": "#0055aa", "language": "en"}
SIGN_INS = (  # hours ago, method, browser, system, address, country, new device
    (1, "passkey", "Safari", "iOS", "203.0.113.7", "MN", False),
    (7, "password", "Chrome", "Windows", "198.51.100.23", "MN", False),
    (8, "password", "Chrome", "Windows", "198.51.100.23", "MN", False),
    (30, "github", "Firefox", "Linux", "2001:db8:85a3::8a2e:370:7334", "DE", True),
    (54, "password", "Chrome", "Windows", "198.51.100.23", "MN", False),
    (250, "password", "Chrome Mobile", "Android", "192.0.2.44", "MN", True),
    (700, "github", "Chrome", "Windows", "198.51.100.23", "MN", False),
)


def make_people() -> dict[str, int]:
    """Create the operator and two users; return their keys by name."""
    keys = {}
    for name, (first, last) in NAMES.items():
        staff = name == OPERATOR
        user = User.objects.create_user(
            name, f"{name}@example.mn", "seven-Steppe-horses", first_name=first, last_name=last, is_staff=staff
        )
        User.objects.filter(pk=user.pk).update(is_superuser=staff)
        EmailAddress.objects.update_or_create(user=user, email=user.email, defaults={"verified": True, "primary": True})
        keys[name] = user.pk
    return keys


def session_of(name: str) -> str:
    """Sign a user in; return the value of the session's cookie."""
    client = Client()
    user = User.objects.get(username=name)
    client.force_login(user, backend="django.contrib.auth.backends.ModelBackend")
    SignIn.objects.filter(user=user).update(browser="Firefox", system="Linux", ip="203.0.113.7", method="password")
    return next(cookie.value for key, cookie in client.cookies.items() if "sessionid" in key)


def fill() -> dict[str, str]:
    """Write what a site has after a month; return the parts of paths that pages.py names."""
    now, reader = timezone.now(), User.objects.get(username=READER)
    call_command("seed", jobs=6000, days=8, yes=True, stdout=io.StringIO())
    Ticker(Faults()).tick_all()
    for sign_in in _sign_ins(reader, now):
        sign_in.save(force_insert=True)
    TOTP.activate(reader, generate_totp_secret())
    RecoveryCodes.activate(reader)
    seen = SignIn.objects.filter(user=reader, new_device=True).latest("at")
    dead = _dead_letter(reader, seen, now)
    done = JobLog.objects.filter(status=Status.COMPLETED).latest("pk")
    return {"dead": str(dead.pk), "done": str(done.pk), "sign_in": str(seen.pk), **_links(seen), **_shop(now)}


def _sign_ins(user: User, now: datetime) -> list[SignIn]:
    made = []
    for hours, method, browser, system, ip, country, new in SIGN_INS:
        at = now - timedelta(hours=hours)
        made.append(
            SignIn(
                user=user, at=at, method=method, browser=browser, system=system, ip=ip, country=country,
                new_device=new, language="mn", time_zone="Asia/Ulaanbaatar", email=user.email,
                notice=NoticeStatus.QUEUED if new else NoticeStatus.LIMITED,
            )
        )  # fmt: skip
        if new or method == "passkey":
            Device.objects.create(
                user=user, browser=browser, system=system, secret=f"{hours:064x}", first_at=at, last_at=at
            )
    return made


def _dead_letter(user: User, seen: SignIn, now: datetime) -> JobLog:
    """Return the notice of a sign-in that the mail server refused five times."""
    payload = {"email": user.email, "name": user.first_name, "signInId": str(seen.pk), "locale": "mn"}
    payload |= {"provider": "github", "browser": "Firefox", "system": "Linux", "ipAddress": seen.ip, "newDevice": True}
    payload |= {"timestamp": seen.at.isoformat(), "timezone": "Asia/Ulaanbaatar", "userId": str(user.pk)}
    refused = "451 4.7.1 Greylisting in action, please come back later"
    values: dict[str, Any] = {"fingerprint": "SMTP 451", "error": refused, "error_class": "temporary"}
    found = job(seen.job_id, user_id=str(user.pk), payload=payload, replayed_automatically=True, **values)
    JobLog.objects.filter(pk=found.pk).update(created_at=seen.at, processed_at=seen.at + timedelta(seconds=31))
    found.refresh_from_db()
    for number in range(1, 6):
        tried(found, number, error_code=451, **values)
    return found


def _links(seen: SignIn) -> dict[str, str]:
    """Return the paths of the links in an email about a sign-in."""
    link = dispute_links.dispute_link(str(seen.pk), seen.email)
    return {"dispute": link.partition("/accounts/")[2]}


def _shop(now: datetime) -> dict[str, str]:
    """Make another site with a key, requests, an endpoint and a sign-in; return the parts of its paths."""
    site = Site.objects.make("shop", who=OPERATOR, **SHOP)
    key = ApiKey.objects.find(ApiKey.objects.make("web", ["enqueue", "read"], who=OPERATOR, site=site))
    unused = ApiKey.objects.find(ApiKey.objects.make("app", ["read"], who=OPERATOR, site=site))
    assert key is not None
    assert unused is not None
    answers = ((0, 202, "", 41), (1, 202, "", 38), (3, 429, "too-many-requests", 6), (9, 422, "invalid", 1))
    for minutes, status, problem, count in answers:
        at = now.replace(second=0, microsecond=0) - timedelta(minutes=minutes)
        route = "api/jobs/signin-notification"
        ApiRequest.objects.create(
            key=key, minute=at, method="POST", route=route, status=status, problem=problem, count=count
        )
    endpoint_of("https://shop.example/events")
    agent = "Mozilla/5.0 (Macintosh; Intel Mac OS X 14_5) AppleWebKit/605.1.15 Version/17.5 Safari/605.1.15"
    posted = SiteSignIn("42", "dorj@example.mn", "Dorj", "google", "203.0.113.9", agent, now.isoformat(), "en", None)
    stored = record_site_sign_in(posted, site)
    seen = SignIn.objects.get(pk=stored.payload["signInId"])
    link = dispute_links.dispute_link(str(seen.pk), seen.email)
    return {
        "shop": str(site.pk), "key": str(key.pk), "unused": str(unused.pk), "elsewhere": str(seen.pk),
        "shop_dispute": link.partition("/accounts/")[2],
    }  # fmt: skip


def break_it() -> None:
    """Have an address bounce, a breaker open and a lane paused. The worker is stopped elsewhere."""
    entries.suppress(f"{READER}@example.mn", "bounced", reported_by="Postmark", at=timezone.now())
    wrong = Failure(ErrorClass.CONFIGURATION, "SMTP 535", 535, "535 5.7.8 Authentication credentials invalid", "")
    pauses.open_breaker("signin-notification", wrong)
    until = timezone.now() + timedelta(hours=1)
    actions.pause("account-mail", who=OPERATOR, why="a wrong text in the email", until=until)
