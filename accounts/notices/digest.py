"""Emails that exceed an hourly limit: they are collected and sent as one digest, so that none is lost."""

import uuid
from collections.abc import Mapping
from typing import Any

import structlog
from django.db import Error, models, transaction
from django.db.models.functions import Now
from django.utils.translation import gettext_lazy as _

from accounts.notices import account
from accounts.user import User
from jobs.core.job import THIS_SITE
from jobs.core.sql import from_now
from jobs.queue.enqueue import Duplicate, RateLimited
from jobs.queue.sweeping import work_on_each

log = structlog.get_logger("accounts")

BATCH = 100  # digests that one sweep enqueues
LONGEST = 100  # events in one digest; the others are in the next


class DigestEntry(models.Model):
    """An event whose email exceeded the limit, and that waits for the next digest."""

    job_type = models.CharField(_("type"), max_length=64)
    kind = models.CharField(_("email"), max_length=32)
    address = models.EmailField(_("address"))
    user = models.ForeignKey(User, models.CASCADE, null=True, verbose_name=_("account"))
    source = models.CharField(_("source"), max_length=64, default=THIS_SITE, db_default=THIS_SITE)
    user_key = models.CharField(_("user of the site"), max_length=128, blank=True, default="", db_default="")
    """The user at another site that is its `source`."""
    details = models.JSONField(_("details"), default=dict)
    due_at = models.DateTimeField(_("due"))

    class Meta:
        indexes = [models.Index(fields=["due_at"], name="digest_due")]

    def __str__(self) -> str:
        return f"{self.kind} {self.pk}"


def enqueue_or_collect(
    job_type: str,
    kind: str,
    address: str,
    user: User | None,
    details: dict[str, Any],
    job_id: str = "",
    *,
    wait: int = 0,
) -> None:
    """Enqueue the email of one event now, or keep the event for the next digest of its recipient.

    It is kept when the recipient has had as many emails as the type allows in an hour, or when the queue is broken.
    job_id: one event, one email; "" for an id of its own. wait: keep it for this many seconds in any case.
    """
    if not wait:
        try:
            with transaction.atomic():
                account.enqueue_as(job_type, kind, address, user, job_id or str(uuid.uuid4()), details)
            return
        except Duplicate:
            return
        except RateLimited as limit:
            wait = limit.retry_after
        except Error:
            log.exception("email could not be enqueued, it will be in a digest", kind=kind)
    DigestEntry.objects.create(
        job_type=job_type, kind=kind, address=address, user=user, details=details, due_at=from_now(wait)
    )


def due() -> models.QuerySet[DigestEntry]:
    """Return the events whose digest may be sent now, the oldest first."""
    return DigestEntry.objects.filter(due_at__lte=Now()).order_by("due_at")


def enqueue_digests() -> None:
    """Enqueue one digest for each recipient of due events. Safe to repeat, on several hosts."""
    recipients = due().order_by().values("job_type", "kind", "address", "user", "source", "user_key").distinct()
    work_on_each(recipients[:BATCH], _enqueue_digest)


def _enqueue_digest(recipient: Mapping[str, Any]) -> None:
    waiting = DigestEntry.objects.select_for_update(skip_locked=True, of=("self",)).filter(**recipient)
    entries = list(waiting.select_related("user").order_by("pk")[:LONGEST])
    if not entries:
        return
    mine = DigestEntry.objects.filter(pk__in=[entry.pk for entry in entries])
    first = entries[0]
    details: dict[str, Any] = {"events": [entry.details for entry in entries]}
    details |= {name: first.details[name] for name in ("locale", "site") if first.details.get(name)}
    if first.user_key:
        details["userId"] = first.user_key
    job_id = f"digest-{uuid.uuid4()}"
    try:
        account.enqueue_as(
            first.job_type, f"{first.kind}_digest", first.address, first.user, job_id, details, source=first.source
        )
    except RateLimited as limit:
        mine.update(due_at=from_now(limit.retry_after))
    else:
        mine.delete()
