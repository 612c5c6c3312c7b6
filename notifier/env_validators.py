"""Validators and parsers of single environment values, used only by settings.py.

A validator takes the value as environs read it (already converted). It raises `ValidationError` with what is wrong and
what to write instead. environs collects these errors, so that the start ends with one message.
"""

import ipaddress
import re
import ssl
import zoneinfo
from collections.abc import Callable
from email.utils import parseaddr
from pathlib import Path
from typing import Any, cast
from urllib.parse import quote, urlsplit

import dj_database_url
from environs import EnvValidationError, ValidationError

from jobs.conf import BROKERS

MAX_FROM_NAME = 22  # characters: phones cut off longer Cyrillic names in the list of emails
TRUE, FALSE = {"1", "true", "t", "yes", "y", "on"}, {"", "0", "false", "f", "no", "n", "off"}
DATABASE_SCHEMES = ("postgres", "postgresql", "sqlite")
LONG_KEY = 32  # characters
ENGINES = {"postgres": "notifier.web.postgresql", "postgresql": "notifier.web.postgresql"}
RESERVED = "#/?[]"  # they end or break the user name and password of a URL


def parse_flag(value: str | bool) -> bool:
    """Convert a boolean. An empty value means off, as PaaS templates and `docker compose` write it."""
    word = str(value).strip().lower()
    if word not in TRUE | FALSE:
        raise ValidationError(f"{value!r} is not a valid boolean: write 1 or 0")
    return word in TRUE


def parse_database_url(value: str) -> dict[str, Any]:
    """Convert DATABASE_URL to an entry of DATABASES. The messages never repeat the URL, which holds a password.

    `pgbouncer=true` means a pooler in transaction mode: no server-side cursors.
    """
    scheme, separator, rest = value.strip().partition("://")
    if not separator or scheme not in DATABASE_SCHEMES:
        raise ValidationError("only PostgreSQL and SQLite are supported: write postgres://user:password@host:5432/name")
    if scheme != "sqlite":
        refuse_reserved_characters(rest)
    try:
        database = cast("dict[str, Any]", dj_database_url.parse(value.strip(), engine=ENGINES.get(scheme)))
    except ValueError:
        raise ValidationError("is not a valid URL: write postgres://user:password@host:5432/name") from None
    pooled = database.get("OPTIONS", {}).pop("pgbouncer", False)
    if pooled not in (True, False, 0, 1):
        raise ValidationError("pgbouncer must be true or false")
    return database | ({"DISABLE_SERVER_SIDE_CURSORS": True} if pooled else {})


def refuse_reserved_characters(rest: str) -> None:
    """Raise ValidationError when the user name or password of a URL (without its scheme) is not percent-encoded."""
    netloc = re.split(r"[/?#]", rest, maxsplit=1)[0]
    credentials = rest.rpartition("@")[0]
    query = rest.partition("?")[2].partition("@")[0]
    if len(credentials) <= len(netloc) or "=" in query:  # the last @ is in the netloc, or in the value of an option
        credentials = netloc.rpartition("@")[0]
    found = [character for character in RESERVED if character in credentials]
    if re.search(r"%(?![0-9A-Fa-f]{2})", credentials):
        found.append("%")
    if found:
        encoded = ", ".join(f"{character} as {quote(character, safe='')}" for character in found)
        raise ValidationError(f"the user name or password has characters that must be percent-encoded: write {encoded}")


def at_least(smallest: float) -> Callable[[float], None]:
    """Return a validator of numbers that are `smallest` or more."""

    def check(value: float) -> None:
        if value < smallest:
            raise ValidationError(f"{value} is too small: at least {smallest}")

    return check


def is_given(value: str) -> None:
    """Refuse an empty value: `NAME=` in `.env` does not set anything."""
    if not value.strip():
        raise ValidationError("is empty: give it a value, or leave the line out")


def is_file(value: str) -> None:
    """Require the path of an existing file; /dev/null is accepted."""
    if not Path(value).exists() or Path(value).is_dir():
        raise ValidationError(f"{value!r} is not a file")


def is_port(value: int) -> None:
    """Require a TCP port: 1 to 65535."""
    if not 1 <= value <= 65535:
        raise ValidationError(f"{value} is not a valid port: 1 to 65535")


