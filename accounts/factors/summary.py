"""The second factors of an account, as its pages show them."""

from typing import Any

from allauth.mfa import app_settings
from allauth.mfa.models import Authenticator

from accounts import credentials
from accounts.factors.authenticators import Type
from accounts.user import User


def summarise_factors(user: User) -> dict[str, Any]:
    """Return the passkeys, the authenticator app and the recovery codes of an account, in one query.

    `protected`: whether a second factor is asked for.
    """
    rows = Authenticator.objects.filter(user_id=user.pk).order_by("pk")
    recovery = next((row for row in rows if row.type == Type.RECOVERY_CODES), None)
    return {
        "passkeys": [row for row in rows if row.type == Type.WEBAUTHN],
        "app": next((row for row in rows if row.type == Type.TOTP), None),
        "codes": recovery,
        "codes_left": count_left(recovery) if recovery else 0,
        "codes_all": app_settings.RECOVERY_CODE_COUNT,
        "protected": any(row.type in credentials.ASKED_FOR for row in rows),
    }


def count_left(recovery: Authenticator) -> int:
    """Return how many recovery codes were not used yet."""
    return int(app_settings.RECOVERY_CODE_COUNT - bin(recovery.data.get("used_mask", 0)).count("1"))
