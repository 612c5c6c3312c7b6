"""Sending an email through a provider: the dialogue of SMTP.

The session is Django's backend's (host, TLS and login of the provider); the dialogue is held here, since only who
holds it knows how far it came. An email whose content may have been taken is never sent again from here: the queue
tries it again, with the same Message-ID and through the same provider.
"""

import smtplib
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from typing import Protocol

from django.conf import settings
from django.core.mail import EmailMultiAlternatives

from accounts.mail import mime
from accounts.mail.providers import breakers
from accounts.mail.providers.configured import Provider, configured, connect
from accounts.mail.smtp_errors import classify, classify_http, concerns_all, refusals
from accounts.mail.smtp_session import (
    Kept,
    address_of,
    classified,
    drop,
    forget,
    is_success,
    kept_connections,
    open_session,
)
from jobs import tracing
from jobs.core import counters
from jobs.core.errors import Configuration, JobError, Temporary

ACCEPTED = "accepted"  # the outcome of an email that a mail server took, as counted; others are classes of errors
IDLE_SECONDS = 60  # a connection unused for longer is not trusted: firewalls forget it without a word


class Bindable(Protocol):
    """A job, as far as its email is concerned."""

    bound_to: str
    """The provider that may have taken the email: no other may be tried again. Stored with a failed attempt."""


@dataclass
class Unbound:
    """A `Bindable` for an email without a job."""

    bound_to: str = ""


def send_mail(mail: mime.Mail, job: Bindable | None = None) -> None:
    """Send an email through the first provider whose breaker is closed; return once the provider has it.

    A provider that cannot take any email opens its breaker, and the email goes through the next one, unless the first
    may have taken it. Raise one of `jobs.core.errors`.
    """
    job = job or Unbound()
    bound_before = bool(job.bound_to)
    faults: list[JobError] = []
    for provider in breakers.this_process.route(job.bound_to):
        try:
            return _send_through(provider, mail, job)
        except JobError as error:
            if not breakers.blames_provider(error):
                raise
            breakers.this_process.open(provider, error)
            if job.bound_to:
                error.slow = (bound_before and len(configured()) > 1) or error.slow  # it waits for this one alone
                raise
            faults.append(error)
    raise breakers.this_process.gravest(faults)


def _send_through(provider: Provider, mail: mime.Mail, job: Bindable) -> None:
    with tracing.span("send mail", "client", notifier__provider=provider.name, notifier__mail=mail.kind):
        _send_with(provider, mail, job)


def _send_with(provider: Provider, mail: mime.Mail, job: Bindable) -> None:
    if provider.speaks_smtp:
        raw = mime.as_bytes(mail)
        with _counted(provider):
            _send(provider, mail, raw, job)
    else:
        with _counted(provider):
            _hand_over(provider, mime.as_message(mail), job)


def exchange_breakers() -> None:
    """Exchange with other processes which providers are out of use (`jobs.core.job_types.Execution.exchange`)."""
    breakers.this_process.exchange()


def probe_server(provider: Provider | None = None) -> None:
    """Ask a mail server whether it would take an email, up to the recipient. Raise `jobs.core.errors`.

    Connection, TLS, login, sender and SUPPORT_EMAIL as the recipient, then RSET: no email is sent. A refusal of that
    one recipient says nothing about others. Uses a connection of its own; backends other than SMTP are not asked.
    provider: the first one if none is given.
    """
    provider = provider or configured()[0]
    if not provider.speaks_smtp:
        return
    backend, smtp = open_session(provider)
    try:
        with classified():
            sender = address_of(settings.DEFAULT_FROM_EMAIL)
            code, reply = smtp.mail(sender)
            if not is_success(code):
                raise smtplib.SMTPSenderRefused(code, reply, sender)
            code, reply = smtp.rcpt(settings.SUPPORT_EMAIL)
            if not is_success(code) and concerns_all(code, reply):
                raise smtplib.SMTPRecipientsRefused({settings.SUPPORT_EMAIL: (code, reply)})
            smtp.rset()
        with suppress(OSError, smtplib.SMTPException):
            smtp.quit()
    finally:
        drop(backend)


def close_connection() -> None:
    """End the kept connections of this thread with QUIT."""
    for provider, kept in list(kept_connections().items()):
        with suppress(OSError, smtplib.SMTPException):
            kept.smtp.quit()
        forget(provider)


def _hand_over(provider: Provider, message: EmailMultiAlternatives, job: Bindable) -> None:
    """Give the email to a backend that is not SMTP: console, file, locmem, a service's HTTP interface."""
    before, job.bound_to = job.bound_to, provider.name
    try:
        sent = connect(provider).send_messages([message])
    except Exception as exc:
        if judged := classify_http(exc):
            if judged.code in range(400, 500):  # after a 5xx of a gateway the service may have it
                job.bound_to = before
            raise judged from exc
        raise
    if sent == 0:
        job.bound_to = before
        raise Temporary(f"{provider.backend} did not take the mail and gave no reason")


