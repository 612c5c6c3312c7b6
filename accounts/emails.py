"""Sending the mail; the only module that speaks SMTP.

The session is Django's backend's (host, TLS and login by its settings); the dialogue is held here, since only who
holds it knows how far it came. A mail whose content may have been taken is never sent again from here: the queue
tries it again, with the same Message-ID.
"""

import os
import smtplib
import socket
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from email.utils import parseaddr
from functools import lru_cache
from typing import Any, cast

from django.conf import settings
from django.core.mail import EmailMultiAlternatives, get_connection
from django.core.mail.backends.smtp import EmailBackend
from django.utils.module_loading import import_string

from accounts import letters, messages, rendering
from accounts.addresses import deliverable
from accounts.smtp_errors import judge, judge_http
from jobs import counters
from jobs.errors import JobError, Temporary

IDLE_SECONDS = 60  # a connection unused for longer is not trusted: firewalls forget it without a word

_kept = threading.local()


def send_sign_in_notice(job_id: str, payload: dict[str, Any]) -> None:
    """Renders and sends the notice of a sign-in. Raises as `send` does."""
    letter = letters.write(payload)
    to = deliverable(payload.get("email"))
    send(messages.Mail(job_id, to, letter.language, *rendering.render(letter)))


def send(mail: messages.Mail) -> None:
    """Sends a mail; returns once the mail server has it. Raises `jobs.errors`."""
    if _speaks_smtp():
        raw = messages.as_bytes(mail)
        with _counted():
            _send(mail.to, raw)
    else:
        with _counted():
            _hand_over(messages.as_message(mail))


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
            code, reply = smtp.mail(_sender())
            if code != 250:
                raise smtplib.SMTPSenderRefused(code, reply, _sender())
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


def _sender() -> str:
    return _address_of(settings.DEFAULT_FROM_EMAIL)


@lru_cache(maxsize=8)
def _address_of(sender: str) -> str:
    return parseaddr(sender)[1]


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
        dialogue = _ready(recipient, len(raw))
        with _judged():
            dialogue.deliver(raw)
    except JobError as refused:
        _recover(refused)
        raise
    except BaseException:  # the worker's alarm, too: the dialogue has stopped in the middle
        _forget()
        raise
    _kept.used = time.monotonic()


def _ready(recipient: str, size: int) -> "Dialogue":
    """A dialogue in which the sender is named and accepted.

    A kept connection may have died unseen. Nothing is lost by then, so a new one is opened, once.
    """
    smtp = _reusable()
    if smtp is not None:
        try:
            return Dialogue(smtp, recipient, size)
        except (OSError, smtplib.SMTPException) as exc:
            if isinstance(exc, smtplib.SMTPResponseException) and exc.smtp_code != 421:
                raise judge(exc) from exc
    _forget()
    backend = cast(EmailBackend, get_connection())
    smtp = _open(backend)
    _kept.backend, _kept.pid, _kept.used = backend, os.getpid(), time.monotonic()
    with _judged():
        return Dialogue(smtp, recipient, size)


class Dialogue:
    """What is said about one mail: MAIL, RCPT and DATA, then the mail.

    Where the server offers PIPELINING (RFC 2920) the three go out as one packet, else each after the other's answer.
    Raises what smtplib raises, with the server's answer.
    """

    def __init__(self, smtp: smtplib.SMTP, recipient: str, size: int) -> None:
        """Begins it; returns when the server has accepted the sender."""
        self.smtp, self.recipient = smtp, recipient
        options = f" SIZE={size}" if smtp.has_extn("size") else ""
        self._commands = [f"MAIL FROM:<{_sender()}>{options}\r\n", f"RCPT TO:<{recipient}>\r\n", "DATA\r\n"]
        self._unanswered = 0
        code, reply = self._next()
        if code != 250:
            self._abandon(code)
            raise smtplib.SMTPSenderRefused(code, reply, _sender())

    def deliver(self, raw: bytes) -> None:
        """Names the recipient and hands the mail over; returns when the server has it."""
        code, reply = self._next()
        if code not in (250, 251):
            self._abandon(code)
            raise smtplib.SMTPRecipientsRefused({self.recipient: (code, reply)})
        code, reply = self._next()
        if code != 354:
            raise smtplib.SMTPDataError(code, reply)
        self.smtp.send(raw.replace(b"\r\n.", b"\r\n..") + b"\r\n.\r\n")
        code, reply = self.smtp.getreply()
        if code != 250:
            raise smtplib.SMTPDataError(code, reply)

    def _next(self) -> tuple[int, bytes]:
        """Says the next command, unless it has been said, and waits for its answer."""
        if not self._unanswered:
            together = len(self._commands) if self.smtp.has_extn("pipelining") else 1
            self.smtp.send("".join(self._commands[:together]))
            del self._commands[:together]
            self._unanswered = together
        self._unanswered -= 1
        return self.smtp.getreply()

    def _abandon(self, refused: int) -> None:
        """After a refusal, hears the answers to what was said ahead. A server that wants the mail still gets none."""
        if refused == 421:
            return
        with suppress(OSError, smtplib.SMTPException):  # which close the connection
            code = 0
            while self._unanswered:
                code, _ = self._next()
            if code == 354:
                self.smtp.send(".\r\n")
                self.smtp.getreply()


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
            cast(socket.socket, smtp.sock).setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)  # no waiting for ACKs
    except BaseException:
        _drop(backend)
        raise
    return smtp


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