def is_host(value: str) -> None:
    """Require an address or host name to listen at: 127.0.0.1, 0.0.0.0, ::, localhost."""
    try:
        ipaddress.ip_address(value)
        valid = True
    except ValueError:
        valid = bool(re.fullmatch(r"[A-Za-z0-9][A-Za-z0-9.-]{0,252}", value))
    if not valid:
        raise ValidationError(f"{value!r} is not a valid address: write 127.0.0.1, 0.0.0.0 or ::")


def is_ehlo_name_if_given(value: str) -> None:
    """Require a host name or an address literal such as [192.0.2.1], or nothing."""
    if value and not re.fullmatch(r"[A-Za-z0-9]([A-Za-z0-9.-]{0,252})|\[[A-Za-z0-9:.]+\]", value):
        raise ValidationError(f"{value!r} is not a valid host name: write mail.example.mn")


def default_ehlo_name(host: str) -> str:
    """Return the EHLO name for the site's host: the host name, or an address literal (RFC 5321, 4.1.3)."""
    try:
        address = ipaddress.ip_address(host)
    except ValueError:
        return host
    return f"[IPv6:{address}]" if address.version == 6 else f"[{address}]"


def is_site_url(value: str) -> None:
    """Require an http or https URL without a path: `https://example.mn`."""
    try:
        parts = urlsplit(value)
        valid = parts.scheme in ("http", "https") and parts.hostname and (parts.port is None or parts.port > 0)
    except ValueError:
        valid = False
    if not valid or parts.path.strip("/") or parts.query:
        raise ValidationError(f"{value!r} is not a valid site URL: write https://example.mn, without a path")


def is_address(value: str) -> None:
    """Require one email address in ASCII, as SMTP takes it without SMTPUTF8."""
    if not re.fullmatch(r"[A-Za-z0-9.!#$%&'*+/=?^_`{|}~-]{1,64}@[A-Za-z0-9-]+(\.[A-Za-z0-9-]+)*", value):
        raise ValidationError(f"{value!r} is not a valid email address: write help@example.mn")


def are_addresses(value: list[str]) -> None:
    """Require email addresses."""
    for word in value:
        is_address(word)


def is_url_if_given(value: str) -> None:
    """Require an http or https URL without a user name, or nothing. The message does not repeat it."""
    try:
        parts = urlsplit(value)
        valid = parts.scheme in ("http", "https") and parts.hostname and parts.port != 0 and "@" not in parts.netloc
    except ValueError:
        valid = False
    if value and (not valid or not re.fullmatch(r"[!-~]{1,500}", value) or "#" in value):
        raise ValidationError("is not a valid URL: write https://example.mn/path, in ASCII")


def is_sender(value: str) -> None:
    """Require `Name <address>` or a bare address, with a name of at most 22 characters."""
    name, address = parseaddr(value)
    is_address(address)
    if len(name) > MAX_FROM_NAME:
        raise ValidationError(f"the name {name!r} is longer than {MAX_FROM_NAME} characters")


def is_mail_host(value: str) -> None:
    """Require the name or the address of a mail server, without a scheme or a port."""
    is_given(value)
    try:
        ipaddress.ip_address(value.strip("[]"))
    except ValueError:
        labels = value.removesuffix(".").split(".")
        if len(value) > 253 or not all(re.fullmatch(r"[^\W_]([\w-]{0,61}[^\W_])?", label) for label in labels):
            raise ValidationError(f"{value!r} is not a host name: write smtp.example.mn, without a port") from None


def is_ascii(value: str) -> None:
    """Require a name or password fit for SMTP's login, which carries ASCII alone. The message does not repeat it."""
    odd = [f"number {place} (U+{ord(char):04X})" for place, char in enumerate(value, 1) if not " " <= char <= "~"]
    if odd:
        raise ValidationError(f"has characters other than ASCII, which mail servers cannot take: {', '.join(odd[:3])}")


def are_certificates_if_given(value: str) -> None:
    """Require a file of certificates in PEM, or nothing."""
    if value:
        try:
            ssl.create_default_context(cafile=value)
        except (OSError, ValueError) as wrong:
            raise ValidationError(f"{value!r} is not a readable file of certificates in PEM ({wrong})") from None


