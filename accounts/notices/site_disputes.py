"""Emails to the support of another site: one of its users pressed "this wasn't me".

Ten in an hour are emails of their own. Those above that are collected, and one digest an hour lists them, so that a
flood of disputes fills no mailbox and none is lost.
"""

from typing import Any

from django.db import transaction

from accounts.notices import account
from accounts.notices.digest import DigestEntry
from jobs.core.job import JobLog, JobQuerySet
from jobs.core.sql import from_now
from jobs.maintenance import retention
from jobs.queue.enqueue import Duplicate, RateLimited

DISPUTE_JOB, SUMMARY_JOB = "site-dispute", "site-dispute-summary"
DISPUTES_PER_HOUR = 10  # emails of one dispute to one address
SUMMARIES_PER_HOUR = 1  # to one address
KIND = "site_dispute"  # the email; the digest is "site_dispute_digest"


def enqueue_to_support(address: str, source: str, job_id: str, details: dict[str, Any]) -> None:
    """Email a site's support about one dispute, or keep it for the next digest. Do nothing for a known `job_id`.

    details: account (the user's id at the site), at (ISO 8601), device, locale, site (the stored brand).
    """
    try:
        with transaction.atomic():
            account.enqueue_as(
                *(DISPUTE_JOB, KIND, address, None, job_id),
                {**details, "userId": details["account"]},
                source=source,
            )
    except Duplicate:
        return
    except RateLimited:
        DigestEntry.objects.create(
            job_type=SUMMARY_JOB,
            kind=KIND,
            address=address,
            source=source,
            details=details,
            due_at=from_now(0),
        )


def erase(source: str, user_key: str) -> int:
    """Erase a user of a site from the digests, sent or not; return how many jobs were blanked."""
    DigestEntry.objects.filter(source=source, kind=KIND, details__account=user_key).delete()
    summaries: JobQuerySet = JobLog.objects.filter(user_id="", job_type=SUMMARY_JOB, source=source)
    named = [
        pk
        for pk, events in summaries.values_list("pk", "payload__events")
        if any(event.get("account") == user_key for event in events or [])
    ]
    return retention.erase_jobs(summaries.filter(pk__in=named))
