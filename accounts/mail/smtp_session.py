"""The session with a mail server: connection, greeting, TLS and login, as its provider's settings ask.

The session is that of Django's SMTP backend, with three things added: the name of EHLO (EMAIL_EHLO_NAME), a certificate
authority of one's own (EMAIL_CA_FILE), and the server's words when it refuses the EHLO for now.
Connections are kept, one for each thread and provider.
"""

import os
import smtplib
import socket
import ssl
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from email.utils import parseaddr
from functools import lru_cache
from ipaddress import ip_address
from typing import Any, cast
from urllib.parse import urlsplit

from django.conf import settings
from django.core.mail.backends.smtp import EmailBackend
from django.utils.encoding import punycode
from django.utils.functional import cached_property
from django.utils.module_loading import import_string

from accounts.mail.providers.configured import Provider
from accounts.mail.smtp_errors import classify


class _Greeting:
    """smtplib follows a refused EHLO with HELO; after a temporary refusal (4xx) that would only fail."""

    def ehlo(self, name: str = "") -> tuple[int, bytes]:
        """Send EHLO. Raise SMTPHeloError with the server's words when it answers 4xx."""
        code, words = super().ehlo(name)  # type: ignore[misc]
        if 400 <= code < 500:
            raise smtplib.SMTPHeloError(code, words)
        return code, words


class _Plain(_Greeting, smtplib.SMTP):
    pass


class _Secure(_Greeting, smtplib.SMTP_SSL):
    pass


_session = threading.local()

OURS: dict[type[smtplib.SMTP], type[smtplib.SMTP]] = {smtplib.SMTP: _Plain, smtplib.SMTP_SSL: _Secure}


class _Backend:
    """What is added to the SMTP backend of the settings."""

    @property
    def connection_class(self) -> Callable[..., smtplib.SMTP]:
        """The function that opens a connection, called by the backend with its parameters."""
        theirs = super().connection_class  # type: ignore[misc]

        def connect(host: str, port: int, **parameters: Any) -> smtplib.SMTP:
            return OURS.get(theirs, theirs)(host, port, **{**parameters, "local_hostname": ehlo_name()})

        return connect

    @cached_property
    def ssl_context(self) -> ssl.SSLContext:
        """Return the backend's TLS context, which trusts the authorities of EMAIL_CA_FILE as well."""
        context: ssl.SSLContext = super().ssl_context  # type: ignore[misc]
        if settings.EMAIL_CA_FILE:
            context.load_verify_locations(settings.EMAIL_CA_FILE)
        return context


@lru_cache(maxsize=4)
def _backend_class(path: str) -> type[EmailBackend]:
    return cast(type[EmailBackend], type("Backend", (_Backend, import_string(path)), {}))


def ehlo_name() -> str:
    """Return the name by which the server is greeted: EMAIL_EHLO_NAME, otherwise the host of SITE_URL."""
    name = settings.EMAIL_EHLO_NAME or urlsplit(settings.SITE_URL).hostname or "localhost"
    try:
        return f"[{ip_address(name)}]"
    except ValueError:
        return punycode(name)


def open_session(provider: Provider) -> tuple[EmailBackend, smtplib.SMTP]:
    """Return an open session: the backend that holds it, and its connection. Raise `jobs.core.errors`."""
    backend = _backend_class(provider.backend)(
        alias=provider.alias,
        host=provider.host,
        port=provider.port,
        username=provider.username,
        password=provider.password,
        use_tls=provider.use_tls,
        use_ssl=provider.use_ssl,
        timeout=provider.timeout,
    )
    try:
        with classified(opening=True):
            backend.open()
            smtp = cast(smtplib.SMTP, backend.connection)
            smtp.ehlo_or_helo_if_needed()
            cast(socket.socket, smtp.sock).setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)  # no waiting for ACKs
    except BaseException:
        drop(backend)
        raise
    return backend, smtp


def drop(backend: EmailBackend) -> None:
    """Close the socket without QUIT: its reply takes time, and after a fork only the parent may send it."""
    for smtp in (backend.connection, getattr(backend, "_partial_connection", None)):
        if smtp is not None:
            smtp.close()
    backend.connection = None


@contextmanager
def classified(*, opening: bool = False) -> Iterator[None]:
    """Turn what smtplib, ssl or the socket raise into one of `jobs.core.errors`."""
    unusable = (ValueError,) if opening else ()  # a host, name or password that cannot be encoded
    try:
        yield
    except (OSError, smtplib.SMTPException, *unusable) as exc:
        raise classify(exc, opening=opening) from exc


def is_success(code: int) -> bool:
    """Return whether a reply is a success: any 2xx (RFC 5321, 4.2.1)."""
    return 200 <= code < 300


@lru_cache(maxsize=256)
def address_of(sender: str) -> str:
    """Return the address of a sender, without its name."""
    return parseaddr(sender)[1]


@dataclass
class Kept:
    """A connection that is kept for the next email."""

    backend: EmailBackend
    used: float = field(default_factory=time.monotonic)

    @property
    def smtp(self) -> smtplib.SMTP:
        """Return the open session."""
        return cast(smtplib.SMTP, self.backend.connection)


def kept_connections() -> dict[Provider, Kept]:
    """Return the kept connections of this thread; those of the process that forked this one are closed silently."""
    if getattr(_session, "pid", None) != os.getpid():
        for kept in getattr(_session, "kept", {}).values():
            drop(kept.backend)
        _session.pid, _session.kept = os.getpid(), {}
    kept_here: dict[Provider, Kept] = _session.kept
    return kept_here


def forget(provider: Provider) -> None:
    """Drop the kept connection to a provider, if there is one."""
    if kept := kept_connections().pop(provider, None):
        drop(kept.backend)
