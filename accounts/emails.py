"""Sending the mail; the only module that speaks SMTP.

The session is Django's backend's (host, TLS and login by its settings); the dialogue is held here, since only who
holds it knows how far it came. A mail whose content may have been taken is never sent again from here: the queue
tries it again, with the same Message-ID.
"""

import os
import smtplib
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from email.utils import parseaddr
from typing import Any, cast

from django.conf import settings
from django.core.mail import EmailMultiAlternatives, get_connection
from django.core.mail.backends.smtp import EmailBackend
from django.utils.module_loading import import_string

from accounts import letters, messages
from accounts.addresses import deliverable
from accounts.smtp_errors import judge, judge_http
from jobs import counters
from jobs.errors import JobError, Temporary

IDLE_SECONDS = 60  # a connection unused for longer is not trusted: firewalls forget it without a word

_kept = threading.local()


def send_sign_in_notice(job_id: str, payload: dict[str, Any]) -> None:
    """Renders and sends the notice of a sign-in. Raises as `send` does."""
    send(messages.compose(job_id, letters.write(payload), payload.get("email")))


def send(message: EmailMultiAlternatives) -> None:
    """Sends a mail to its one recipient; returns once the mail server has it. Raises `jobs.errors`."""
    (address,) = message.to
    message.to = [deliverable(address)]
    message.encoding = message.encoding or messages.UTF8
    raw = messages.on_the_wire(message)
    with _counted():
        if _speaks_smtp():
            _send(message.to[0], raw)
        else:
            _hand_over(message)


def probe() -> None:
    """Asks the mail server whether it would take a mail: connection, TLS, login, sender. Raises `jobs.errors`.

    Asks on a connection of its own. Backends other than SMTP are not asked.
    """
    if not _speaks_smtp():
        return
    backend = cast(EmailBackend, get_connection())
    try:
        smtp = _open(backend)
        with _judged():
            _begin(smtp, [])
            smtp.rset()
        with suppress(OSError, smtplib.SMTPException):
            smtp.quit()
    finally:
        _drop(backend)


def hang_up() -> None:
    """Ends the kept connection of this thread with QUIT, if there is one."""
    backend = getattr(_kept, "backend", None)
    if backend and _kept.pid == os.getpid():
        with suppress(OSError, smtplib.SMTPException):
            backend.connection.quit()
    _forget()


def _speaks_smtp() -> bool:
    return issubclass(import_string(settings.EMAIL_BACKEND), EmailBackend)


def _hand_over(message: EmailMultiAlternatives) -> None:
    """Gives the mail to a backend that is not SMTP: console, file, locmem, a service's HTTP interface."""
    try:
        sent = get_connection().send_messages([message])
    except Exception as exc:
        if judged := judge_http(exc):
            raise judged from exc
        raise
    if sent == 0:
        raise Temporary(f"{settings.EMAIL_BACKEND} did not take the mail and gave no reason")


def _send(recipient: str, raw: bytes) -> None:
    try:
        smtp = _ready(len(raw))
        with _judged():
            _deliver(smtp, recipient, raw)
    except JobError as refused:
        _recover(refused)
        raise
    except BaseException:  # the worker's alarm, too: the dialogue has stopped in the middle
        _forget()
        raise
    _kept.used = time.monotonic()


def _ready(size: int) -> smtplib.SMTP:
    """A session in which the sender is named and accepted.

    A kept connection may have died unseen. Nothing is lost by then, so a new one is opened, once.
    """
    smtp = _reusable()
    if smtp is not None:
        try:
            _begin(smtp, _options(smtp, size))
            return smtp
        except (OSError, smtplib.SMTPException) as exc:
            if isinstance(exc, smtplib.SMTPResponseException) and exc.smtp_code != 421:
                raise judge(exc) from exc
    _forget()
    backend = cast(EmailBackend, get_connection())
    smtp = _open(backend)
    _kept.backend, _kept.pid, _kept.used = backend, os.getpid(), time.monotonic()
    with _judged():
        _begin(smtp, _options(smtp, size))
    return smtp


def _reusable() -> smtplib.SMTP | None:
    """The kept connection, if it is this process's, to the server of the settings, and fresh."""
    backend = getattr(_kept, "backend", None)
    fits = (
        backend is not None
        and _kept.pid == os.getpid()
        and time.monotonic() - _kept.used < IDLE_SECONDS
        and (backend.host, backend.port) == (settings.EMAIL_HOST, settings.EMAIL_PORT)
    )
    return backend.connection if backend and fits else None


def _open(backend: EmailBackend) -> smtplib.SMTP:
    try:
        with _judged(opening=True):
            backend.open()
            smtp = cast(smtplib.SMTP, backend.connection)
            smtp.ehlo_or_helo_if_needed()
    except BaseException:
        _drop(backend)
        raise
    return smtp


def _options(smtp: smtplib.SMTP, size: int) -> list[str]:
    return [f"size={size}"] if smtp.has_extn("size") else []


def _begin(smtp: smtplib.SMTP, options: list[str]) -> None:
    sender = parseaddr(settings.DEFAULT_FROM_EMAIL)[1]
    code, reply = smtp.mail(sender, options)
    if code != 250:
        raise smtplib.SMTPSenderRefused(code, reply, sender)


def _deliver(smtp: smtplib.SMTP, recipient: str, raw: bytes) -> None:
    code, reply = smtp.rcpt(recipient)
    if code not in (250, 251):
        raise smtplib.SMTPRecipientsRefused({recipient: (code, reply)})
    code, reply = smtp.data(raw)
    if code != 250:
        raise smtplib.SMTPDataError(code, reply)


def _recover(refused: JobError) -> None:
    """After a refusal in words the session goes on with RSET; after 421 or silence it is over."""
    backend = getattr(_kept, "backend", None)
    if backend is None:
        return
    if refused.code in (None, 421):
        _forget()
        return
    try:
        backend.connection.rset()
        _kept.used = time.monotonic()
    except (OSError, smtplib.SMTPException):
        _forget()


def _forget() -> None:
    backend, _kept.backend = getattr(_kept, "backend", None), None
    if backend is not None:
        _drop(backend)


def _drop(backend: EmailBackend) -> None:
    """Closes the socket without a word: a word would be waited for, and after a fork it is the parent's to say."""
    for smtp in (backend.connection, getattr(backend, "_partial_connection", None)):
        if smtp is not None:
            smtp.close()
    backend.connection = None


@contextmanager
def _counted() -> Iterator[None]:
    """Notes what became of one mail; it is written with the settlement of its job."""
    outcome = "accepted"
    try:
        yield
    except Exception as exc:
        outcome = getattr(exc, "error_class", "unknown")
        raise
    finally:
        counters.note(counters.Count("mails", (outcome,)))


@contextmanager
def _judged(*, opening: bool = False) -> Iterator[None]:
    """What smtplib, ssl or the socket raise inside leaves as one of `jobs.errors`."""
    try:
        yield
    except (OSError, smtplib.SMTPException) as exc:
        raise judge(exc, opening=opening) from exc
