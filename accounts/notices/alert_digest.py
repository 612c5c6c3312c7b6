"""Alerts above the hourly limit: they are collected, and one summary an hour lists them, for each address."""

from typing import Any

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
    DigestEntry.objects.create(address=address, user=user, **_entry(notice))


def collect_for_site(notice: SignInNotice, source: str) -> None:
    """Keep an alert of another site's user for the next summary."""
    DigestEntry.objects.create(address=notice.email, source=source, user_key=notice.user_id, **_entry(notice))


def _entry(notice: SignInNotice) -> dict[str, Any]:
    """Return the values of the entry that are the same for both."""
    details = {
        "signInId": notice.sign_in_id,
        "locale": notice.locale,
        "at": notice.timestamp,
        "device": user_agents.device_name(notice.browser, notice.system),
        "ip": notice.ip_address,
        "newDevice": notice.new_device,
        "signals": notice.signals,
        **({"site": notice.brand.stored} if notice.brand else {}),
    }
    return {"job_type": SUMMARY_JOB, "kind": KIND, "details": details, "due_at": from_now(0)}
