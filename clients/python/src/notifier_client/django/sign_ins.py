"""What a request says about a sign-in."""

from typing import Any

from django.contrib.auth.models import AbstractBaseUser
from django.http import HttpRequest
from django.utils.translation import get_language

from notifier_client import SignIn
from notifier_client.django.conf import read, read_function
from notifier_client.django.models import user_key_of
from notifier_client.sign_in import UNKNOWN_ADDRESS, Locale

ALLAUTH_RECORDS = "account_authentication_methods"  # allauth's key in the session
ALLAUTH_METHODS = {"code": "email", "mfa": "passkey"}


def describe(request: HttpRequest, user: AbstractBaseUser, device_id: str | None) -> SignIn | None:
    """Return the sign-in of a user; None for a user without an email address."""
    email = getattr(user, user.get_email_field_name(), "")
    if not email:
        return None
    return SignIn(
        user_id=user_key_of(user),
        email=email,
        name=_name(user),
        provider=find_provider(request, user),
        ip_address=find_address(request),
        user_agent=request.META.get("HTTP_USER_AGENT", ""),
        locale=_locale(),
        device_id=device_id,
    )


def find_provider(request: HttpRequest, user: AbstractBaseUser) -> str:
    """Return how the user signed in, as allauth or social-auth knows it; otherwise "password"."""
    social = getattr(user, "social_user", None)  # social-auth sets it before it signs the user in
    if social is not None:
        return str(social.provider)
    records: list[dict[str, Any]] = request.session.get(ALLAUTH_RECORDS) or []
    first_factors = [record for record in records if record.get("method") != "mfa"]
    if not records:
        return "password"
    record = (first_factors or records)[-1]
    method = str(record.get("method"))
    return str(record.get("provider")) if method == "socialaccount" else ALLAUTH_METHODS.get(method, method)


def find_address(request: HttpRequest) -> str:
    """Return the browser's address, from where NOTIFIER_IP_META says; of a list the last entry."""
    source = read("NOTIFIER_IP_META") or "REMOTE_ADDR"
    if isinstance(source, str) and "." not in source:
        value = str(request.META.get(source, ""))
        return value.rpartition(",")[2].strip() or UNKNOWN_ADDRESS
    function = read_function("NOTIFIER_IP_META")
    return str(function(request) if function else "") or UNKNOWN_ADDRESS


def _name(user: AbstractBaseUser) -> str:
    """Return the user's full name, otherwise the user name; "" when that is an email address."""
    full_name = getattr(user, "get_full_name", None)
    name = str(full_name() if full_name else "").strip() or str(user.get_username())
    return "" if "@" in name else name


def _locale() -> Locale | None:
    language = (get_language() or "").partition("-")[0]
    return "mn" if language == "mn" else "en" if language == "en" else None
