"""A lost second factor without a recovery code: its removal after a wait.

The oldest confirmed address asks for it, by a link that is emailed to it; or an operator does, with a reason. Everyone
is notified, and any sign-in with the factor and any press of a "cancel" or "this wasn't me" stops it. Nothing is
removed while an address is leaving.
"""

from typing import Any

import structlog
from allauth.account.authentication import get_authentication_records
from allauth.account.internal.userkit import filter_users_by_email
from django.db import transaction
from django.http import HttpRequest

from accounts import credentials
from accounts.credentials import Credential
from accounts.factors import authenticators
from accounts.links.address_links import LOST_FACTOR
from accounts.notices import account
from accounts.pending import flow
from accounts.pending.request import PendingRequest, RequestKind
from accounts.user import User
from jobs.core import audit

log = structlog.get_logger("accounts")


def enqueue_link(address: str) -> None:
    """Email the link to the oldest address of the account with this address; nothing without a second factor."""
    for user in filter_users_by_email(address, is_active=True, prefer_verified=True):
        oldest = oldest_address(user)
        if oldest and credentials.has_factor(user):
            account.enqueue_mail("lost_factor", oldest, user)


def find_user(token: str) -> User | None:
    """Return the account that a link acts for; None for an expired link, or to an address that is not the oldest."""
    target = LOST_FACTOR.read(token)
    user = User.objects.filter(pk=target.number, is_active=True).first() if target else None
    if target is None or user is None:
        return None
    return user if target.find_address([oldest_address(user)]) else None


def oldest_address(user: User) -> str:
    """Return the confirmed address that the account has had for longest; "" when it has none."""
    credentials.adopt_address(user)
    oldest = Credential.objects.current(user.pk).first()
    return oldest.address if oldest else ""


@transaction.atomic
def ask(user: User) -> None:
    """Request the removal of the account's second factor; nothing when it has none, or one waits already."""
    if credentials.has_factor(user):
        flow.ask(user, RequestKind.LOST_FACTOR)


@transaction.atomic
def ask_by_operator(user: User, *, operator: str, reason: str) -> bool:
    """Request the removal as an operator, with an audit entry; False when one waits or there is no factor."""
    if not credentials.has_factor(user):
        return False
    request = flow.ask(user, RequestKind.LOST_FACTOR, operator=operator, reason=reason)
    if request is None:
        return False
    audit.record(operator, audit.AuditEntry.Act.REMOVE_FACTORS, f"user {user.pk}", why=reason, request=request.pk)
    return True


def remove(request: PendingRequest) -> None:
    """Remove every second factor of the account and notify everyone."""
    authenticators.remove_all_factors(request.user)
    flow.finish(request)


def signed_in(sender: Any, user: User, request: HttpRequest | None = None, **_: Any) -> None:
    """Cancel the removal of a factor that was just used. Receiver of `user_logged_in`; it never raises."""
    try:
        if request is None or not hasattr(request, "session"):
            return
        records = get_authentication_records(request, user)
        if any(record.get("method") == "mfa" for record in records):
            with transaction.atomic():
                flow.cancel_all(user, RequestKind.LOST_FACTOR)
    except Exception:
        log.exception("a pending request could not be cancelled", user_id=user.pk)
