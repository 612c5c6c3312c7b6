"""The cipher of the vault. Only the vault imports this module, when it is used: `cryptography` takes 6 MB."""

from base64 import urlsafe_b64encode
from collections.abc import Iterable
from functools import cache

from cryptography.fernet import Fernet, InvalidToken, MultiFernet
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.kdf.hkdf import HKDF

__all__ = ["InvalidToken", "make_cipher"]
PURPOSE = b"accounts.secrecy.vault"


def make_cipher(keys: Iterable[str]) -> MultiFernet:
    """Return a cipher that encrypts with the first key and decrypts with any."""
    return MultiFernet([Fernet(_derive(key)) for key in keys])


@cache
def _derive(key: str) -> bytes:
    return urlsafe_b64encode(HKDF(SHA256(), length=32, salt=None, info=PURPOSE).derive(key.encode()))
