"""Recording one sign-in: who, when, how, from where, and what becomes of its notice."""

import ipaddress
from collections.abc import Iterator
from contextlib import contextmanager

import structlog
from allauth.account.authentication import get_authentication_records
from django.conf import settings
from django.db import Error, connection, transaction
from django.http import HttpRequest
from django.urls import reverse
from django.utils import timezone
from django.utils.translation import get_language

from accounts import devices, history, known_devices, moments, notices, sessions
from accounts.models import Device, Notice, SignIn, User
from jobs import queue

log = structlog.get_logger("accounts")

PATIENCE_MS = 250  # the longest a sign-in waits for a lock that somebody else holds on our tables


def record(user: User, request: HttpRequest | None) -> SignIn:
    """Writes the SignIn and, with it, the job of its notice; the same transaction as the caller's.

    A queue that cannot be written to leaves the notice "owed": the reconciler enqueues it later.
    """
    sign_in = describe(user, request)
    with impatient_transaction():
        before = history.of(sign_in, known_devices.named(user, request))
        sign_in.new_device = before.seen and not before.known
        sign_in.more_sign_ins = before.untold
        sign_in.notice = _notify(sign_in, before.verified)
        sign_in.save(force_insert=True)
        _mark(request, sign_in, known_devices.remember(sign_in))
    return sign_in


def _notify(sign_in: SignIn, verified: bool | None) -> Notice:
    """Enqueues the notice if there is to be one, and says what became of it.

    verified: whether the person has shown that the address is theirs; None for one that an operator entered.
    """
    if not sign_in.email:
        return Notice.NO_ADDRESS
    if verified is False:
        return Notice.UNVERIFIED
    if not (sign_in.user.notify_sign_ins or sign_in.new_device):
        return Notice.OPTED_OUT
    try:
        notices.enqueue(sign_in)
    except queue.RateLimited:
        return Notice.LIMITED
    except Error:
        log.exception("notice could not be enqueued, it will be when the queue is back", job_id=sign_in.job_id)
        return Notice.OWED
    return Notice.QUEUED


def _mark(request: HttpRequest | None, sign_in: SignIn, device: Device | None) -> None:
    """Names the sign-in in its session, and the device for the middleware that sets the cookie."""
    if request is None:
        return
    setattr(request, known_devices.ATTRIBUTE, device)
    if hasattr(request, "session"):
        request.session[sessions.SIGN_IN] = str(sign_in.pk)


def describe(user: User, request: HttpRequest | None) -> SignIn:
    """The sign-in as the request tells it, not saved. Whatever the client sent is cut and checked."""
    headers = request.headers if request else {}
    browser, system = devices.families(headers.get("User-Agent", ""))
    return SignIn(
        user=user,
        at=timezone.now(),
        email=user.email,
        method=_method(user, request),
        ip=_address(request),
        browser=browser,
        system=system,
        language=_language(user),
        time_zone=moments.zone_named(user.time_zone).key,
    )


def _method(user: User, request: HttpRequest | None) -> SignIn.Method:
    """Administration by its address, GitHub by allauth's record; a request of nobody's browser was made by code."""
    if request is None or not request.path:
        return SignIn.Method.CODE
    if request.path.startswith(reverse("admin:index")):
        return SignIn.Method.ADMIN
    records = get_authentication_records(request, user) if hasattr(request, "session") else []
    provider = records[-1].get("provider") if records else None
    return SignIn.Method.GITHUB if provider == "github" else SignIn.Method.PASSWORD


def _address(request: HttpRequest | None) -> str | None:
    """REMOTE_ADDR if it is an address; a unix socket or a test client leaves none."""
    try:
        return str(ipaddress.ip_address(request.META.get("REMOTE_ADDR", ""))) if request else None
    except ValueError:
        return None


def _language(user: User) -> str:
    """The person's choice, else the language of the sign-in, else the site's."""
    known = dict(settings.LANGUAGES)
    return next((code for code in (user.language, get_language()) if code in known), settings.LANGUAGE_CODE)


@contextmanager
def impatient_transaction() -> Iterator[None]:
    """A transaction, or a part of the caller's, in which no statement waits longer than PATIENCE_MS for a lock.

    PostgreSQL; SQLite has its own timeout.
    """
    in_the_callers = connection.in_atomic_block
    with transaction.atomic():
        if connection.vendor != "postgresql":
            yield
            return
        before = _wait_at_most(f"{PATIENCE_MS}ms")
        yield
        if in_the_callers:  # else the setting ends with the transaction
            _wait_at_most(before)


def _wait_at_most(time: str) -> str:
    """Sets PostgreSQL's lock_timeout for the transaction; what it was."""
    with connection.cursor() as cursor:
        cursor.execute("SELECT current_setting('lock_timeout'), set_config('lock_timeout', %s, true)", [time])
        before: str = cursor.fetchone()[0]
    return before
