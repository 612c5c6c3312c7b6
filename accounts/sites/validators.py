"""Checks of what an operator enters about a site: each raises ValidationError that says what to write."""

import ipaddress
import re
import zoneinfo
from email.utils import getaddresses
from urllib.parse import urlsplit

from django.conf import settings
from django.core.exceptions import ValidationError
from django.utils.translation import gettext_lazy as _

from accounts.mail.addresses import deliverable
from accounts.mail.sanitize import plain_text
from jobs.core.errors import Permanent
from jobs.core.job import THIS_SITE

SLUG = r"^[A-Za-z0-9][A-Za-z0-9 ._-]{0,63}\Z"
COLOUR = r"^#[0-9A-Fa-f]{6}\Z"
HOST = r"^([A-Za-z0-9]([A-Za-z0-9-]{0,61}[A-Za-z0-9])?\.)+[A-Za-z]([A-Za-z0-9-]{0,61}[A-Za-z0-9])?\Z"
LABEL = r"[A-Za-z0-9_]([A-Za-z0-9_-]{0,61}[A-Za-z0-9_])?"
URL_HOST = rf"^{LABEL}(\.{LABEL})*\.?\Z"  # of any network; the header Feedback-ID holds it
NOT_IN_NAME = r"[<>@]|://"  # would be taken for an address
LONGEST_NAME = 40  # characters of a site's name: a subject holds it
LONGEST_URL = 500
LONGEST_HOST = 253


def check_slug(value: str) -> None:
    """Check the slug of another site, the source of its jobs."""
    if not re.match(SLUG, value) or value == THIS_SITE:
        raise ValidationError(
            _(
                "Use 1 to 64 characters from A-Z, a-z, 0-9, space, dot, hyphen and underscore, "
                "but not the name “signal”."
            ),
            code="name",
        )


def check_name(value: str) -> None:
    """Check that a name has only visible characters and no address of a page."""
    if plain_text(value, LONGEST_NAME) != value or re.search(NOT_IN_NAME, value):
        raise ValidationError(
            _("Write a name of visible characters, without < > @ or a URL, of at most %(most)d characters.")
            % {"most": LONGEST_NAME}
        )


def check_url(value: str) -> None:
    """Check an https URL; with DEBUG an http URL is allowed as well."""
    try:
        parts = urlsplit(value)
        valid = _is_host(parts.hostname or "") and parts.username is None and (parts.port is None or parts.port > 0)
    except ValueError:
        valid = False
    schemes = ("https", "http") if settings.DEBUG else ("https",)
    if not valid or parts.scheme not in schemes or not re.fullmatch(r"[!-~]+", value):
        raise ValidationError(_("Write a URL that begins with https://, without a user name, spaces or other letters."))


def _is_host(name: str) -> bool:
    """Return whether a URL may have this host: a name that DNS can hold, or an IP address without a zone."""
    if ":" in name:
        return ipaddress.IPv6Address(name).scope_id is None
    return len(name) <= LONGEST_HOST and re.match(URL_HOST, name) is not None


def check_address(value: str) -> None:
    """Check one email address."""
    try:
        deliverable(value)
    except Permanent as wrong:
        raise ValidationError(_("This is not a valid email address: %(why)s.") % {"why": wrong}) from None


def check_sender(value: str) -> None:
    """Check `Name <address>` or an address, whose domain must be one of SENDER_DOMAINS."""
    (name, address), *others = getaddresses([value]) or [("", "")]
    check_address("" if others or not value.isprintable() else address)
    if plain_text(name, settings.MAX_FROM_NAME) != name:
        raise ValidationError(
            _("The sender's name must have at most %(most)d visible characters.") % {"most": settings.MAX_FROM_NAME}
        )
    if re.search(NOT_IN_NAME, name):
        raise ValidationError(_("The sender's name must not hold < > @ or a URL."))
    domain = address.rpartition("@")[2].lower()
    if domain not in settings.SENDER_DOMAINS:
        raise ValidationError(
            _("The domain %(domain)s is not one of SENDER_DOMAINS: %(known)s.")
            % {"domain": domain, "known": ", ".join(settings.SENDER_DOMAINS)}
        )


def check_colour(value: str) -> None:
    """Check a colour in the notation of HTML."""
    if not re.match(COLOUR, value):
        raise ValidationError(_("Write a colour as # and six hexadecimal digits, for example #0055aa."))


def check_language(value: str) -> None:
    """Check that the site's emails can be in this language."""
    if value not in dict(settings.LANGUAGES):
        raise ValidationError(_("Choose one of: %(known)s.") % {"known": ", ".join(dict(settings.LANGUAGES))})


def check_zone(value: str) -> None:
    """Check that this is the name of an IANA time zone."""
    if value not in zoneinfo.available_timezones():
        raise ValidationError(_("Write the name of a time zone, for example Asia/Ulaanbaatar."))


def check_host(value: str) -> None:
    """Check the name of a host, without scheme, port and path."""
    if not re.match(HOST, value) or len(value) > LONGEST_HOST:
        raise ValidationError(_("Write the name of a host, for example notices.example.mn."))
