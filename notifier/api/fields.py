"""Single fields of a sign-in notification: what each may hold, and what is said when it does not.

A validator takes and gives text, and raises ValueError with the end of a sentence that begins with the field.
"""

import ipaddress
import zoneinfo
from datetime import UTC, datetime, timedelta
from functools import cache

from django.utils import timezone

AHEAD = timedelta(minutes=10)
OLDEST = timedelta(hours=24)
ATOM = r"[A-Za-z0-9!#$%&'*+/=?^_`{|}~-]+"
LABEL = r"[A-Za-z0-9]([A-Za-z0-9-]{0,61}[A-Za-z0-9])?"
EMAIL = rf"^{ATOM}(\.{ATOM})*@({LABEL}\.)+[A-Za-z]([A-Za-z0-9-]{{0,61}}[A-Za-z0-9])$"
RFC3339 = r"^\d{4}-\d{2}-\d{2}[Tt]\d{2}:\d{2}:\d{2}(\.\d{1,9})?([Zz]|[+-]\d{2}:\d{2})$"
JOB_ID = r"^[A-Za-z0-9._:-]{1,128}$"
NO_CONTROLS = r"^[^\x00-\x1f\x7f]*$"
NO_NUL = r"^[^\x00]*$"
EXPECTED = {  # what to say where a pattern did not match
    EMAIL: "must be one e-mail address in ASCII, like bat@example.mn",
    RFC3339: "must be RFC 3339 with a zone, like 2026-03-01T09:30:00+08:00",
    JOB_ID: "must be 1 to 128 of A-Z a-z 0-9 . _ : -",
    NO_CONTROLS: "must hold no control characters",
    NO_NUL: "must hold no NUL",
}


def address(value: str) -> str:
    if len(value.rpartition("@")[0]) > 64:
        raise ValueError("must have at most 64 characters before the @")
    return value


def ip(value: str) -> str:
    """An IPv4-mapped address becomes IPv4; 0.0.0.0 and :: mean "not known" and become empty."""
    try:
        found = ipaddress.ip_address("" if "%" in value else value)
    except ValueError:
        raise ValueError("must be an IPv4 or IPv6 address") from None
    found = getattr(found, "ipv4_mapped", None) or found
    return "" if found.is_unspecified else str(found)


@cache
def _zones() -> frozenset[str]:
    return frozenset(zoneinfo.available_timezones())


def zone(value: str) -> str:
    if value not in _zones():
        raise ValueError("must be an IANA time zone, like Asia/Ulaanbaatar")
    return value


def moment(value: str) -> str:
    """In UTC, so that one moment has one spelling."""
    try:
        given = datetime.fromisoformat(value.upper())
        ahead = given - timezone.now()
        if -OLDEST <= ahead <= AHEAD:
            return given.astimezone(UTC).isoformat()
    except (ValueError, OverflowError):
        raise ValueError("must be a moment that there is") from None
    raise ValueError("must be at most 24 hours old and 10 minutes ahead")
