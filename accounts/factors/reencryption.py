"""Encrypting every stored secret again, with the present key, after a rotation."""

from typing import Any

from allauth.mfa.models import Authenticator
from django.db import transaction

from accounts.credentials import Credential
from accounts.secrecy import vault

SECRET_FIELDS = ("secret", "seed")  # of a factor's data: of an authenticator app, of recovery codes


def reencrypt_factors() -> tuple[int, int]:
    """Encrypt the secrets of all factors again, those that a dispute holds too.

    Return how many were encrypted, and how many no key of the settings can read.
    """
    rows = Authenticator.objects.exclude(type=Authenticator.Type.WEBAUTHN).values_list("pk", flat=True)
    held = Credential.objects.exclude(sealed={}).values_list("pk", flat=True)
    results = [_reencrypt_row(pk) for pk in rows.iterator()] + [_reencrypt_held(pk) for pk in held.iterator()]
    return results.count(True), results.count(False)


@transaction.atomic
def _reencrypt_row(pk: int) -> bool | None:
    """Encrypt one factor again; False when no key can read it, None when it has no secret or was removed meanwhile."""
    row = Authenticator.objects.select_for_update().filter(pk=pk).first()
    if row is None:
        return None
    data = _reencrypt(row.data)
    if data and data != row.data:
        Authenticator.objects.filter(pk=pk).update(data=data)
        return True
    return None if data else False


@transaction.atomic
def _reencrypt_held(pk: int) -> bool | None:
    """Encrypt one factor of the history again; as `_reencrypt_row`."""
    entry = Credential.objects.select_for_update().filter(pk=pk).first()
    before = entry.sealed.get("data") if entry else None
    if entry is None or not isinstance(before, dict):
        return None
    data = _reencrypt(before)
    if data and data != before:
        Credential.objects.filter(pk=pk).update(sealed={**entry.sealed, "data": data})
        return True
    return None if data else False


def _reencrypt(data: dict[str, Any]) -> dict[str, Any]:
    """Return the data with its secrets encrypted by the present key; {} when no key can read them."""
    try:
        return {name: vault.reencrypt(value) if name in SECRET_FIELDS else value for name, value in data.items()}
    except vault.Unreadable:
        return {}
