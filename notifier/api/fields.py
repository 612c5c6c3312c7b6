"""Validators of the fields of a sign-in notification, and the messages about invalid ones.

A validator takes and returns text. It raises ValueError with the rest of a sentence that begins with the field's name.
"""

import ipaddress
import re
import time
import zoneinfo
from datetime import UTC, datetime, timedelta
from functools import cache
from typing import Any

from django.conf import settings

from jobs.core import sql

MAX_AHEAD = timedelta(minutes=10)
MAX_AGE = timedelta(hours=24)
MAX_ERRORS = 20  # field errors in one response
ATOM = r"[A-Za-z0-9!#$%&'*+/=?^_`{|}~-]+"
LABEL = r"[A-Za-z0-9]([A-Za-z0-9-]{0,61}[A-Za-z0-9])?"
EMAIL = rf"^{ATOM}(\.{ATOM})*@({LABEL}\.)+[A-Za-z]([A-Za-z0-9-]{{0,61}}[A-Za-z0-9])$"
RFC3339 = r"^\d{4}-\d{2}-\d{2}[Tt]\d{2}:\d{2}:\d{2}(\.\d{1,9})?([Zz]|[+-]\d{2}:\d{2})$"
JOB_ID = r"^[A-Za-z0-9._:-]{1,128}$"
IDEMPOTENCY_HEADER = "Idempotency-Key"
IDEMPOTENCY_KEY = r'^"?[A-Za-z0-9._:-]{1,128}"?$'
NO_CONTROLS = r"^[^\x00-\x1f\x7f]*$"
NO_NUL = r"^[^\x00]*$"
PATTERN_MESSAGES = {
    EMAIL: "must be one email address in ASCII, like bat@example.mn",
    RFC3339: "must be RFC 3339 with a zone, like 2026-03-01T09:30:00+08:00",
    JOB_ID: "must be 1 to 128 of A-Z a-z 0-9 . _ : -",
    IDEMPOTENCY_KEY: "must be 1 to 128 of A-Z a-z 0-9 . _ : -",
    NO_CONTROLS: "must not contain control characters",
    NO_NUL: "must not contain NUL",
}


def address(value: str) -> str:
    """Check the length of an email address's local part."""
    if len(value.rpartition("@")[0]) > 64:
        raise ValueError("must have at most 64 characters before the @")
    return value


def ip(value: str) -> str:
    """Return an IP address in its canonical form.

    An IPv4-mapped address becomes IPv4. 0.0.0.0 and :: mean "not known" and become empty.
    """
    try:
        found = ipaddress.ip_address("" if "%" in value else value)
    except ValueError:
        raise ValueError("must be an IPv4 or IPv6 address") from None
    found = getattr(found, "ipv4_mapped", None) or found
    return "" if found.is_unspecified else str(found)


@cache
def _zones() -> dict[str, str]:
    """Return the names of all zones, old ones as well, by their names in small letters."""
    return {name.lower(): name for name in zoneinfo.available_timezones() - {"localtime", "Factory", "posixrules"}}


def zone(value: str) -> str:
    """Return the name of a time zone; "" for an unknown one, which means the site's, so that no notice is lost."""
    return _zones().get(value.strip().lower(), "")


def language(value: str) -> str:
    """Require one of the languages of the site."""
    codes = [code for code, _name in settings.LANGUAGES]
    if value not in codes:
        *others, last = map(repr, codes)
        raise ValueError(f"must be one of {' or '.join(filter(None, [', '.join(others), last]))}")
    return value


def timestamp(value: str) -> str:
    """Convert a timestamp to UTC, so that one instant has one spelling.

    Its age is measured with the database's clock: the clock of a web host may be wrong.
    """
    try:
        parsed = datetime.fromisoformat(value.upper())
        ahead = parsed - DATABASE_CLOCK.now()
        if -MAX_AGE <= ahead <= MAX_AHEAD:
            return parsed.astimezone(UTC).isoformat()
    except (ValueError, OverflowError):
        raise ValueError("must be a valid date and time") from None
    raise ValueError("must be at most 24 hours old and 10 minutes ahead")


def instant(value: str) -> str:
    """Convert any valid time to UTC."""
    try:
        return datetime.fromisoformat(value.upper()).astimezone(UTC).isoformat()
    except (ValueError, OverflowError):
        raise ValueError("must be a valid date and time") from None


class DatabaseClock:
    """The database's time, read once a minute and advanced by this process's monotonic clock in between."""

    MAX_AGE_SECONDS = 60.0

    def __init__(self) -> None:
        self._read: tuple[datetime, float] | None = None  # the database's time, and time.monotonic() then

    def now(self) -> datetime:
        """Return the time by the database. Raises django.db.Error when the database is away."""
        read = self._read
        if read is None or time.monotonic() - read[1] > self.MAX_AGE_SECONDS:
            read = self._read = sql.now(), time.monotonic()
        return read[0] + timedelta(seconds=time.monotonic() - read[1])


DATABASE_CLOCK = DatabaseClock()


def field_errors(errors: list[Any]) -> list[dict[str, str]]:
    """Convert pydantic's errors to the API's form. The client's values are not repeated.

    The first part of a location is the name of the view's own argument, so it is left out; a header has none.
    """
    return [{"field": _field(error["loc"]), "message": _message(error)} for error in errors[:MAX_ERRORS]]


def _field(location: tuple[Any, ...]) -> str:
    parts = location if location == (IDEMPOTENCY_HEADER,) else location[1:]
    return ".".join(str(part)[:64] for part in parts) or "body"


def _message(error: dict[str, Any]) -> str:
    context = error.get("ctx", {})
    match error["type"]:
        case "missing":
            return "is required"
        case "extra_forbidden":
            return "is not a field of this request"
        case "string_type":
            return "must be text"
        case "model_type" | "model_attributes_type" | "dict_type":
            return "must be a JSON object"
        case "string_too_long":
            return f"must have at most {context['max_length']} characters"
        case "string_too_short":
            return "must not be empty"
        case "string_pattern_mismatch":
            return PATTERN_MESSAGES.get(context["pattern"], f"must match {context['pattern']}")
        case "literal_error":
            return f"must be one of {context['expected']}"
        case "value_error":
            return str(context["error"])
    return re.sub(r"^Input should", "should", error["msg"])
