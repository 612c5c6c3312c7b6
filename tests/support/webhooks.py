"""What mail services post when a mail came back, signed as they sign it; and a site that takes it."""

import base64
import hashlib
import hmac
import json
import secrets
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime
from importlib import import_module
from types import ModuleType
from typing import Any

from django.http import HttpResponse
from django.test import Client
from django.urls import include, path

LOGIN = "postmark:" + "a-password-of-some-length-0"
SIGNING_KEY = "key-0123456789abcdef"
BASIC = "Basic " + base64.b64encode(LOGIN.encode()).decode()
ENVIRONMENT = {
    "ANYMAIL_WEBHOOKS": "postmark,mailgun",
    "ANYMAIL_WEBHOOK_SECRET": LOGIN,
    "ANYMAIL_MAILGUN_WEBHOOK_SIGNING_KEY": SIGNING_KEY,
}


@contextmanager
def opened(settings: Any, *services: str, login: str = LOGIN) -> Iterator[None]:
    """The site of this process with the webhooks of `services`; `settings` is pytest-django's fixture."""
    import_module("notifier.urls")  # as it is without them
    settings.ANYMAIL_WEBHOOKS = list(services)
    settings.ANYMAIL = {"WEBHOOK_SECRET": [login] if login else [], "MAILGUN_WEBHOOK_SIGNING_KEY": SIGNING_KEY}
    sys.modules.pop("notifier.api.webhooks", None)
    urls = ModuleType("tests.urls_with_webhooks")
    urls.urlpatterns = [path("anymail/", include("notifier.api.webhooks")), path("", include("notifier.urls"))]
    sys.modules[urls.__name__] = urls
    settings.ROOT_URLCONF = urls.__name__
    try:
        yield
    finally:
        sys.modules.pop(urls.__name__)


def post(service: str, body: Any, **headers: str) -> HttpResponse:
    """Posts to a service's webhook as a stranger on the internet does: no cookie, no CSRF token."""
    raw = body if isinstance(body, bytes) else json.dumps(body).encode()
    client = Client(enforce_csrf_checks=True)
    return client.post(f"/anymail/{service}/tracking/", raw, "application/json", headers=headers)


def timestamp(at: datetime | None = None) -> str:
    """A time as services write it."""
    return (at or datetime.now(UTC)).isoformat().replace("+00:00", "Z")


def postmark(address: str = "bat@example.mn", kind: str = "HardBounce", at: datetime | None = None) -> dict[str, Any]:
    """A bounce as Postmark posts it; with kind SpamComplaint, a complaint."""
    return {
        "RecordType": "SpamComplaint" if kind == "SpamComplaint" else "Bounce",
        "ID": 4242,
        "Type": kind,
        "TypeCode": 1,
        "MessageID": "883953f4-6105-42a2-a16a-77a8eac79483",
        "Description": "The server was unable to deliver your message (ex: unknown user, mailbox not found).",
        "Details": f"smtp;550 5.1.1 <{address}> The mailbox is not there",
        "Email": address,
        "From": "no-reply@example.mn",
        "BouncedAt": timestamp(at),
        "Metadata": {},
    }


def mailgun(
    address: str = "bat@example.mn",
    event: str = "failed",
    severity: str = "permanent",
    reason: str = "bounce",
    at: datetime | None = None,
    key: str = SIGNING_KEY,
) -> dict[str, Any]:
    """An event as Mailgun posts it, signed with `key`."""
    stamp, token = str(int(time.time())), secrets.token_hex(25)
    signature = hmac.new(key.encode(), f"{stamp}{token}".encode(), hashlib.sha256).hexdigest()
    data: dict[str, Any] = {"event": event, "recipient": address, "timestamp": (at or datetime.now(UTC)).timestamp()}
    if event == "failed":
        data |= {"severity": severity, "reason": reason, "delivery-status": {"code": 550, "message": "5.1.1 gone"}}
    return {
        "signature": {"timestamp": stamp, "token": token, "signature": signature},
        "event-data": {**data, "message": {"headers": {"message-id": "x@example.mn"}}},
    }


def brevo(address: str = "bat@example.mn", event: str = "hard_bounce") -> dict[str, Any]:
    """An event as Brevo posts it."""
    now = int(time.time() * 1000)
    return {"event": event, "email": address, "ts_epoch": now, "message-id": "<x@example.mn>", "reason": "550 gone"}


def amazon_ses(
    address: str = "bat@example.mn", kind: str = "Permanent", complaint: str | None = None
) -> tuple[dict[str, Any], dict[str, str]]:
    """A notification as Amazon SNS posts it, and its headers. complaint: its feedback type, "" for none."""
    event: dict[str, Any] = {"notificationType": "Bounce", "mail": {"messageId": "x", "destination": [address]}}
    event["bounce"] = {"bounceType": kind, "bounceSubType": "General"}
    event["bounce"]["bouncedRecipients"] = [{"emailAddress": address, "diagnosticCode": "smtp; 550 5.1.1 gone"}]
    if complaint is not None:
        event = {**event, "notificationType": "Complaint", "bounce": None}
        event["complaint"] = {"complainedRecipients": [{"emailAddress": address}]}
        event["complaint"] |= {"complaintFeedbackType": complaint} if complaint else {}
    body = {"Type": "Notification", "MessageId": "m-1", "Timestamp": timestamp(), "Message": json.dumps(event)}
    return body, {"x-amz-sns-message-type": "Notification", "x-amz-sns-message-id": "m-1"}
