"""What mail services tell of mails that came back, as their webhooks bring it: which of it marks an address.

django-anymail reads and checks the webhook and gives events of one form. It calls full mailboxes, blocked senders and
mailboxes that are gone alike "bounced", so the service's own word decides, by this table; any other word marks nothing.
"""

import re
from collections.abc import Mapping
from datetime import UTC, datetime
from email.utils import parseaddr
from typing import Any

from django.utils import timezone

from accounts import undeliverable
from accounts.undeliverable import Why

LONGEST_RECIPIENT = 1_000  # characters: a name may stand before the address
CODE = re.compile(r"(?<![\d.])(5\.\d{1,3}\.\d{1,3}|5\d\d)(?![\d.]*\d)")
MARKS: dict[str, dict[str, Why]] = {
    "Amazon SES": {
        "Permanent": Why.BOUNCED,
        "complaint": Why.COMPLAINED,
        "abuse": Why.COMPLAINED,
        "fraud": Why.COMPLAINED,
    },
    "Brevo": {
        "hard_bounce": Why.BOUNCED,
        "invalid_email": Why.REFUSED,
        "blocked": Why.REFUSED,
        "spam": Why.COMPLAINED,
        "complaint": Why.COMPLAINED,
    },
    "Mailgun": {
        "bounce": Why.BOUNCED,
        "suppress-bounce": Why.REFUSED,
        "suppress-complaint": Why.COMPLAINED,
        "complained": Why.COMPLAINED,
    },
    "Postmark": {
        "HardBounce": Why.BOUNCED,
        "BadEmailAddress": Why.REFUSED,
        "ManuallyDeactivated": Why.REFUSED,
        "SpamComplaint": Why.COMPLAINED,
    },
}
UNDELIVERED = {"bounced", "rejected", "complained", "unsubscribed"}  # Postmark tells of its own list by the last


def told(sender: Any, event: Any, esp_name: str, **_: Any) -> None:
    """The receiver of anymail's signal `tracking`: marks the address of an event that says so."""
    why = judge(esp_name, event.event_type, event.esp_event)
    recipient = event.recipient
    if why is None or not isinstance(recipient, str) or len(recipient) > LONGEST_RECIPIENT:
        return
    address = parseaddr(recipient)[1] if "<" in recipient else recipient
    undeliverable.mark(address, why, told_by=esp_name, at=_moment(event.timestamp), code=_code(event.mta_response))


def judge(service: str, event_type: str, raw: object) -> Why | None:
    """What an event says of its recipient; None for nothing. raw: the event in the service's own form."""
    if event_type not in UNDELIVERED:
        return None
    return MARKS.get(service, {}).get(_word(service, raw))


def _word(service: str, raw: object) -> str:
    """The one word of the service's that tells for good from for now."""
    match service:
        case "Amazon SES":
            complained = isinstance(raw, Mapping) and "complaint" in raw
            kind = _text(raw, "complaint", "complaintFeedbackType") or "complaint"  # most complaints name none
            return kind if complained else _text(raw, "bounce", "bounceType")
        case "Brevo":
            return _text(raw, "event")
        case "Mailgun":
            event, severity = _text(raw, "event-data", "event"), _text(raw, "event-data", "severity")
            return _text(raw, "event-data", "reason") if severity == "permanent" else event
        case "Postmark":
            return _text(raw, "Type") or _text(raw, "SuppressionReason")
    return ""


def _text(raw: object, *keys: str) -> str:
    """The text below `keys`; "" where there is none, or something else."""
    for key in keys:
        raw = raw.get(key) if isinstance(raw, Mapping) else None
    return raw if isinstance(raw, str) else ""


def _moment(at: object) -> datetime:
    """When it happened; now, where the service does not say."""
    if not isinstance(at, datetime):
        return timezone.now()
    return at if timezone.is_aware(at) else at.replace(tzinfo=UTC)


def _code(answer: object) -> str:
    """The receiving server's code, and nothing else of its answer: that may hold addresses."""
    found = CODE.search(answer[:2_000]) if isinstance(answer, str) else None
    return found[1] if found else ""
