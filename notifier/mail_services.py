"""Mail services supported through django-anymail, the settings that they need, and the URL of a second mail server.

Used only by settings.py. The site does not start with a webhook whose posts it could not authenticate.
"""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from importlib.util import find_spec
from typing import Any
from urllib.parse import parse_qsl, unquote, urlsplit

from environs import ValidationError

from notifier import env_validators as check

BACKENDS = "anymail.backends."
DJANGO = "django.core.mail.backends."
SMTP, FILES = DJANGO + "smtp.EmailBackend", DJANGO + "filebased.EmailBackend"
INSTALL = "pip install --require-hashes -r requirements-{}.txt"


URL_FORM = "smtp://user:password@smtp.example.mn:587?tls=starttls"
TLS = {"starttls": (True, False), "ssl": (False, True), "no": (False, False)}  # use_tls, use_ssl
TLS_OF_PORT = {465: "ssl", 587: "starttls"}
PORT_OF_TLS = {"ssl": 465, "starttls": 587, "no": 25}


def parse_url(value: str) -> dict[str, Any]:
    """Convert EMAIL_FALLBACK_URL to options of the SMTP backend; {} when it is empty.

    The messages never repeat the URL, which holds a password.
    """
    if not value.strip():
        return {}
    scheme, separator, rest = value.strip().partition("://")
    if not separator or scheme.lower() != "smtp":
        raise ValidationError(f"is not a valid URL of an SMTP server: write {URL_FORM}")
    check.refuse_reserved_characters(rest)
    try:
        parts = urlsplit(value.strip())
        host, port = parts.hostname or "", parts.port
    except ValueError:
        raise ValidationError(f"is not a valid URL of an SMTP server: write {URL_FORM}") from None
    if parts.path.strip("/") or parts.fragment:
        raise ValidationError(f"has a path after the host, which SMTP does not know: write {URL_FORM}")
    check.is_mail_host(host)
    tls = _tls_of(parts.query, port)
    port = PORT_OF_TLS[tls] if port is None else port
    check.is_port(port)
    user, password = (unquote(text or "") for text in (parts.username, parts.password))
    if bool(user) != bool(password):
        raise ValidationError(f"has a user name without a password, or the reverse: write {URL_FORM}")
    for text in (user, password):
        check.is_ascii(text)
    use_tls, use_ssl = TLS[tls]
    login = {"username": user, "password": password}
    return {"host": host, "port": port, **login, "use_tls": use_tls, "use_ssl": use_ssl}


def _tls_of(query: str, port: int | None) -> str:
    """Return a key of TLS: that of the URL, otherwise what is usual at the port."""
    options = dict(parse_qsl(query, keep_blank_values=True))
    word = options.pop("tls", TLS_OF_PORT.get(port or 0, "no")).strip().lower()
    if options:
        raise ValidationError("has an option other than tls: only tls=starttls, tls=ssl and tls=no are known")
    word = "starttls" if word in check.TRUE else "no" if word in check.FALSE else word
    if word not in TLS:
        raise ValidationError("tls must be starttls, ssl or no")
    return word


def mailers(
    backend: str, smtp_server: dict[str, Any], folder: str | None, fallback: dict[str, Any]
) -> dict[str, dict[str, Any]]:
    """Return MAILERS: the backend with those options that it knows, and the second server if there is one.

    smtp_server: options of the SMTP backend, with an empty host if none was given; a class outside Django and
    django-anymail gets them with a host only. fallback: as `parse_url` returns it.
    """
    options: dict[str, Any] = {}
    if backend == FILES:
        options = {"file_path": folder}
    elif backend == SMTP or (smtp_server["host"] and not backend.startswith((BACKENDS, DJANGO))):
        options = {**smtp_server, "host": smtp_server["host"] or "127.0.0.1"}
    found = {"default": {"BACKEND": backend, "OPTIONS": options}}
    if fallback:
        found["fallback"] = {"BACKEND": SMTP, "OPTIONS": {**fallback, "timeout": smtp_server["timeout"]}}
    return found


@dataclass(frozen=True)
class Service:
    """The requirements of a mail service. Settings are named without ANYMAIL_."""

    sending_settings: tuple[str, ...] = ()  # required to send with it
    webhook_setting: str = "WEBHOOK_SECRET"  # required to authenticate its webhooks
    boto3: bool = False  # whether it needs the package


SERVICES = {
    "amazon_ses": Service(boto3=True),  # its credentials are AWS_*, which boto3 reads itself
    "brevo": Service(sending_settings=("BREVO_API_KEY",)),
    "mailgun": Service(sending_settings=("MAILGUN_API_KEY",), webhook_setting="MAILGUN_WEBHOOK_SIGNING_KEY"),
    "postmark": Service(sending_settings=("POSTMARK_SERVER_TOKEN",)),
}


def faults(backend: str, webhooks: list[str], given: Mapping[str, object]) -> Iterator[tuple[str, str]]:
    """Yield (setting, fault) for missing settings and packages. `given`: settings by name, without ANYMAIL_."""
    if backend.startswith(BACKENDS):
        name = backend.removeprefix(BACKENDS).partition(".")[0]
        yield from _missing("EMAIL_BACKEND", backend, name)
        for key in SERVICES[name].sending_settings if name in SERVICES else ():
            if not given[key]:
                yield f"ANYMAIL_{key}", f"EMAIL_BACKEND={backend} needs it"
    for name in webhooks:
        yield from _missing("ANYMAIL_WEBHOOKS", name, name)
        if name in SERVICES and not given[SERVICES[name].webhook_setting]:
            yield (
                f"ANYMAIL_{SERVICES[name].webhook_setting}",
                f"ANYMAIL_WEBHOOKS={name} needs it: without it, any client could post",
            )


def _missing(setting: str, value: str, name: str) -> Iterator[tuple[str, str]]:
    """Yield the fault of an unknown service or of a package that is not installed."""
    if name not in SERVICES:
        yield setting, f"{value!r} is not one of {', '.join(SERVICES)}; use SMTP for other services"
    elif find_spec("anymail") is None:
        yield setting, f"{value} needs django-anymail: {INSTALL.format('anymail')}"
    elif SERVICES[name].boto3 and find_spec("boto3") is None:
        yield setting, f"{value} needs boto3: {INSTALL.format('sqs')}"
