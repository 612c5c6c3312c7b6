"""What proves that a change to an account is its owner's: a fresh check, and where it was made."""

import time
import uuid
from typing import Any

from allauth.account.authentication import get_authentication_records
from django.http import HttpRequest
from django.urls import reverse

from accounts import credentials
from accounts.credentials import Circumstances, Credential
from accounts.sign_in import sessions
from accounts.sign_in.event import SignIn
from accounts.user import User

FRESH_SECONDS = 600  # for which a check of the user counts


def assess(request: HttpRequest, user: User) -> Circumstances:
    """Return in which session a request changes the account, and what proves the change to be its owner's.

    An operator proves nothing about an account of their own.
    """
    actor = getattr(request, "user", None)
    if actor is None or not actor.is_authenticated:
        return Circumstances()
    if actor.pk != user.pk:
        by_operator = actor.is_staff and request.path.startswith(reverse("admin:index"))
        return Circumstances(backing=Credential.Backing.OPERATOR if by_operator else Credential.Backing.NONE)
    return Circumstances(session_sign_in(request), _backing(request, user))


def session_sign_in(request: HttpRequest) -> uuid.UUID | None:
    """Return the sign-in of the request's session; None for a session without one."""
    try:
        return uuid.UUID(str(request.session.get(sessions.SESSION_SIGN_IN)))
    except ValueError:
        return None


def is_vouched(request: HttpRequest) -> bool:
    """Return whether the session began in a browser that the account has known for UNDO_DAYS, or first of all."""
    named = session_sign_in(request)
    return named is not None and SignIn.objects.filter(pk=named, vouched=True).exists()


def removal_will_be_final(request: HttpRequest, user: User) -> bool:
    """Return whether an address that is removed in this session, after its check, loses its power immediately."""
    if credentials.has_factor(user):
        return credentials.has_settled_factor(user)
    return user.has_usable_password() and is_vouched(request)


def fresh_records(request: HttpRequest, user: User) -> list[dict[str, Any]]:
    """Return allauth's records of the checks of this session that are fresh, the newest first.

    A sign-in is not a check, except with GitHub: a user who has nothing else can give nothing else again.
    """
    records = reversed(get_authentication_records(request, user))
    recent = [record for record in records if time.time() - record.get("at", 0) < FRESH_SECONDS]
    return [record for record in recent if record.get("reauthenticated") or record.get("method") == "socialaccount"]


def _backing(request: HttpRequest, user: User) -> Credential.Backing:
    """Return what the fresh checks of the session prove."""
    records = fresh_records(request, user)
    used = [
        (credentials.KIND_OF_TYPE.get(str(record.get("type")), ""), str(record.get("id", ""))) for record in records
    ]
    if any(kind and credentials.is_settled(user, kind, reference) for kind, reference in used):
        return Credential.Backing.FACTOR
    if any(record.get("method") == "password" for record in records) and is_vouched(request):
        return Credential.Backing.PASSWORD
    return Credential.Backing.NONE
