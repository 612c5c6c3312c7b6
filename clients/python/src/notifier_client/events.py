"""Signed events that Notifier sends (Standard Webhooks 1.0), verified and typed."""

import base64
import binascii
import hashlib
import hmac
import json
import re
import time
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Literal

TOLERANCE_SECONDS = 300
Reason = Literal["missing-header", "wrong-signature", "outside-tolerance", "malformed-body"]


class InvalidEvent(Exception):
    """A request that is not a valid event. Answer it with 400."""

    def __init__(self, reason: Reason) -> None:
        super().__init__(reason)
        self.reason: Reason = reason


@dataclass(frozen=True)
class _Event:
    id: str
    """Equal for every delivery of one event."""

    timestamp: datetime
    """When the event occurred."""


@dataclass(frozen=True)
class DisputedSignIn:
    """The sign-in that was not the user's."""

    timestamp: datetime
    provider: str
    browser: str
    system: str
    new_device: bool
    signals: tuple[str, ...]


@dataclass(frozen=True)
class SignInDisputed(_Event):
    """A user said "this wasn't me": end the user's sessions."""

    job_id: str
    user_id: str
    disputed_at: datetime
    sign_in: DisputedSignIn
    type: Literal["sign_in.disputed"] = "sign_in.disputed"


@dataclass(frozen=True)
class NoticeDelivered(_Event):
    """The mail server accepted the email."""

    job_id: str
    user_id: str
    type: Literal["notice.delivered"] = "notice.delivered"


@dataclass(frozen=True)
class NoticeFailed(_Event):
    """The email was not sent, and no automatic attempt will follow."""

    job_id: str
    user_id: str
    reason: str
    error_class: str
    type: Literal["notice.failed"] = "notice.failed"


@dataclass(frozen=True)
class NoticeSuppressed(_Event):
    """The email was not sent, because of its address or its user's wish."""

    job_id: str
    user_id: str
    reason: str
    """ "bounced", "refused", "complained" or "opted-out"."""

    type: Literal["notice.suppressed"] = "notice.suppressed"


@dataclass(frozen=True)
class Ping(_Event):
    """A test of the endpoint."""

    type: Literal["ping"] = "ping"


@dataclass(frozen=True)
class UnknownEvent(_Event):
    """An event of a type that this version does not know. Answer it with 2xx."""

    type: str
    data: dict[str, Any]


Event = SignInDisputed | NoticeDelivered | NoticeFailed | NoticeSuppressed | Ping | UnknownEvent


def verify_event(
    body: bytes,
    headers: Mapping[str, str],
    secret: str | Iterable[str],
    *,
    tolerance: float = TOLERANCE_SECONDS,
) -> Event:
    """Return the event in a request. Raise InvalidEvent when it is not signed with the secret.

    body: the bytes of the request, before any parser.
    headers: the headers of the request; case does not matter.
    secret: the endpoint's secret ("whsec_..."), or several while a secret is being rotated.

    Raise ValueError for a secret that is not one, and TypeError for a body that is not bytes.
    """
    if not isinstance(body, bytes):
        raise TypeError("body must be the bytes of the request")
    keys = [read_secret(each) for each in ([secret] if isinstance(secret, str) else secret)]
    found = {name.lower(): value for name, value in headers.items()}
    event_id, sent_at, signatures = (found.get(f"webhook-{name}", "") for name in ("id", "timestamp", "signature"))
    if not event_id or not re.fullmatch(r"[0-9]{1,12}", sent_at) or not signatures:
        raise InvalidEvent("missing-header")
    content = f"{event_id}.{sent_at}.".encode("utf-8", "replace") + body
    if not any(_is_signed(content, signatures, key) for key in keys):
        raise InvalidEvent("wrong-signature")
    if abs(time.time() - int(sent_at)) > tolerance:
        raise InvalidEvent("outside-tolerance")
    return _read_event(event_id, body)


def read_secret(secret: str) -> bytes:
    """Return the key of a secret. Raise ValueError, without the secret, when it is not one."""
    try:
        key = base64.b64decode(secret.removeprefix("whsec_"), validate=True)
    except (binascii.Error, ValueError):
        key = b""
    if not secret.startswith("whsec_") or len(key) < 16:
        raise ValueError("a secret must be whsec_ and base64, as Notifier printed it")
    return key


def _is_signed(content: bytes, signatures: str, key: bytes) -> bool:
    expected = b"v1," + base64.b64encode(hmac.new(key, content, hashlib.sha256).digest())
    offered = [signature.encode("utf-8", "replace") for signature in signatures.split(" ")]
    return any(hmac.compare_digest(expected, signature) for signature in offered)


def _read_event(event_id: str, body: bytes) -> Event:
    try:
        envelope = json.loads(body)
        kind, data = _text(envelope, "type"), envelope["data"]
        if not isinstance(data, dict):
            raise TypeError("data must be an object")
        return _build_event(kind, event_id, _date(envelope, "timestamp"), data)
    except (ValueError, TypeError, KeyError, AttributeError, RecursionError):
        raise InvalidEvent("malformed-body") from None


def _build_event(kind: str, event_id: str, at: datetime, data: dict[str, Any]) -> Event:
    if kind == "ping":
        return Ping(event_id, at)
    if kind == "sign_in.disputed":
        sign_in = _read_sign_in(data["signIn"])
        return SignInDisputed(event_id, at, *_ids(data), _date(data, "disputedAt"), sign_in)
    if kind == "notice.delivered":
        return NoticeDelivered(event_id, at, *_ids(data))
    if kind == "notice.failed":
        return NoticeFailed(event_id, at, *_ids(data), _text(data, "reason"), _text(data, "errorClass"))
    if kind == "notice.suppressed":
        return NoticeSuppressed(event_id, at, *_ids(data), _text(data, "reason"))
    return UnknownEvent(event_id, at, kind, data)


def _read_sign_in(data: dict[str, Any]) -> DisputedSignIn:
    signals, new_device = data["signals"], data["newDevice"]
    if not isinstance(new_device, bool) or not isinstance(signals, list):
        raise TypeError("newDevice must be true or false, signals a list")
    provider, browser, system = (_text(data, name) for name in ("provider", "browser", "system"))
    return DisputedSignIn(_date(data, "timestamp"), provider, browser, system, new_device, tuple(map(str, signals)))


def _ids(data: dict[str, Any]) -> tuple[str, str]:
    return _text(data, "jobId"), _text(data, "userId")


def _text(data: dict[str, Any], name: str) -> str:
    value = data[name]
    if not isinstance(value, str):
        raise TypeError(f"{name} must be text")
    return value


def _date(data: dict[str, Any], name: str) -> datetime:
    """Return a date with a zone. Python 3.10 reads neither Z nor fractions of other lengths than 3 and 6."""
    text = re.sub(r"[Zz]$", "+00:00", _text(data, name))
    text = re.sub(r"\.([0-9]+)", lambda digits: f".{digits[1][:6]:<06}", text)
    found = datetime.fromisoformat(text)
    if found.utcoffset() is None:
        raise ValueError(f"{name} must have a time zone")
    return found
