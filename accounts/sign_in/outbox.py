"""The outbox: notices that could not be enqueued at the sign-in, because the queue did not work."""

from collections.abc import Sequence
from contextlib import suppress

from allauth.account.models import EmailAddress
from django.db import IntegrityError, transaction
from django.db.models import Q, QuerySet

from accounts.notices import alert_digest
from accounts.notices.sign_in import SignInNotice, enqueue_to
from accounts.sign_in.event import NoticeStatus, SignIn
from jobs.queue.enqueue import RateLimited
from jobs.queue.sweeping import work_on_each

BATCH = 500


def notice_of(sign_in: SignIn) -> SignInNotice:
    """Return the notice of a sign-in on this site, with the recorded values."""
    user = sign_in.user
    return SignInNotice(
        user_id=str(user.pk),
        email=sign_in.email,
        name=user.shown_name,
        provider=sign_in.method,
        second_factor=sign_in.second_factor,
        ip_address=sign_in.ip or "",
        browser=sign_in.browser,
        system=sign_in.system,
        timestamp=sign_in.at.isoformat(),
        locale=sign_in.language,
        timezone=sign_in.time_zone,
        new_device=sign_in.new_device,
        signals=sign_in.signals,
        more_sign_ins=sign_in.more_sign_ins,
        sign_in_id=str(sign_in.pk),
    )


def enqueue(sign_in: SignIn, recipients: Sequence[str]) -> NoticeStatus:
    """Enqueue the notice of a sign-in to each recipient, in the caller's transaction, and return its state.

    An alert above the limit is collected for the next summary, so none is lost.
    """
    notice = notice_of(sign_in)
    refused = enqueue_to(recipients, notice, job_id=sign_in.job_id)
    limited = [address for address, why in zip(recipients, refused, strict=True) if isinstance(why, RateLimited)]
    if not limited:
        return NoticeStatus.QUEUED
    if not sign_in.is_alert:
        return NoticeStatus.LIMITED
    for address in limited:
        alert_digest.collect(notice, address, sign_in.user)
    return NoticeStatus.DIGEST


def pending() -> QuerySet[SignIn]:
    """Return the sign-ins whose notice could not be enqueued, oldest first."""
    return SignIn.objects.filter(notice=NoticeStatus.PENDING).order_by("at")


def enqueue_pending() -> None:
    """Enqueue the pending notices. Safe to repeat: one job for each sign-in and address.

    A notice that cannot be enqueued is left for the next time and holds up no other.
    """
    after = Q()
    while batch := list(pending().filter(after).order_by("at", "pk").select_related("user")[:BATCH]):
        work_on_each(batch, _enqueue)
        last = batch[-1]
        after = Q(at__gt=last.at) | Q(at=last.at, pk__gt=last.pk)


def _enqueue(sign_in: SignIn) -> None:
    with suppress(IntegrityError), transaction.atomic():  # another host enqueues it
        outcome = enqueue(sign_in, _recipients(sign_in))
        SignIn.objects.filter(pk=sign_in.pk, notice=NoticeStatus.PENDING).update(notice=outcome)


def _recipients(sign_in: SignIn) -> list[str]:
    """Return the address that the account had at the sign-in, and for an alert its other confirmed ones."""
    if not sign_in.is_alert:
        return [sign_in.email]
    others = EmailAddress.objects.filter(user=sign_in.user, verified=True).exclude(email__iexact=sign_in.email)
    return [sign_in.email, *others.order_by("pk").values_list("email", flat=True)]
