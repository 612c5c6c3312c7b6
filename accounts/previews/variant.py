"""One variant of an email: what it is called, for which sites it is sent, and how it is made."""

from collections.abc import Callable
from dataclasses import dataclass
from enum import Enum

from django.conf import settings

from accounts.mail.brand import Brand
from accounts.mail.mime import Mail

READER = "saraa@example.com"
AT = "2026-03-19T08:03:11+00:00"
BEFORE = "2025-12-02"
ADDRESS = "203.0.113.7"


class Sites(Enum):
    """Which sites send a variant."""

    ALL = "all"
    OWN = "own"
    OTHERS = "others"


@dataclass(frozen=True)
class Variant:
    """One email about invented events, without its language and its site."""

    name: str
    """Unique; letters, digits, dots and hyphens: a part of file names and URLs."""
    build: Callable[[str, Brand], Mail]
    """Returns the email in a language, for a site."""
    sites: Sites = Sites.ALL

    def is_sent_by(self, brand: Brand) -> bool:
        """Return whether the site sends it."""
        return self.sites == Sites.ALL or (self.sites == Sites.OWN) == brand.own


def example_brand() -> Brand:
    """Return the brand of an invented site other than this one."""
    return Brand(
        name="Example Shop",
        url="https://shop.example",
        secure_url="https://shop.example/security",
        support="help@shop.example",
        sender=Brand.default_sender("Example Shop"),
        colour="#0055aa",
    )


def languages() -> list[str]:
    """Return the codes of the languages of the site."""
    return [code for code, _name in settings.LANGUAGES]