def is_zone(value: str) -> None:
    """Require a name of the IANA time zone database."""
    if value not in zoneinfo.available_timezones():
        raise ValidationError(f"{value!r} is not a known time zone: write Asia/Ulaanbaatar, for example")


def are_networks(value: list[str]) -> None:
    """Require networks of proxies, `10.0.0.0/8`, or the word `unix`; never the whole internet."""
    for word in value:
        if word == "unix":
            continue
        try:
            network = ipaddress.ip_network(word)
        except ValueError as error:
            raise ValidationError(f"{error}: write 10.0.0.0/8, fd00::/8, one address, or unix") from None
        if network.prefixlen == 0:
            raise ValidationError(f"{word} would trust every client: name only the networks of your proxies")


def are_domains(value: list[str]) -> None:
    """Require domains of email addresses: `example.mn`."""
    for word in value:
        if not re.fullmatch(r"[A-Za-z0-9-]+(\.[A-Za-z0-9-]+)+", word):
            raise ValidationError(f"{word!r} is not a valid domain: write example.mn, without @")


def is_file_if_given(value: str) -> None:
    """Require the path of a file, or nothing."""
    if value:
        is_file(value)


def is_token_if_given(value: str) -> None:
    """Require a secret of 24 or more characters, or nothing."""
    if value and not re.fullmatch(r"[\x21-\x7e]{24,}", value):
        raise ValidationError("is too short or has unusual characters: 24 or more letters and digits, or leave it out")


def is_key_if_given(value: str) -> None:
    """Require a signing key, or nothing."""
    if value and not re.fullmatch(r"[\x21-\x7e]{16,}", value):
        raise ValidationError("is too short or has unusual characters: copy the whole key")


def is_long_key_if_given(value: str) -> None:
    """Require a secret of 32 or more characters, or nothing."""
    if value and len(value) < LONG_KEY:
        raise ValidationError(f"is too short: {LONG_KEY} or more random characters, or leave it out")


def are_keys(value: list[str]) -> None:
    """Require former keys: none of them empty."""
    if not all(key.strip() for key in value):
        raise ValidationError("has an empty key: write former keys separated by commas, or leave it out")


def is_staff_mfa(value: str) -> None:
    """Require "required" or "optional"."""
    if value not in ("required", "optional"):
        raise ValidationError(f"{value!r} is not a valid choice: write required or optional")


def are_logins(value: list[str]) -> None:
    """Require `user:password` pairs that fit into a URL; two while one replaces the other."""
    for word in value:
        if not re.fullmatch(r"[A-Za-z0-9._~-]{1,64}:[A-Za-z0-9._~-]{24,}", word):
            raise ValidationError("must be user:password of letters and digits, with a password of 24 or more")


def is_https(value: str) -> None:
    """Require an https URL."""
    if urlsplit(value).scheme != "https" or not urlsplit(value).netloc:
        raise ValidationError(f"{value!r} is not a valid https URL")


def is_dsn_if_given(value: str) -> None:
    """Require the DSN of a Sentry project, or nothing. The message does not repeat it."""
    if value and not re.fullmatch(r"https?://[^@/\s]+@[^/\s]+/(\S*/)?\d+", value):
        raise ValidationError("is not a valid DSN: write https://KEY@sentry.example.mn/1")


def is_broker(value: str) -> None:
    """Require the name of a broker that the project has."""
    if value not in BROKERS:
        raise ValidationError(f"{value!r} is not one of {', '.join(BROKERS)}")


def is_rate(value: str) -> None:
    """Require a count and a period: `6000/m`, `100/10s`."""
    if not re.fullmatch(r"[1-9]\d{0,8}/([1-9]\d{0,3})?[smhd]", value):
        raise ValidationError(f"{value!r} is not a valid rate: write 6000/m, for example")


def explain(error: EnvValidationError) -> str:
    """Return everything that is wrong with the environment as one message, with a line for each variable."""
    messages = cast("dict[str, list[str]]", error.error_messages)
    lines = [f"  {name}: {'; '.join(map(str, found))}" for name, found in sorted(messages.items())]
    return "These settings are missing or wrong (environment or .env; see docs/settings.md):\n" + "\n".join(lines)
