"""Encryption at rest: secrets that the site must read again, such as the seed of an authenticator app.

The key is derived from ENCRYPTION_KEY, or without one from SECRET_KEY. What a former key encrypted can be read as long
as it is in ENCRYPTION_KEY_FALLBACKS or SECRET_KEY_FALLBACKS.
"""

from importlib import import_module
from typing import Any

from django.conf import settings


class Unreadable(Exception):
    """A text that no key of the settings can decrypt."""


def encrypt(text: str) -> str:
    """Return a text encrypted and authenticated with the present key."""
    return str(_cipher().encrypt(text.encode()).decode())


def decrypt(sealed: str) -> str:
    """Return the text that `encrypt` was given. Raise Unreadable when no key of the settings fits."""
    try:
        return str(_cipher().decrypt(sealed.encode()).decode())
    except _fernet().InvalidToken:
        raise Unreadable from None


def reencrypt(sealed: str) -> str:
    """Return the same secret, encrypted with the present key. Raise Unreadable when no key of the settings fits."""
    try:
        return str(_cipher().rotate(sealed.encode()).decode())
    except _fernet().InvalidToken:
        raise Unreadable from None


def _cipher() -> Any:
    """Return the cipher: it encrypts with the first key and decrypts with any."""
    own = [settings.ENCRYPTION_KEY] if settings.ENCRYPTION_KEY else []
    former = [*settings.ENCRYPTION_KEY_FALLBACKS, *settings.SECRET_KEY_FALLBACKS]
    return _fernet().make_cipher([*own, settings.SECRET_KEY, *former])


def _fernet() -> Any:
    """Return the module with the cipher. A cluster that neither sends events nor removes factors never loads it."""
    return import_module("accounts.secrecy.fernet")
