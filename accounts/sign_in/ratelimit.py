"""Limits on guessing passwords and on asking for emails.

A guess is counted for the account that the form authenticates, whatever the form calls it, and only when a password
was checked and was wrong. Each source of an account has a budget of its own: a known device, a session of the account,
a network from which its user signed in recently, and everyone else together. So a stranger cannot lock the user out.

The counters are in the default cache, exact and for all processes. An unavailable cache limits nothing: no
sign-in fails because of it.
"""

import re
import unicodedata
from collections.abc import Callable
from dataclasses import replace
from datetime import timedelta
from functools import partial, wraps
from typing import Any, cast

import structlog
from allauth.account.internal.userkit import filter_users_by_email, filter_users_by_username
from django.conf import settings
from django.core.cache import cache
from django.http import HttpRequest, HttpResponseBase
from django.shortcuts import render
from django.utils import timezone
from django.utils.crypto import salted_hmac

from accounts.sign_in import known_devices, networks
from accounts.sign_in.attempt_counter import REMEMBERED, Counter
from accounts.sign_in.event import SignIn
from accounts.user import User
from jobs.core import sql

log = structlog.get_logger("accounts")

View = Callable[..., HttpResponseBase]
Account = str | Callable[[HttpRequest], User | None]
PREFIXES = {4: 32, 6: 64}
SALT = "accounts.sign_in.ratelimit"
IN_A_ROW = 100  # consecutive failures for one account: the most that NIST SP 800-63B-4, section 3.2.2, allows
RECENT = timedelta(days=30)  # how long a network is known after a sign-in
LONGEST_NAME = 254  # no form takes a longer one
FAILED, SUCCEEDED, FAILURES = "password_failed", "signed_in_user", "failures_in_a_row"  # attributes of a request
UNITS = {"s": 1, "m": 60, "h": 3600, "d": 24 * 3600}


def limit_guesses(account: Account = "", *, password: str = "password") -> Callable[[View], View]:  # noqa: S107
    """Decorate a view whose form checks a password or a code: over a limit a POST gets the page 429.

    account: the field that names the account, or a function that finds it; "" for the signed-in user. password: the
    field of the password or code.
    """

    def decorate(view: View) -> View:
        @wraps(view)
        def wrapped(request: HttpRequest, *args: object, **kwargs: object) -> HttpResponseBase:
            if request.method != "POST" or not request.POST.get(password) or not _names_one(request, account):
                return view(request, *args, **kwargs)
            return _limited(
                request,
                lambda: _guess_counters(request, _users_of(request, account), _name(request, account)),
                lambda: view(request, *args, **kwargs),
                lambda _response: getattr(request, FAILED, False),
            )

        wrapped.limits = "guesses"  # type: ignore[attr-defined]
        return wrapped

    return decorate


def limit_requests(address: str = "email", *, only: tuple[str, ...] = ()) -> Callable[[View], View]:
    """Decorate a view whose form sends an email: a limit for each requester and one for each address.

    address: the field of the address. only: the fields of the buttons that send one; () when the form always does.
    """

    def decorate(view: View) -> View:
        @wraps(view)
        def wrapped(request: HttpRequest, *args: object, **kwargs: object) -> HttpResponseBase:
            if request.method != "POST" or (only and not any(button in request.POST for button in only)):
                return view(request, *args, **kwargs)
            return _limited(
                request,
                lambda: _request_counters(request, _name(request, address)),
                lambda: view(request, *args, **kwargs),
                _is_valid,
            )

        wrapped.limits = "requests"  # type: ignore[attr-defined]
        return wrapped

    return decorate


def limit_challenges(view: View) -> View:
    """Decorate a view whose GET begins an anonymous session with a challenge: over the limit of a network the page 429.

    What begins no session does not count.
    """

    @wraps(view)
    def wrapped(request: HttpRequest, *args: object, **kwargs: object) -> HttpResponseBase:
        if request.method not in ("GET", "HEAD"):
            return view(request, *args, **kwargs)
        counters = partial(_network_counters, request, "challenge")
        return _limited(request, counters, lambda: view(request, *args, **kwargs), _is_answered)

    wrapped.limits = "challenges"  # type: ignore[attr-defined]
    return wrapped


