"""The mail providers of the settings: that of EMAIL_BACKEND first, then the one of EMAIL_FALLBACK_URL."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import lru_cache
from typing import Any

from django.conf import settings
from django.core.mail.backends.smtp import EmailBackend
from django.utils.module_loading import import_string

SMTP_BACKEND = "django.core.mail.backends.smtp.EmailBackend"


@dataclass(frozen=True)
class Provider:
    """One way for an email to leave."""

    name: str
    """`host:port`; for a backend that is not SMTP the name of its module."""
    backend: str
    host: str = ""
    port: int = 0
    user: str = ""
    password: str = field(default="", repr=False)
    use_tls: bool = False
    use_ssl: bool = False

    @property
    def speaks_smtp(self) -> bool:
        """Whether the backend is SMTP, or one made of it."""
        return _speaks_smtp(self.backend)


def configured() -> tuple[Provider, ...]:
    """Return the providers, in the order in which they are preferred."""
    first = (
        settings.EMAIL_HOST,
        settings.EMAIL_PORT,
        settings.EMAIL_HOST_USER,
        settings.EMAIL_HOST_PASSWORD,
        settings.EMAIL_USE_TLS,
        settings.EMAIL_USE_SSL,
    )
    return _configured(settings.EMAIL_BACKEND, first, tuple(settings.EMAIL_FALLBACK.items()))


def server_name(host: str, port: int) -> str:
    """Return the name of an SMTP server, `mail.example.mn:587` or `[2001:db8::1]:25`."""
    return f"[{host}]:{port}" if ":" in host else f"{host}:{port}"


@lru_cache(maxsize=64)
def _configured(backend: str, first: tuple[Any, ...], fallback: tuple[tuple[str, Any], ...]) -> tuple[Provider, ...]:
    host, port, *login = first
    if _speaks_smtp(backend):
        preferred = Provider(server_name(host, port), backend, host, port, *login)
    else:
        preferred = Provider(backend.split(".")[-2] if "." in backend else backend, backend)
    return (preferred, _second(dict(fallback))) if fallback else (preferred,)


def _second(url: Mapping[str, Any]) -> Provider:
    name = server_name(url["HOST"], url["PORT"])
    login = (url["USER"], url["PASSWORD"], url["USE_TLS"], url["USE_SSL"])
    return Provider(name, SMTP_BACKEND, url["HOST"], url["PORT"], *login)


@lru_cache(maxsize=16)
def _speaks_smtp(backend: str) -> bool:
    return issubclass(import_string(backend), EmailBackend)
