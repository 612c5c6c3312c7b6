"""Encryption at rest: secrets that the site must read again, such as the seed of an authenticator app.

The key is derived from ENCRYPTION_KEY, or without one from SECRET_KEY. What a former key encrypted can be read as long
as it is in ENCRYPTION_KEY_FALLBACKS or SECRET_KEY_FALLBACKS.
"""

from base64 import urlsafe_b64encode
from functools import cache

from cryptography.fernet import Fernet, InvalidToken, MultiFernet
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.kdf.hkdf import HKDF
from django.conf import settings

PURPOSE = b"accounts.secrecy.vault"


class Unreadable(Exception):
    """A text that no key of the settings can decrypt."""


def encrypt(text: str) -> str:
    """Return a text encrypted and authenticated with the present key."""
    return _fernet().encrypt(text.encode()).decode()


def decrypt(sealed: str) -> str:
    """Return the text that `encrypt` was given. Raise Unreadable when no key of the settings fits."""
    try:
        return _fernet().decrypt(sealed.encode()).decode()
    except InvalidToken:
        raise Unreadable from None


def reencrypt(sealed: str) -> str:
    """Return the same secret, encrypted with the present key. Raise Unreadable when no key of the settings fits."""
    try:
        return _fernet().rotate(sealed.encode()).decode()
    except InvalidToken:
        raise Unreadable from None


def _fernet() -> MultiFernet:
    """Return the cipher: it encrypts with the first key and decrypts with any."""
    own = [settings.ENCRYPTION_KEY] if settings.ENCRYPTION_KEY else []
    former = [*settings.ENCRYPTION_KEY_FALLBACKS, *settings.SECRET_KEY_FALLBACKS]
    return MultiFernet([Fernet(_derive(key)) for key in (*own, settings.SECRET_KEY, *former)])


@cache
def _derive(key: str) -> bytes:
    return urlsafe_b64encode(HKDF(SHA256(), length=32, salt=None, info=PURPOSE).derive(key.encode()))
