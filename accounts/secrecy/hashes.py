"""Keyed hashes: of addresses and passwords that the site must recognise but not store.

After a rotation of SECRET_KEY a hash may have been made with any key of SECRET_KEY_FALLBACKS. Code that compares a hash
accepts all of them; code that writes one uses the present key.
"""

from django.conf import settings
from django.utils.crypto import salted_hmac


def keyed_hashes(salt: str, value: str) -> list[bytes]:
    """Return the SHA-256 of a value keyed with SECRET_KEY, then those keyed with each of SECRET_KEY_FALLBACKS.

    salt: names the purpose, so that hashes of different purposes differ.
    """
    keys = (settings.SECRET_KEY, *settings.SECRET_KEY_FALLBACKS)
    return [salted_hmac(salt, value, secret=key, algorithm="sha256").digest() for key in keys]
