"""The life of a pending request: asked, everyone notified, then done or cancelled."""

from collections.abc import Callable
from datetime import datetime

import structlog
from django.db import Error, transaction
from django.db.models import Max, QuerySet
from django.db.models.functions import Now

from accounts import credentials
from accounts.credentials import Credential
from accounts.pending import emails
from accounts.pending.request import PendingRequest, RequestKind, wait_of
from accounts.user import User
from jobs.core.sql import from_now
from jobs.queue.sweeping import work_on_each

log = structlog.get_logger("accounts")

BATCH = 100  # requests that one sweep handles
Effect = Callable[[PendingRequest], None]
effects: dict[str, Effect] = {}
"""What happens when a request of a kind is due; registered by `accounts.rights`."""


@transaction.atomic
def ask(
    user: User,
    kind: str,
    *,
    operator: str = "",
    reason: str = "",
    address: str = "",
    since: datetime | None = None,
) -> PendingRequest | None:
    """Write a request and notify everyone; None when one of this kind waits already.

    operator: who asks for it, "" for the user. address, since: of a restore.
    """
    User.objects.select_for_update().get(pk=user.pk)
    if PendingRequest.objects.waiting().filter(user=user, kind=kind).exists():
        return None
    request = PendingRequest.objects.create(
        user=user,
        kind=kind,
        operator=operator[:150],
        reason=reason[:200],
        address=address.lower(),
        since=since,
        due_at=from_now(wait_of(operator).total_seconds()),
        wake_at=Now(),
    )
    request.refresh_from_db(fields=["asked_at", "due_at", "wake_at"])
    log.warning("request waits", kind=kind, request=request.pk, user_id=user.pk, by_operator=bool(operator))
    advance_safely(request)
    return request


def cancel(request: PendingRequest) -> bool:
    """Cancel a request and notify everyone; False when it is done or cancelled already."""
    with transaction.atomic():
        waiting = PendingRequest.objects.waiting().filter(pk=request.pk)
        if not waiting.update(cancelled_at=Now(), wake_at=Now()):
            return False
        if request.kind == RequestKind.DELETE:
            User.objects.filter(pk=request.user_id).update(is_active=True)
        request.refresh_from_db()
        log.warning("request cancelled", kind=request.kind, request=request.pk, user_id=request.user_id)
        advance_safely(request)
    return True


def cancel_all(user: User, *kinds: str) -> None:
    """Cancel the waiting requests of these kinds of an account."""
    for request in PendingRequest.objects.waiting().filter(user=user, kind__in=kinds):
        cancel(request)


def advance_safely(request: PendingRequest) -> None:
    """Advance a request, unless the queue is unavailable; the sweep then does it later."""
    try:
        with transaction.atomic():
            advance(request)
    except Error:
        log.exception("emails about a request could not be enqueued, they stay pending", request=request.pk)


def advance(request: PendingRequest) -> None:
    """Advance a request in the caller's transaction: send an email, or let the request take effect."""
    if request.cancelled_at:
        emails.notify(request, "cancelled")
        _sleep(request, None)
    elif not (request.notices and _is_due(request)):
        emails.notify(request, "reminder" if request.notices else "asked")
        request.notices += 1
        _sleep(request, request.next_notice_at)
    elif until := _leaving_until(request):
        _sleep(request, until)
    else:
        effects[request.kind](request)


def finish(request: PendingRequest) -> None:
    """Mark a request as done and notify everyone."""
    PendingRequest.objects.filter(pk=request.pk).update(done_at=Now(), wake_at=None)
    emails.notify(request, "done")


def sweep() -> None:
    """Advance every request that is due. Safe to repeat, on several hosts."""
    work_on_each(awake().values_list("pk", flat=True)[:BATCH], _advance_one)


def _advance_one(pk: int) -> None:
    locked = PendingRequest.objects.select_for_update(skip_locked=True, of=("self",))
    request = locked.select_related("user").filter(pk=pk, wake_at__lte=Now()).first()
    if request:
        advance(request)


def awake() -> QuerySet[PendingRequest]:
    """Return the requests for which there is something to do now."""
    return PendingRequest.objects.awake()


def _is_due(request: PendingRequest) -> bool:
    return PendingRequest.objects.filter(pk=request.pk, due_at__lte=Now()).exists()


def _sleep(request: PendingRequest, until: datetime | None) -> None:
    PendingRequest.objects.filter(pk=request.pk).update(wake_at=until, notices=request.notices)


def _leaving_until(request: PendingRequest) -> datetime | None:
    """Return until when the request must wait because an address is leaving; None when none is, or for a restore.

    A leaving address may still undo what a thief did, so nothing final happens while there is one.
    """
    if request.kind == RequestKind.RESTORE:
        return None
    credentials.close_expired(request.user_id)
    addresses = Credential.objects.filter(user=request.user_id, kind=Credential.Kind.ADDRESS)
    last = addresses.leaving().aggregate(last=Max("removed_at"))["last"]
    return credentials.undo_until(last) if last else None
