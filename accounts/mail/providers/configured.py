"""The mail providers of the settings: those of MAILERS, in its order.

Django reads MAILERS since 6.1. Before that, only this module does: it is the one place that knows the difference.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import lru_cache
from typing import Any, cast

from django.conf import settings
from django.core import mail
from django.core.mail.backends.base import BaseEmailBackend
from django.core.mail.backends.smtp import EmailBackend
from django.utils.module_loading import import_string

SMTP_DEFAULTS = {"host": "127.0.0.1", "port": 25}
Options = tuple[tuple[str, Any], ...]


@dataclass(frozen=True)
class Provider:
    """One way for an email to leave."""

    name: str
    """`host:port`; for a backend that is not SMTP the name of its module."""
    backend: str
    alias: str = "default"
    """Its key in MAILERS."""
    host: str = ""
    port: int = 0
    username: str = ""
    password: str = field(default="", repr=False)
    use_tls: bool = False
    use_ssl: bool = False
    timeout: float | None = None
    """Seconds of silence after which the server is given up."""

    @property
    def speaks_smtp(self) -> bool:
        """Whether the backend is SMTP, or one made of it."""
        return _speaks_smtp(self.backend)


def configured() -> tuple[Provider, ...]:
    """Return the providers, in the order in which they are preferred."""
    return tuple(
        _provider(alias, mailer["BACKEND"], tuple(mailer.get("OPTIONS", {}).items()))
        for alias, mailer in settings.MAILERS.items()
    )


def connect(provider: Provider) -> BaseEmailBackend:
    """Return a new instance of the backend of a provider that is not SMTP, with its options of MAILERS."""
    if mailers := getattr(mail, "mailers", None):
        return cast(BaseEmailBackend, mailers[provider.alias])
    options: Mapping[str, Any] = settings.MAILERS[provider.alias].get("OPTIONS", {})
    return cast(BaseEmailBackend, import_string(provider.backend)(**options))


def server_name(host: str, port: int) -> str:
    """Return the name of an SMTP server, `mail.example.mn:587` or `[2001:db8::1]:25`."""
    return f"[{host}]:{port}" if ":" in host else f"{host}:{port}"


@lru_cache(maxsize=64)
def _provider(alias: str, backend: str, options: Options) -> Provider:
    if not _speaks_smtp(backend):
        return Provider(backend.split(".")[-2] if "." in backend else backend, backend, alias)
    server: dict[str, Any] = {**SMTP_DEFAULTS, **dict(options)}
    return Provider(server_name(server["host"], server["port"]), backend, alias, **server)


@lru_cache(maxsize=16)
def _speaks_smtp(backend: str) -> bool:
    return issubclass(import_string(backend), EmailBackend)
