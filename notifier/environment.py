"""Checks of single environment values, used by settings.py alone.

Each takes the value as environs read it (already of its type) and raises `ValidationError` with what is wrong
and what to write instead; environs collects them so that the start ends with one message.
"""

import ipaddress
import re
import zoneinfo
from collections.abc import Callable
from email.utils import parseaddr
from pathlib import Path
from typing import cast
from urllib.parse import urlsplit

from environs import EnvValidationError, ValidationError

MAX_FROM_NAME = 22  # letters: longer Cyrillic names are cut in phones' inbox lists (EMAIL.md)


def at_least(smallest: float) -> Callable[[float], None]:
    """A check that a number is `smallest` or more."""

    def check(value: float) -> None:
        if value < smallest:
            raise ValidationError(f"{value} is too small: at least {smallest}")

    return check


def is_given(value: str) -> None:
    """Not empty: `NAME=` in `.env` is no value."""
    if not value.strip():
        raise ValidationError("is empty: give it a value, or leave the line out")


def is_file(value: str) -> None:
    """The path of a file that is there; /dev/null will do."""
    if not Path(value).exists() or Path(value).is_dir():
        raise ValidationError(f"{value!r} is no file")


def is_port(value: int) -> None:
    """A TCP port: 1 to 65535."""
    if not 1 <= value <= 65535:
        raise ValidationError(f"{value} is no port: 1 to 65535")


def is_site_url(value: str) -> None:
    """An http or https address without a path: `https://example.mn`."""
    parts = urlsplit(value)
    if parts.scheme not in ("http", "https") or not parts.netloc or parts.path.strip("/") or parts.query:
        raise ValidationError(f"{value!r} is no site address: write https://example.mn, without a path")


def is_address(value: str) -> None:
    """One mail address in ASCII, as SMTP takes it without SMTPUTF8."""
    if not re.fullmatch(r"[A-Za-z0-9.!#$%&'*+/=?^_`{|}~-]{1,64}@[A-Za-z0-9-]+(\.[A-Za-z0-9-]+)*", value):
        raise ValidationError(f"{value!r} is no mail address: write somebody@example.mn")


def is_sender(value: str) -> None:
    """`Name <address>` or a bare address; a name of 22 letters at most."""
    name, address = parseaddr(value)
    is_address(address)
    if len(name) > MAX_FROM_NAME:
        raise ValidationError(f"the name {name!r} is longer than {MAX_FROM_NAME} letters")


def is_zone(value: str) -> None:
    """A name of the IANA time zone database."""
    if value not in zoneinfo.available_timezones():
        raise ValidationError(f"{value!r} is no time zone: write Asia/Ulaanbaatar, for example")


def are_networks(value: list[str]) -> None:
    """Networks of proxies, `10.0.0.0/8`, or the word `unix`; never everybody's."""
    for word in value:
        if word == "unix":
            continue
        try:
            network = ipaddress.ip_network(word)
        except ValueError as wrong:
            raise ValidationError(f"{wrong}: write 10.0.0.0/8, fd00::/8, one address, or unix") from None
        if network.prefixlen == 0:
            raise ValidationError(f"{word} trusts everybody: name the networks of your proxies alone")


def is_language(value: str) -> None:
    """One of the two languages there are texts for."""
    if value not in ("mn", "en"):
        raise ValidationError(f"{value!r} is not one of mn, en")


def is_file_if_given(value: str) -> None:
    """The path of a file, or nothing."""
    if value:
        is_file(value)


def is_token_if_given(value: str) -> None:
    """A secret that cannot be guessed, or nothing."""
    if value and not re.fullmatch(r"[\x21-\x7e]{24,}", value):
        raise ValidationError("is too short or has odd characters: 24 or more letters and digits, or leave it out")


def is_key_if_given(value: str) -> None:
    """A key that signs, or nothing."""
    if value and not re.fullmatch(r"[\x21-\x7e]{16,}", value):
        raise ValidationError("is too short or has odd characters: copy the whole key")


def are_logins(value: list[str]) -> None:
    """`user:password`, fit to stand in an address as `https://user:password@...`; two while one replaces the other."""
    for word in value:
        if not re.fullmatch(r"[A-Za-z0-9._~-]{1,64}:[A-Za-z0-9._~-]{24,}", word):
            raise ValidationError("is no user:password of letters and digits, the password of 24 or more")


def is_https(value: str) -> None:
    """An https address."""
    if urlsplit(value).scheme != "https" or not urlsplit(value).netloc:
        raise ValidationError(f"{value!r} is no https address")


def is_broker(value: str) -> None:
    """One of the brokers there are couriers for."""
    if value not in ("orm", "redis", "sqs"):
        raise ValidationError(f"{value!r} is not one of orm, redis, sqs")


def is_rate(value: str) -> None:
    """A count and a period: `6000/m`, `100/10s`."""
    if not re.fullmatch(r"[1-9]\d{0,8}/([1-9]\d{0,3})?[smhd]", value):
        raise ValidationError(f"{value!r} is no rate: write 6000/m, for example")


def explain(wrong: EnvValidationError) -> str:
    """All that is wrong with the environment, as one message with a line for each variable."""
    messages = cast("dict[str, list[str]]", wrong.error_messages)
    lines = [f"  {name}: {'; '.join(map(str, found))}" for name, found in sorted(messages.items())]
    return "These settings are missing or wrong (environment or .env; see docs/settings.md):\n" + "\n".join(lines)
