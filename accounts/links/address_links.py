"""Links that act for one address: signed, on one site, and without the address.

A link carries a number (of an account or a request) and a keyed hash of the address that it is emailed to. So a link
that is found discloses nothing, and a link that was emailed to a former address differs from one to a current address.
"""

from collections.abc import Iterable
from dataclasses import dataclass
from datetime import timedelta
from functools import cache

from django.conf import settings
from django.core import signing
from django.utils.crypto import constant_time_compare

from accounts.links.paths import path_of
from accounts.secrecy.hashes import keyed_hashes
from jobs.core.sql.keys import LARGEST

HASH_LENGTH = 24  # hexadecimal digits: 96 bits


@dataclass(frozen=True)
class Target:
    """What a link acts on."""

    number: int
    """The primary key of an account or of a request, or of a sign-in (the integer of its UUID)."""
    hashed: str
    salt: str

    def find_address(self, addresses: Iterable[str]) -> str | None:
        """Return the one of `addresses` that the link was emailed to; None when it was emailed to another."""
        for address in addresses:
            if any(constant_time_compare(self.hashed, hashed) for hashed in _hash_address(address, self.salt)):
                return address
        return None


@dataclass(frozen=True)
class LinkKind:
    """One kind of link: its page, its salt and its validity."""

    page: str
    """The name of the URL, whose only argument is the token."""
    salt: str
    valid: timedelta | None = None
    """None for a link without an end."""
    longest: int = LARGEST
    """The largest number: what the database takes as a key."""

    def make(self, number: int | str, address: str, base: str = "") -> str:
        """Return the URL of a link that is emailed to `address`, on `base`, by default SITE_URL."""
        token = signing.dumps([int(number), _hash_address(address, self._site_salt)[0]], salt=self._site_salt)
        return f"{base or settings.SITE_URL.rstrip('/')}{_path(self.page)}{token}/"

    def read(self, token: str) -> Target | None:
        """Return what a token acts on; None for a forged or expired one."""
        try:
            match signing.loads(token, salt=self._site_salt, max_age=self.valid):
                case [int(number), str(hashed)] if 0 <= number <= self.longest:
                    return Target(number, hashed, self._site_salt)
        except (signing.BadSignature, ValueError):
            pass
        return None

    @property
    def _site_salt(self) -> str:
        """Sites with one SECRET_KEY refuse each other's links."""
        return f"{self.salt}:{settings.SITE_URL}"


@cache
def _path(page: str) -> str:
    """Return the path of a page, up to the token."""
    return path_of(page, "token").removesuffix("token/")


def _hash_address(address: str, salt: str) -> list[str]:
    return [digest.hex()[:HASH_LENGTH] for digest in keyed_hashes(salt, address.lower())]


UNSUBSCRIBE = LinkKind("unsubscribe", "accounts.links.address_links:unsubscribe")
"""Turns routine notices off: for an account."""
CANCEL = LinkKind("cancel_request", "accounts.links.address_links:cancel")
"""Cancels a request that waits; valid as long as the request waits."""
UNSUBSCRIBE_SITE = LinkKind("unsubscribe_site", "accounts.links.address_links:unsubscribe_site", longest=2**128 - 1)
"""Turns routine notices off: for the user of another site, by one of its sign-ins."""
LOST_FACTOR = LinkKind("lost_factor", "accounts.links.address_links:lost_factor", timedelta(days=3))
"""Asks for the removal of a lost second factor: for an account."""
