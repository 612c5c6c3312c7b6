"""Recording one sign-in: who, when, how and from where, how unusual it is, and enqueuing its notice."""

from functools import cache
from typing import Any

import structlog
from allauth.account.authentication import get_authentication_records
from django.conf import settings
from django.db import connection, transaction
from django.http import HttpRequest
from django.urls import reverse
from django.utils import timezone
from django.utils.translation import get_language

from accounts.mail import dates, geoip, user_agents
from accounts.sign_in import history, known_devices, networks, outbox, ratelimit, risk, sessions
from accounts.sign_in.event import NoticeStatus, SignIn
from accounts.sign_in.history import SignInHistory
from accounts.sign_in.known_devices import Device
from accounts.user import User
from jobs.core import sql

log = structlog.get_logger("accounts")

SECOND_FACTORS = {  # by allauth's types
    "totp": SignIn.SecondFactor.CODE,
    "webauthn": SignIn.SecondFactor.PASSKEY,
    "recovery_codes": SignIn.SecondFactor.RECOVERY_CODE,
}


def record_sign_in(user: User, request: HttpRequest | None) -> SignIn:
    """Write the SignIn, its device and the jobs of its notice, in the caller's transaction.

    When the queue's tables do not work, the notice stays "pending": the reconciler enqueues it later.
    """
    sign_in = describe_sign_in(user, request)
    flush = connection.in_atomic_block or not hasattr(request, "session")
    try:
        with transaction.atomic():
            _record(sign_in, request, enqueue=True, flush=flush)
    except Exception:  # the sign-in is recorded, whatever is wrong with its notice
        log.exception("notice could not be enqueued, recording the sign-in without it", job_id=sign_in.job_id)
        with transaction.atomic():
            _record(sign_in, request, enqueue=False, flush=flush)
    return sign_in


def _record(sign_in: SignIn, request: HttpRequest | None, *, enqueue: bool, flush: bool) -> None:
    """Judge the sign-in by those before it, enqueue its notice, and write the row and the device.

    flush: whether the commit waits for the disk. It need not when the sign-in's session is saved after it: that waits
    for both, and without its session there was no sign-in.
    """
    secret = known_devices.read_secret(sign_in.user, request)
    hashes = networks.hash_network(str(sign_in.user_id), sign_in.ip or "")
    before = history.load_history(sign_in, [known_devices.hash_secret(secret)], hashes)
    sign_in.network = hashes[0]
    judge(sign_in, before, ratelimit.failures_before(request, sign_in.user))
    device = _device(sign_in, request, before, secret)
    with sql.one_round_trip():
        sign_in.notice = _notify(sign_in, before, enqueue=enqueue)
        if device:
            known_devices.remember_device(device, sign_in.at)
        sign_in.insert()
        sql.end_short_waits(before.lock_timeout, flush=flush)
    _mark(request, sign_in, device)


def judge(sign_in: SignIn, before: SignInHistory, failures: int = 0) -> None:
    """Write the verdict on the device and the signals into the sign-in. failures: wrong passwords before it."""
    past = before.past
    sign_in.at = before.now
    sign_in.new_device = risk.is_new_device(past)
    sign_in.signals = risk.find_signals(risk.Attempt(before.now, sign_in.country, failures), past)
    sign_in.vouched = not past.seen or (before.device is not None and before.device.vouches(before.now))
    sign_in.more_sign_ins = before.limited


def _notify(sign_in: SignIn, before: SignInHistory, *, enqueue: bool) -> NoticeStatus:
    """Enqueue the notice, unless none is due, and return its state."""
    recipients = before.recipients(sign_in.email, everyone=sign_in.is_alert)
    if not recipients:
        return NoticeStatus.UNVERIFIED if sign_in.email else NoticeStatus.NO_ADDRESS
    if not (sign_in.user.notify_sign_ins or sign_in.is_alert):
        return NoticeStatus.OPTED_OUT
    sign_in.email = recipients[0]
    return outbox.enqueue(sign_in, recipients) if enqueue else NoticeStatus.PENDING


def _device(sign_in: SignIn, request: HttpRequest | None, before: SignInHistory, secret: str) -> Device | None:
    """Return the device of the cookie, or a new one; None when code signed the user in."""
    if request is None or sign_in.method == SignIn.Method.CODE:
        return None
    if before.device is None:
        families = (sign_in.browser, sign_in.system)
        return known_devices.make_device(sign_in.user, *families, first_of_account=not before.past.seen)
    before.device.user, before.device.cookie = sign_in.user, secret
    return before.device


def _mark(request: HttpRequest | None, sign_in: SignIn, device: Device | None) -> None:
    """Store the sign-in in its session, and the device for the middleware."""
    if request is None:
        return
    setattr(request, known_devices.DEVICE_ATTRIBUTE, device)
    if hasattr(request, "session"):
        request.session[sessions.SESSION_SIGN_IN] = str(sign_in.pk)


def describe_sign_in(user: User, request: HttpRequest | None) -> SignIn:
    """Return the sign-in of the request, not saved.

    Values from the client are checked and cut.
    """
    sent = request.META if request else {}
    browser, system = user_agents.parse_families(sent.get("HTTP_USER_AGENT", ""))
    address = _address(request)
    records = get_authentication_records(request, user) if request and hasattr(request, "session") else []
    method, second_factor = _ways(request, records)
    return SignIn(
        user=user,
        at=timezone.now(),
        email=user.email,
        method=method,
        second_factor=second_factor,
        made_with=_made_with(records),
        ip=address,
        country=geoip.country_code(address or ""),
        browser=browser,
        system=system,
        language=_language(user),
        time_zone=dates.get_zone(user.time_zone).key,
    )


def _ways(request: HttpRequest | None, records: list[dict[str, Any]]) -> tuple[SignIn.Method, str]:
    """Return how the user signed in, and the second factor, "" without one.

    records: allauth's, which identify GitHub and the factors. The path identifies the admin. Without a request, code
    started the sign-in.
    """
    if request is None or not request.path:
        return SignIn.Method.CODE, ""
    first: dict[str, Any] = next((one for one in reversed(records) if one.get("method") != "mfa"), {})
    last: dict[str, Any] = records[-1] if records else {}
    if last.get("passwordless"):
        return SignIn.Method.PASSKEY, ""
    second = SECOND_FACTORS.get(last.get("type", ""), "") if last.get("method") == "mfa" else ""
    if request.path.startswith(_admin_pages()):
        return SignIn.Method.ADMIN, second
    return SignIn.Method.GITHUB if first.get("provider") == "github" else SignIn.Method.PASSWORD, second


@cache
def _admin_pages() -> str:
    """Return the path below which the admin's pages are."""
    return reverse("admin:index")


def _made_with(records: list[dict[str, Any]]) -> str:
    """Return the reference of the GitHub account or passkey that made the sign-in; "" for another method."""
    first = [record for record in records if record.get("method") != "mfa" or record.get("passwordless")]
    return str(first[-1].get("uid") or first[-1].get("id") or "") if first else ""


def _address(request: HttpRequest | None) -> str | None:
    """Return REMOTE_ADDR if it is an IP address, in its usual spelling.

    Return None for a unix socket or a test client.
    """
    found = networks.parse_address(request.META.get("REMOTE_ADDR", "")) if request else None
    return str(found) if found else None


def _language(user: User) -> str:
    """Return the user's choice, else the language of the sign-in, else the site's."""
    known = dict(settings.LANGUAGES)
    return next((code for code in (user.language, get_language()) if code in known), settings.LANGUAGE_CODE)
