"""Security emails: an account was changed, and the alert that notifies operators of a dispute.

They have limits of their own, which no other party can use up by asking for a link. An address gets the first email
about a kind of change immediately; more of that kind within an hour are one digest. None is dropped.
"""

from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

from django.db import Error, transaction
from django.db.models.functions import Now

from accounts.notices import digest
from accounts.user import User
from jobs.core.job import JobLog

SECURITY_JOB = "security-mail"
ALERT_JOB = "operator-alert"
ALERTS_PER_HOUR = 1  # more disputes in an hour are one digest for each operator
HOUR = 3600


@dataclass(frozen=True, kw_only=True)
class Recipient:
    """One address that is emailed about a change."""

    address: str
    credential_id: int
    may_undo: bool  # whether the link in its email may act
    is_current: bool  # whether it may read the device; an address that was removed or held may not


@dataclass(frozen=True, kw_only=True)
class ChangeNotice:
    """What the emails about one change say."""

    event_id: str
    what: str  # a value of AccountChange.What
    at: datetime
    language: str
    device: str = ""
    kind: str = "changed"  # "leaving" for the reminders to an address that was removed
    suffix: str = ""  # of the job ids, for a second email about one event

    def details(self, recipient: Recipient) -> dict[str, Any]:
        """Return the payload of the email to one recipient."""
        return {
            "what": self.what,
            "at": self.at.isoformat(),
            "locale": self.language,
            "eventId": self.event_id,
            "mayUndo": recipient.may_undo,
            "device": self.device if recipient.is_current else "",
        }


def enqueue_change(user: User, notice: ChangeNotice, recipients: list[Recipient]) -> None:
    """Email every recipient, each with one job for each event."""
    for recipient in recipients:
        job_id = f"change-{notice.event_id}.{recipient.credential_id}{notice.suffix}"
        wait = HOUR if _was_emailed(user, notice, recipient) else 0
        digest.enqueue_or_collect(
            SECURITY_JOB, notice.kind, recipient.address, user, notice.details(recipient), job_id, wait=wait
        )


def _was_emailed(user: User, notice: ChangeNotice, recipient: Recipient) -> bool:
    """Return whether the address has had an email about this kind of change within an hour."""
    recent = JobLog.objects.filter(
        user_id=str(user.pk), job_type=SECURITY_JOB, created_at__gt=Now() - timedelta(seconds=HOUR)
    )
    try:
        with transaction.atomic():
            return recent.filter(payload__what=notice.what, payload__email=recipient.address).exists()
    except Error:  # the queue is unavailable
        return False


def enqueue_alert(address: str, operator: User | None, job_id: str, details: dict[str, str]) -> None:
    """Email an operator that a sign-in was disputed.

    details: signInId, method, account (masked), at (ISO 8601), device.
    """
    digest.enqueue_or_collect(ALERT_JOB, "dispute_alert", address, operator, details, job_id)