def password_failed(sender: Any, request: HttpRequest | None = None, **_: Any) -> None:
    """Receive `user_login_failed`: note on the request that a password was checked and was wrong."""
    if request is not None:
        setattr(request, FAILED, True)


def signed_in(sender: Any, user: User, request: HttpRequest | None = None, **_: Any) -> None:
    """Receive `user_logged_in`: note on the request who signed in."""
    if request is not None:
        setattr(request, SUCCEEDED, user)


def failures_before(request: HttpRequest | None, user: User) -> int:
    """Return how many wrong passwords for the account came before this sign-in with a password; else 0."""
    counted: dict[int, int] = getattr(request, FAILURES, {})
    return counted.get(user.pk, 0)


def network_of(address: str) -> str:
    """Return an address, or of IPv6 the network that one household or host is given; "" for no address."""
    return networks.network_of(address, PREFIXES)


def _limited(
    request: HttpRequest,
    counters_of: Callable[[], list[Counter]],
    respond: Callable[[], HttpResponseBase],
    counts: Callable[[HttpResponseBase], bool],
) -> HttpResponseBase:
    """Take one from each counter, respond, and give back what does not count; the page 429 over a limit."""
    taken, over, failures = _take(counters_of)
    setattr(request, FAILURES, failures)
    if over:
        _give_back(taken)
        return _too_many(request, locked=any(counter.in_a_row for counter in over))
    counted = False
    try:
        response = respond()
        counted = counts(response)
    finally:
        if not counted:
            _give_back(taken)
    user: User | None = getattr(request, SUCCEEDED, None)
    if user is not None:
        strangers = _account_counters(f"user:{user.pk}:", user.password)
        _forget([counter for counter in [*taken, *strangers] if counter.in_a_row])
    return response


def _is_valid(response: HttpResponseBase) -> bool:
    """Whether a form was accepted: allauth redirects then, and answers a script with JSON."""
    return _is_answered(response) or 300 <= response.status_code < 400


def _is_answered(response: HttpResponseBase) -> bool:
    """Whether a script was answered with JSON."""
    return response.status_code == 200 and response.headers.get("Content-Type", "").startswith("application/json")


def _take(counters_of: Callable[[], list[Counter]]) -> tuple[list[Counter], list[Counter], dict[int, int]]:
    """Count one in each counter: the counters, those over their limit, each account's failures before this attempt.

    No counters without a cache.
    """
    try:
        with sql.savepoint():
            counters = counters_of() if getattr(settings, "RATELIMIT_ENABLE", True) else []
            counts = [(counter, counter.take()) for counter in counters]
        over = [counter for counter, count in counts if count > counter.limit]
        return counters, over, {counter.user: counter.failures(count) for counter, count in counts if counter.user}
    except Exception:  # any error of the cache or the database: the user may try
        log.exception("attempts cannot be counted")
        return [], [], {}


def _give_back(counters: list[Counter]) -> None:
    try:
        with sql.savepoint():
            for counter in counters:
                counter.give_back()
    except Exception:
        log.exception("attempts cannot be counted")


def _forget(counters: list[Counter]) -> None:
    """Delete counters: a sign-in ends the row of failures."""
    try:
        with sql.savepoint():
            cache.delete_many([counter.key for counter in counters])
    except Exception:
        log.exception("attempts cannot be counted")


def _too_many(request: HttpRequest, *, locked: bool) -> HttpResponseBase:
    response = render(request, "429.html", {"locked": locked}, status=429)
    response["Retry-After"] = "300"
    return response


def _names_one(request: HttpRequest, account: Account) -> bool:
    if callable(account):
        return account(request) is not None
    return bool(_name(request, account)) if account else request.user.is_authenticated


