"""Checking the code of an authenticator app or a recovery code: each works once."""

from hmac import compare_digest

import structlog
from allauth.mfa.models import Authenticator
from allauth.mfa.totp.internal import auth as totp
from django.db import transaction

from accounts.secrecy import vault
from accounts.user import User

log = structlog.get_logger("accounts")

Type = Authenticator.Type
LAST_STEP = "last_step"  # of the data of an authenticator app: the time step of the newest code that was accepted


def find_accepting(user: User, code: str) -> Authenticator | None:
    """Return the factor that accepts this code, and mark the code as used; None when none does."""
    typed = "".join(code.split()).replace("-", "")
    with transaction.atomic():
        rows = Authenticator.objects.select_for_update().filter(user_id=user.pk).exclude(type=Type.WEBAUTHN)
        return next((row for row in rows if _accepts(row, typed)), None)


def matching_step(secret: str, code: str) -> int | None:
    """Return the newest time step of which this is the code of an authenticator app; None for a wrong code."""
    steps = sorted(totp.yield_hotp_counters_from_time(), reverse=True)
    given = code.encode()
    return next((step for step in steps if compare_digest(given, _code_at(secret, step).encode())), None)


def use_up(user: User, code: str) -> None:
    """Mark the code by which an app was just enrolled as used, so that it does not sign in as well."""
    find_accepting(user, code)


def _code_at(secret: str, step: int) -> str:
    return str(totp.format_hotp_value(totp.hotp_value(secret, step)))


def _accepts(row: Authenticator, code: str) -> bool:
    try:
        return _accepts_app_code(row, code) if row.type == Type.TOTP else bool(row.wrap().validate_code(code))
    except vault.Unreadable:
        log.error("a second factor cannot be decrypted: its key is missing in the settings", factor=row.pk)
        return False


def _accepts_app_code(row: Authenticator, code: str) -> bool:
    """Accept a code of a later time step than any before (RFC 6238, 5.2: a code works once)."""
    step = matching_step(vault.decrypt(row.data["secret"]), code)
    if step is None or step <= row.data.get(LAST_STEP, 0):
        return False
    row.data[LAST_STEP] = step
    row.save(update_fields=["data"])
    return True
