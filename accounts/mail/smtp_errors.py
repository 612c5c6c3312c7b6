"""Errors of the mail server as errors of the job: an exception becomes one of `jobs.core.errors`.

A reply is judged by the table of `smtp_answers`; its blame decides the class of the error:

recipient, email            Permanent (5xx), Temporary (4xx)
us                          Configuration: every email would meet it; judged alone once a probe has succeeded
rate, quota                 Throttled, with the seconds the text names; a quota waits for minutes to hours
server                      Temporary, and an outage when it lasts
no answer in the dialogue   Temporary
refused, reset, closed, no DNS, silent    Unreachable
TLS, certificate, settings that cannot be used    Configuration
"""

import re
import smtplib
import ssl
import threading
import time
from collections.abc import Mapping

from accounts.mail.smtp_answers import Blame, Step, judge
from jobs.core.errors import Configuration, ErrorClass, JobError, Permanent, Temporary, Throttled, Unreachable, gist

LONGEST_REPLY = 500
REPETITIONS = 3  # recipients that are refused in the same words
REPETITION_SECONDS = 60.0
MOST_WORDS = 1000  # a server that never says the same words twice does not fill the memory
FOR_RECIPIENTS = 3600.0  # seconds for which words that a probe has refuted count as being about recipients
ENDLESS = "Line too long."  # smtplib's own words for a line without an end, as a reply 500
WAIT = re.compile(
    r"\b(\d{1,5})\s*(s|secs?|seconds?|m|mins?|minutes?|h|hrs?|hours?)\b|\b(\d\d):(\d\d):(\d\d)\b", re.IGNORECASE
)
UNIT = {"s": 1, "m": 60, "h": 3600}
STEPS = {
    smtplib.SMTPSenderRefused: (Step.SENDER, "the mail server refused the sender"),
    smtplib.SMTPRecipientsRefused: (Step.RECIPIENT, "the mail server refused the recipient"),
    smtplib.SMTPDataError: (Step.CONTENT, "the mail server refused the mail"),
    smtplib.SMTPAuthenticationError: (Step.LOGIN, "the mail server refused the login"),
}
OPENING = (Step.OPENING, "the mail server would not begin")


def classify(exc: Exception, *, opening: bool = False) -> JobError:
    """Return the job error that an exception of smtplib, ssl or the socket means.

    opening: it came before the session was ready (connection, greeting, TLS, login).
    """
    root = _root(exc)
    match root:
        case smtplib.SMTPResponseException() if root.smtp_error == ENDLESS:
            return Temporary("the mail server sent a line without an end")
        case smtplib.SMTPResponseException() | smtplib.SMTPRecipientsRefused():
            return _judge_reply(root)
        case smtplib.SMTPException() if not isinstance(root, smtplib.SMTPServerDisconnected):
            unable = opening or isinstance(root, smtplib.SMTPNotSupportedError)
            return (Configuration if unable else Temporary)(f"the mail server cannot do what the settings ask: {root}")
        case smtplib.SMTPServerDisconnected() | ssl.SSLEOFError() | ssl.SSLZeroReturnError():
            return Unreachable(f"the mail server closed the connection: {root}")
        case ssl.SSLError():
            return Configuration(f"no secure connection to the mail server: {root}")
        case TimeoutError():
            if opening:
                return Unreachable("the mail server did not answer in time when called")
            return Temporary("the mail server stopped answering in the middle of the dialogue")
        case ValueError():  # UnicodeError is one; its text may hold a part of the password
            return Configuration(
                "EMAIL_HOST, EMAIL_HOST_USER or EMAIL_HOST_PASSWORD has a character that SMTP cannot carry"
            )
    return Unreachable(f"the mail server cannot be reached: {root}")


def classify_http(exc: Exception) -> JobError | None:
    """Return the same for a mail service's HTTP interface (django-anymail); None for an exception without a status."""
    if type(exc).__name__ == "AnymailRecipientsRefused":
        return Permanent("the mail service does not write to this address")
    status = getattr(exc, "status_code", None)
    if not isinstance(status, int):
        return None
    message = f"the mail service answered {status}: {str(exc)[:LONGEST_REPLY]}"
    if status == 429:
        headers: Mapping[str, str] = getattr(getattr(exc, "response", None), "headers", {})
        seconds = str(headers.get("Retry-After", ""))
        return Throttled(message, code=status, retry_after=float(seconds) if seconds.isdecimal() else None)
    if status in (401, 402, 403):
        return Configuration(message, code=status)
    return (Permanent if 400 <= status < 500 and status != 408 else Temporary)(message, code=status)