def _users_of(request: HttpRequest, account: Account) -> list[User]:
    """Return the accounts whose password or code the form checks."""
    if callable(account):
        return [user for user in [account(request)] if user]
    if not account:
        return [request.user]  # type: ignore[list-item]  # _names_one has checked
    written = request.POST.get(account, "").strip()
    found: dict[int, User] = {}
    for name in {written, _name(request, account)}:
        users = [*filter_users_by_email(name), *filter_users_by_username(name)]
        found |= {user.pk: cast(User, user) for user in users}
    return list(found.values())


def _guess_counters(request: HttpRequest, users: list[User], name: str) -> list[Counter]:
    """Return what a guess at the password of `users` counts in; of `name` when there is no such account."""
    sources = {user.pk: _source(user, request) for user in users}
    counters = [counter for user in users for counter in _user_counters(user, sources[user.pk])]
    if not users:  # counted like an account, so that the response does not reveal whether there is one
        counters = _account_counters(f"name:{name.casefold()}", "")
    known = users and all(sources.values())
    return counters if known else [*counters, *_network_counters(request, "guess")]


def _user_counters(user: User, source: str) -> list[Counter]:
    """Return an account's counters for one source, "" for strangers."""
    rate, in_a_row = _account_counters(f"user:{user.pk}:{source}", user.password)
    strangers = _account_counters(f"user:{user.pk}:", user.password)[1].key if source else ""
    return [rate, replace(in_a_row, user=user.pk, strangers=strangers)]


def _account_counters(what: str, password: str) -> list[Counter]:
    """Return an account's counters. A new password begins a new row of failures."""
    fragment = salted_hmac(SALT, password, algorithm="sha256").hexdigest()[:16]
    return [
        _counter("guess", what, settings.SIGN_IN_RATE_PER_NAME),
        Counter(_key("in-a-row", what, fragment), IN_A_ROW, REMEMBERED),
    ]


def _network_counters(request: HttpRequest, group: str) -> list[Counter]:
    network = network_of(request.META.get("REMOTE_ADDR", ""))
    return [_counter(f"{group}-network", network, settings.SIGN_IN_RATE_PER_ADDRESS)] if network else []


def _request_counters(request: HttpRequest, address: str) -> list[Counter]:
    """Return what a request for an email counts in."""
    requester = [_counter("request-user", str(request.user.pk), settings.SIGN_IN_RATE_PER_NAME)]
    named = [_counter("request-address", address.casefold(), settings.SIGN_IN_RATE_PER_NAME)]
    return [
        *(requester if request.user.is_authenticated else _network_counters(request, "request")),
        *(named if address else []),
    ]


def _counter(group: str, what: str, rate: str) -> Counter:
    """Return a counter for a rate like "20/5m"."""
    limit, multiple, unit = re.fullmatch(r"(\d+)/(\d*)([smhd])", rate).groups()  # type: ignore[union-attr]
    return Counter(_key(group, what, rate), int(limit), int(multiple or 1) * UNITS[unit])


def _key(*parts: str) -> str:
    """Return a key that shows no name and no address."""
    return "limit:" + salted_hmac(SALT, "\0".join(parts), algorithm="sha256").hexdigest()


def _name(request: HttpRequest, field: Account) -> str:
    """Return the name or address in a field, normalized as Django's admin does; "" when no form accepts it."""
    written = "" if callable(field) else request.POST.get(field, "").strip()[: LONGEST_NAME + 1]
    name = unicodedata.normalize("NFKC", written)
    return name if len(written) <= LONGEST_NAME and "\0" not in name else ""


def _source(user: User, request: HttpRequest) -> str:
    """Return what is known of where an attempt comes from; "" for a stranger."""
    if device := known_devices.find_device(user, request):
        return f"device:{device.pk}"
    if request.user.is_authenticated and request.user.pk == user.pk:
        return f"session:{request.session.session_key}"
    network = network_of(request.META.get("REMOTE_ADDR", ""))
    recent = SignIn.objects.filter(user=user, at__gt=timezone.now() - RECENT, disputed_at=None).exclude(ip=None)
    known = {network_of(ip or "") for ip in recent.values_list("ip", flat=True)[:200]}
    return f"network:{network}" if network in known else ""
