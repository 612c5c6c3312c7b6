"""Bounce and complaint events of email services: which of them suppress an address.

django-anymail verifies the webhook and converts it to an event of one form. It calls full mailboxes, blocked senders
and deleted mailboxes "bounced" too. So two things decide: the service's own word, by this table (any other word does
nothing), and the reply of the receiving server: one that blames us, the email or a full mailbox suppresses nothing,
whatever the service calls it.
"""

import re
from collections.abc import Mapping
from datetime import UTC, datetime
from email.utils import parseaddr
from typing import Any

from django.utils import timezone

from accounts.mail import smtp_answers
from accounts.suppression import entries
from accounts.suppression.entries import SuppressionReason

MAX_ANSWER = 2_000
MAX_RECIPIENT = 1_000  # characters: a name may precede the address
REPLY_CODE = re.compile(r"(?<![\d.])(5\.\d{1,3}\.\d{1,3}|5\d\d)(?![\d.]*\d)")
ENHANCED = re.compile(r"(?<![\d.])([245]\.\d{1,3}\.\d{1,3})(?!\.?\d)")
TEMPORARY = re.compile(r"(?<![\d.])4\d\d(?=[ -])")
ABOUT_RECIPIENT = re.compile(r"5\.1\.([0-69]|10)|5\.2\.[01]|5\.4\.[14]|5\.0\.0")
SUPPRESSING_WORDS: dict[str, dict[str, SuppressionReason]] = {
    "Amazon SES": {
        "Permanent": SuppressionReason.BOUNCED,
        "complaint": SuppressionReason.COMPLAINED,
        "abuse": SuppressionReason.COMPLAINED,
        "fraud": SuppressionReason.COMPLAINED,
    },
    "Brevo": {
        "hard_bounce": SuppressionReason.BOUNCED,
        "invalid_email": SuppressionReason.REFUSED,
        "blocked": SuppressionReason.REFUSED,
        "spam": SuppressionReason.COMPLAINED,
        "complaint": SuppressionReason.COMPLAINED,
    },
    "Mailgun": {
        "bounce": SuppressionReason.BOUNCED,
        "suppress-bounce": SuppressionReason.REFUSED,
        "suppress-complaint": SuppressionReason.COMPLAINED,
        "complained": SuppressionReason.COMPLAINED,
    },
    "Postmark": {
        "HardBounce": SuppressionReason.BOUNCED,
        "BadEmailAddress": SuppressionReason.REFUSED,
        "ManuallyDeactivated": SuppressionReason.REFUSED,
        "SpamComplaint": SuppressionReason.COMPLAINED,
    },
}
UNDELIVERED = {"bounced", "rejected", "complained", "unsubscribed"}  # Postmark reports its own list by the last


def handle_event(sender: Any, event: Any, esp_name: str, **_: Any) -> None:
    """Suppress the address of an event, if needed: the receiver of anymail's signal `tracking`."""
    answer = _answer(esp_name, event)
    why = judge(esp_name, event.event_type, event.esp_event, answer)
    recipient = event.recipient
    if why is None or not isinstance(recipient, str) or len(recipient) > MAX_RECIPIENT:
        return
    address = parseaddr(recipient)[1] if "<" in recipient else recipient
    entries.suppress(address, why, reported_by=esp_name, at=_time_of(event.timestamp), code=_code(answer))


def judge(service: str, event_type: str, raw: object, answer: str = "") -> SuppressionReason | None:
    """Return why an event suppresses its recipient; None when it does not.

    raw: the event in the service's own form. answer: the receiving server's reply, or its enhanced code.
    """
    if event_type not in UNDELIVERED:
        return None
    why = SUPPRESSING_WORDS.get(service, {}).get(_word(service, raw))
    if why in (SuppressionReason.BOUNCED, SuppressionReason.REFUSED) and not _may_blame_recipient(answer):
        return None
    return why


def _may_blame_recipient(answer: str) -> bool:
    """Whether a reply says that the address cannot be used, or does not say why.

    The enhanced code decides (RFC 3463): 5.1.x and a disabled mailbox do; 4.x.x, 5.7.x, a full mailbox and the other
    codes do not. Without one, known texts decide (`smtp_answers`).
    """
    if enhanced := ENHANCED.search(answer):
        return bool(ABOUT_RECIPIENT.fullmatch(enhanced[1]))
    code = REPLY_CODE.search(answer)
    if not code:
        return not TEMPORARY.search(answer)
    words = answer[code.end() :].lstrip(" -")
    verdict = smtp_answers.judge(int(code[1]), words, smtp_answers.Step.RECIPIENT)
    return verdict.blame is smtp_answers.Blame.RECIPIENT


def _answer(service: str, event: Any) -> str:
    """Return the receiving server's reply, or the enhanced code that the service took from it; "" for neither."""
    reply = event.mta_response[:MAX_ANSWER] if isinstance(event.mta_response, str) else ""
    return reply if ENHANCED.search(reply) else _enhanced_code(service, event.esp_event, event.recipient) or reply


def _enhanced_code(service: str, raw: object, recipient: object) -> str:
    match service:
        case "Amazon SES":
            bounce = raw.get("bounce") if isinstance(raw, Mapping) else None
            found = bounce.get("bouncedRecipients") if isinstance(bounce, Mapping) else None
            rows = found if isinstance(found, list) else []
            mine = [row for row in rows if isinstance(row, Mapping) and row.get("emailAddress") == recipient]
            return _text(mine[0], "status") if mine else ""
        case "Mailgun":
            return _text(raw, "event-data", "delivery-status", "enhanced-code")
    return ""


def _word(service: str, raw: object) -> str:
    """Return the service's own word that separates permanent failures from temporary ones."""
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
    """Return the text at the path `keys`.

    Return "" when it is missing or not a string.
    """
    for key in keys:
        raw = raw.get(key) if isinstance(raw, Mapping) else None
    return raw if isinstance(raw, str) else ""


def _time_of(at: object) -> datetime:
    """Return when the event happened; the present time when the service does not say."""
    if not isinstance(at, datetime):
        return timezone.now()
    return at if timezone.is_aware(at) else at.replace(tzinfo=UTC)


def _code(answer: str) -> str:
    """Return the code in the receiving server's reply.

    The rest of a reply may contain addresses.
    """
    found = REPLY_CODE.search(answer)
    return found[1] if found else ""
