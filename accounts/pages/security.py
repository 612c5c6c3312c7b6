"""The page of a user's security: sessions, devices, and all that signs in to the account or recovers it."""

from dataclasses import dataclass
from typing import Any

from allauth.account.models import EmailAddress
from allauth.socialaccount.models import SocialAccount
from django.contrib.auth.decorators import login_required
from django.http import HttpRequest, HttpResponse
from django.shortcuts import render
from django.utils import timezone
from django.views.decorators.cache import never_cache
from django.views.decorators.http import require_safe

from accounts.changes import review
from accounts.factors.summary import summarise_factors
from accounts.mail import dates, geoip
from accounts.pending.request import PendingRequest
from accounts.sign_in import known_devices
from accounts.sign_in.event import AccountChange, SignIn
from accounts.sign_in.sessions import SESSION_SIGN_IN, Session
from accounts.user import User, signed_in_user

SHOWN = 10  # sessions on the page
What = AccountChange.What
NEW_PASSWORD = (What.PASSWORD, What.RECOVERED, What.STRANGER_OUT)  # changes that set one


@dataclass(frozen=True)
class OpenSession:
    """A sign-in whose session is open."""

    sign_in: SignIn
    current: bool
    """Whether it is the session of this request."""

    @property
    def place(self) -> str:
        """The country, else the IP address; "" when both are unknown."""
        return geoip.country_name(self.sign_in.ip or "") or self.sign_in.ip or ""


@dataclass(frozen=True)
class Sessions:
    """The open sessions of a user."""

    listed: list[OpenSession]
    """Those that are shown, the current one first."""
    others: int
    """How many more are open: further ones, and those whose sign-in was not recorded."""


@require_safe
@never_cache
@login_required
def security(request: HttpRequest) -> HttpResponse:
    """Show the state of everything that protects the account, each with the page that changes it."""
    user = signed_in_user(request)
    context = {
        "sessions": load_sessions(user, request.session.get(SESSION_SIGN_IN, "")),
        "devices": known_devices.list_devices(user),
        "password_changed": user.changes.filter(what__in=NEW_PASSWORD).order_by("-at").first(),
        "addresses": load_addresses(user),
        "github": load_github(user),
        "requests": PendingRequest.objects.waiting().filter(user=user),
        "held": review.load_held(user),
        **summarise_factors(user),
        **dates.zone_context(user.time_zone),
    }
    return render(request, "accounts/pages/security.html", context)


def load_sessions(user: User, current: str) -> Sessions:
    """Return the user's open sessions, in three queries at most, however many a stranger has opened.

    current: the sign-in of this request's session.
    """
    rows = Session.objects.filter(user_id=user.pk, expire_date__gt=timezone.now())
    found = SignIn.objects.filter(user=user, pk__in=rows.values("sign_in"))
    newest = list(found.order_by("-at")[:SHOWN])
    if current and current not in {str(one.pk) for one in newest}:
        newest = [*found.filter(pk=current), *newest][:SHOWN]
    listed = [OpenSession(sign_in, str(sign_in.pk) == current) for sign_in in newest]
    others = rows.exclude(sign_in__in=[sign_in.pk for sign_in in newest]).count()
    return Sessions(sorted(listed, key=lambda session: not session.current), others)


def load_addresses(user: User) -> list[dict[str, Any]]:
    """Return the account's addresses, the primary one first; one that an operator entered counts as confirmed."""
    rows = EmailAddress.objects.filter(user=user).order_by("-primary", "pk").values("email", "primary", "verified")
    entered = [{"email": user.email, "primary": True, "verified": True}] if user.email else []
    return list(rows) or entered


def load_github(user: User) -> list[str]:
    """Return the names of the connected GitHub accounts; the number of one whose name is not known."""
    rows = SocialAccount.objects.filter(user=user, provider="github").order_by("pk")
    return [str(row.extra_data.get("login") or row.uid) for row in rows]
