"""Alerts above the hourly limit: they are collected, and one summary an hour lists them, for each address."""

from accounts.mail import user_agents
from accounts.notices.digest import DigestEntry
from accounts.notices.sign_in import SignInNotice
from accounts.user import User
from jobs.core.sql import from_now

SUMMARY_JOB = "signin-summary"
SUMMARIES_PER_HOUR = 1  # to one address
KIND = "sign_in"  # the email is "sign_in_digest"


def collect(notice: SignInNotice, address: str, user: User) -> None:
    """Keep an alert for the next summary to `address`: due now, later when an hour has had one already."""
    details = {
        "signInId": notice.sign_in_id,
        "locale": notice.locale,
        "at": notice.timestamp,
        "device": user_agents.device_name(notice.browser, notice.system),
        "ip": notice.ip_address,
        "newDevice": notice.new_device,
        "signals": notice.signals,
    }
    DigestEntry.objects.create(
        job_type=SUMMARY_JOB, kind=KIND, address=address, user=user, details=details, due_at=from_now(0)
    )