def concerns_all(code: int, reply: bytes | str) -> bool:
    """Return whether a recipient's refusal may concern others too, unlike "no such mailbox" or "full"."""
    verdict = judge(code, _one_line(reply), Step.RECIPIENT)
    if verdict.blame is Blame.RATE:
        return code == 421
    return verdict.blame in (Blame.US, Blame.QUOTA, Blame.SERVER) or (code >= 500 and verdict.may_repeat)


class Refusals:
    """The refusals of this process: the same one for three recipients within a minute is about us, not about them.

    Compares the server's words (`jobs.core.errors.gist`); any success forgets them. 5.1.x, 5.2.x and texts about a
    recipient never count. Words that came again for a recipient that made us suspect ourselves, which a probe has
    refuted meanwhile, are about recipients for an hour: otherwise three bad addresses would suspend all email again.
    """

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._seen: dict[str, dict[str, float]] = {}
        """When each recipient was last refused, by the words of the refusal."""
        self._suspects: dict[str, set[str]] = {}
        """The recipients that made us suspect ourselves, by the words."""
        self._cleared: dict[str, float] = {}
        """When words were found to be about recipients."""

    def forget(self) -> None:
        """Record a success."""
        if self._seen:
            with self._lock:
                self._seen.clear()

    def judge(self, error: JobError, recipient: str, provider: str = "") -> JobError:
        """Return the error as it counts: a configuration error from the third recipient on.

        provider: the name of the one that refused; another one's words are not a repetition.
        """
        words = gist(_repeatable(error.__cause__))
        if not words:
            return error
        words = f"{provider} {words}"
        now = time.monotonic()
        with self._lock:
            for memory in (self._seen, self._suspects, self._cleared):
                if len(memory) > MOST_WORDS:
                    memory.clear()
            if recipient in self._suspects.get(words, ()):
                self._cleared[words] = now
            if now - self._cleared.get(words, -FOR_RECIPIENTS) < FOR_RECIPIENTS:
                return error
            seen = self._seen.setdefault(words, {})
            seen[recipient] = now
            for old in [address for address, at in seen.items() if now - at > REPETITION_SECONDS]:
                del seen[old]
            if len(seen) < REPETITIONS:
                return error
            self._suspects[words] = set(seen)
        return Configuration(str(error), code=error.code, alone=ErrorClass.PERMANENT)


refusals = Refusals()


def _repeatable(cause: BaseException | None) -> str:
    """Return the server's words if the same refusal of several recipients would be about us, otherwise ""."""
    if not isinstance(cause, smtplib.SMTPRecipientsRefused | smtplib.SMTPDataError):
        return ""
    step, code, words = _answer(cause)
    return f"{step} refused {words}" if code >= 500 and judge(code, words, step).may_repeat else ""


def _root(exc: Exception) -> Exception:
    """Return the timeout or TLS error that smtplib caught and reports as "disconnected"."""
    hidden = exc.__context__
    if isinstance(exc, smtplib.SMTPServerDisconnected) and isinstance(hidden, TimeoutError | ssl.SSLError):
        return hidden
    return exc


def _one_line(reply: bytes | str) -> str:
    text = reply.decode("utf-8", "replace") if isinstance(reply, bytes) else str(reply)
    return " ".join(text.split())[:LONGEST_REPLY]


def _answer(exc: Exception) -> tuple[Step, int, str]:
    """Return the step that the server refused, its reply code, and its words on one line."""
    step = STEPS.get(type(exc), OPENING)[0]
    if isinstance(exc, smtplib.SMTPRecipientsRefused):
        code, reply = next(iter(exc.recipients.values()))
    else:
        code, reply = exc.smtp_code, exc.smtp_error  # type: ignore[attr-defined]
    return step, code, _one_line(reply)


def _judge_reply(exc: Exception) -> JobError:
    step, code, text = _answer(exc)
    message = f"{STEPS.get(type(exc), OPENING)[1]}: {code} {text}".rstrip()
    if not 400 <= code < 600:
        return Temporary(message, code=code if code > 0 else None)
    match judge(code, text, step).blame:
        case Blame.US:
            alone = ErrorClass.CONFIGURATION if step in (Step.RECIPIENT, Step.CONTENT) else None
            return Configuration(message, code=code, alone=alone)
        case Blame.RATE:
            return Throttled(message, code=code, retry_after=_seconds(text))
        case Blame.QUOTA:
            return Throttled(message, code=code, retry_after=_seconds(text), slow=True)
        case Blame.SERVER:
            return Temporary(message, code=code, outage=True)
    return (Permanent if code >= 500 else Temporary)(message, code=code)


def _seconds(text: str) -> float | None:
    found = WAIT.search(text)
    if not found:
        return None
    if found[1]:
        return float(found[1]) * UNIT[found[2][0].lower()]
    return float(found[3]) * 3600 + float(found[4]) * 60 + float(found[5])