def _send(provider: Provider, mail: mime.Mail, raw: bytes, job: Bindable) -> None:
    before = job.bound_to
    try:
        dialogue = _ready(provider, mail, len(raw))
        with classified():
            dialogue.name_recipient()
            job.bound_to = provider.name
            dialogue.deliver(raw)
    except JobError as refused:
        if _is_refused(refused):
            job.bound_to = before
        _recover(provider, refused)
        raise _judge(refused, mail, provider) from refused.__cause__
    except BaseException:  # the worker's alarm, too: the dialogue has stopped in the middle
        forget(provider)
        raise
    refusals.forget()
    kept_connections()[provider].used = time.monotonic()


def _judge(refused: JobError, mail: mime.Mail, provider: Provider) -> JobError:
    """Return the refusal as it counts; one of another site's own sender concerns that site alone."""
    judged = refusals.judge(refused, mail.to, provider.name)
    foreign = not mail.brand.own and mail.brand.sender_differs
    if foreign and isinstance(judged, Configuration) and isinstance(refused.__cause__, smtplib.SMTPSenderRefused):
        judged.slow = True
    return judged


def _is_refused(error: JobError) -> bool:
    """Whether the provider has said that it did not take the email: with a reply of 4xx or 5xx."""
    return error.code is not None and 400 <= error.code < 600


def _ready(provider: Provider, mail: mime.Mail, size: int) -> "Dialogue":
    """Open a dialogue in which the sender is named and accepted.

    A kept connection may have died unseen. Nothing is lost by then, so a new one is opened, once.
    """
    kept = kept_connections().get(provider)
    if kept is not None and time.monotonic() - kept.used < IDLE_SECONDS:
        try:
            return Dialogue(kept.smtp, mail, size)
        except (OSError, smtplib.SMTPException) as exc:
            if isinstance(exc, smtplib.SMTPResponseException) and exc.smtp_code != 421:
                raise classify(exc) from exc
    forget(provider)
    backend, smtp = open_session(provider)
    kept_connections()[provider] = Kept(backend)
    with classified():
        return Dialogue(smtp, mail, size)


def _recover(provider: Provider, refused: JobError) -> None:
    """After a refusal in words the session goes on with RSET; after 421 or silence it is over."""
    kept = kept_connections().get(provider)
    if kept is None:
        return
    if refused.code in (None, 421):
        forget(provider)
        return
    try:
        kept.smtp.rset()
        kept.used = time.monotonic()
    except (OSError, smtplib.SMTPException):
        forget(provider)


class Dialogue:
    """The SMTP commands of one email: MAIL, RCPT and DATA, then its content.

    Where the server offers PIPELINING (RFC 2920) the three go out as one packet, else each after the other's answer.
    Raises what smtplib raises, with the server's answer.
    """

    def __init__(self, smtp: smtplib.SMTP, mail: mime.Mail, size: int) -> None:
        """Begins it; returns when the server has accepted the sender. size: bytes of the content."""
        self.smtp, self.recipient = smtp, mail.to
        sender = address_of(mail.brand.sender)
        options = f" SIZE={size}" if smtp.has_extn("size") else ""
        self._commands = [f"MAIL FROM:<{sender}>{options}\r\n", f"RCPT TO:<{mail.to}>\r\n", "DATA\r\n"]
        self._unanswered = 0
        code, reply = self._next()
        if not is_success(code):
            self._abandon(code)
            raise smtplib.SMTPSenderRefused(code, reply, sender)

    def name_recipient(self) -> None:
        """Name the recipient; return when the server waits for the content."""
        code, reply = self._next()
        if not is_success(code):
            self._abandon(code)
            raise smtplib.SMTPRecipientsRefused({self.recipient: (code, reply)})
        code, reply = self._next()
        if code != 354:
            raise smtplib.SMTPDataError(code, reply)

    def deliver(self, raw: bytes) -> None:
        """Send the content; return when the server has accepted it."""
        self.smtp.send(raw.replace(b"\r\n.", b"\r\n..") + b"\r\n.\r\n")
        code, reply = self.smtp.getreply()
        if not is_success(code):
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
        """Read the replies to pipelined commands after a refusal. Send no content, even if the server accepts it."""
        if refused == 421:
            return
        with suppress(OSError, smtplib.SMTPException):  # which close the connection
            code = 0
            while self._unanswered:
                code, _ = self._next()
            if code == 354:
                self.smtp.send(".\r\n")
                self.smtp.getreply()


@contextmanager
def _counted(provider: Provider) -> Iterator[None]:
    """Count the result of one email; it is written with the settlement of its job."""
    outcome = ACCEPTED
    try:
        yield
    except Exception as exc:
        outcome = getattr(exc, "error_class", "unknown")
        raise
    finally:
        counters.note(counters.Count("mails", (outcome, provider.name)))
