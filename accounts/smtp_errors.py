"""What an answer of the mail server, or none, means for a job: an exception becomes one of `jobs.errors`.

421, 429, 4.7.x, "too many", "rate"     Throttled, with the seconds the text names
other 4xx, no answer in the dialogue    Temporary
refused, reset, gone, no DNS, silent    Unreachable
530, 534, 535, 538, TLS, certificate,
5xx before a recipient is named         Configuration: it would meet every mail alike
5xx on the recipient or the content     Permanent
"""

import re
import smtplib
import ssl
from collections.abc import Mapping

from jobs.errors import Configuration, JobError, Permanent, Temporary, Throttled, Unreachable

LONGEST_REPLY = 500
AUTHENTICATION = {530, 534, 535, 538}
TOO_LARGE = 552
AUTH_DOWN = 454  # "temporary authentication failure", "TLS not available": 4.7.0, and no throttling
THROTTLED = re.compile(r"throttl|rate.?limit|sending rate|\btoo (many|fast)\b|slow down|grey-?list", re.IGNORECASE)
POLICY = re.compile(r"^\s*4\.7\.\d+\b")
WAIT = re.compile(r"\b(\d{1,5})\s*(s|secs?|seconds?|m|mins?|minutes?)\b", re.IGNORECASE)
SENTENCES = {
    smtplib.SMTPSenderRefused: "the mail server refused the sender",
    smtplib.SMTPRecipientsRefused: "the mail server refused the recipient",
    smtplib.SMTPDataError: "the mail server refused the mail",
    smtplib.SMTPAuthenticationError: "the mail server refused the login",
}


def judge(exc: Exception, *, opening: bool = False) -> JobError:
    """The job error that an exception of smtplib, ssl or the socket stands for.

    opening: it came before the session was ready (connection, greeting, TLS, login).
    """
    root = _root(exc)
    match root:
        case smtplib.SMTPRecipientsRefused():
            code, reply = next(iter(root.recipients.values()))
            return _reply(root, code, reply, opening)
        case smtplib.SMTPResponseException():
            return _reply(root, root.smtp_code, root.smtp_error, opening)
        case smtplib.SMTPServerDisconnected():
            return Unreachable(f"the mail server closed the connection: {root}")
        case smtplib.SMTPException():
            unable = opening or isinstance(root, smtplib.SMTPNotSupportedError)
            return (Configuration if unable else Temporary)(f"the mail server cannot do what the settings ask: {root}")
        case ssl.SSLEOFError() | ssl.SSLZeroReturnError():
            return Unreachable(f"the mail server closed the connection: {root}")
        case ssl.SSLError():
            return Configuration(f"no secure connection to the mail server: {root}")
        case TimeoutError():
            if opening:
                return Unreachable("the mail server did not answer in time when called")
            return Temporary("the mail server stopped answering in the middle of the dialogue")
    return Unreachable(f"the mail server cannot be reached: {root}")


def judge_http(exc: Exception) -> JobError | None:
    """The same for a mail service's HTTP interface (django-anymail); None for an exception that has no status."""
    if type(exc).__name__ == "AnymailRecipientsRefused":
        return Permanent("the mail service does not write to this address")
    status = getattr(exc, "status_code", None)
    if not isinstance(status, int):
        return None
    told = f"the mail service answered {status}: {str(exc)[:LONGEST_REPLY]}"
    if status == 429:
        headers: Mapping[str, str] = getattr(getattr(exc, "response", None), "headers", {})
        seconds = str(headers.get("Retry-After", ""))
        return Throttled(told, code=status, retry_after=float(seconds) if seconds.isdecimal() else None)
    if status in (401, 402, 403):
        return Configuration(told, code=status)
    return (Permanent if 400 <= status < 500 and status != 408 else Temporary)(told, code=status)


def _root(exc: Exception) -> Exception:
    """smtplib says "disconnected" of a timeout, too: what it caught then is the truth."""
    hidden = exc.__context__
    if isinstance(exc, smtplib.SMTPServerDisconnected) and isinstance(hidden, TimeoutError | ssl.SSLError):
        return hidden
    return exc


def _reply(exc: smtplib.SMTPException, code: int, reply: bytes | str, opening: bool) -> JobError:
    text = reply.decode("utf-8", "replace") if isinstance(reply, bytes) else str(reply)
    text = " ".join(text.split())[:LONGEST_REPLY]
    told = f"{SENTENCES.get(type(exc), 'the mail server would not begin')}: {code} {text}".rstrip()
    if code in (421, 429) or (400 <= code < 500 and code != AUTH_DOWN and POLICY.search(text)):
        return Throttled(told, code=code, retry_after=_seconds(text))
    if 400 <= code < 500:
        if THROTTLED.search(text):
            return Throttled(told, code=code, retry_after=_seconds(text))
        return Temporary(told, code=code)
    if code < 500:
        return Temporary(told, code=code if code > 0 else None)
    alike = (opening or isinstance(exc, smtplib.SMTPSenderRefused)) and code != TOO_LARGE
    return (Configuration if code in AUTHENTICATION or alike else Permanent)(told, code=code)


def _seconds(text: str) -> float | None:
    found = WAIT.search(text)
    return float(found[1]) * (60 if found[2].lower().startswith("m") else 1) if found else None
