"""Sweeps over what was removed or held: reminders to removed addresses, and the end of their power."""

from datetime import timedelta

from django.db.models import QuerySet
from django.db.models.functions import Now

from accounts.changes.record import language_of, recipient_of
from accounts.credentials import UNDO_DAYS, Credential
from accounts.notices import security
from accounts.notices.security import ChangeNotice
from accounts.sign_in.event import AccountChange
from jobs.queue.sweeping import work_on_each

REMINDER_DAYS = (3, 6)  # after the removal of an address that can still undo it
BATCH = 100


def expired() -> QuerySet[Credential]:
    """Return what was removed, or held, so long ago that it can no longer be restored."""
    return Credential.objects.expired().order_by("removed_at")


def end_expired() -> None:
    """End the power of what has expired, and forget what would restore it."""
    Credential.objects.filter(pk__in=list(expired().values_list("pk", flat=True)[:BATCH])).end_power()


def unreminded() -> QuerySet[Credential]:
    """Return the removed addresses that are due for a reminder, and can still undo their removal."""
    due = Credential.objects.none()
    for number, days in enumerate(REMINDER_DAYS):
        due = due | Credential.objects.leaving().filter(
            kind=Credential.Kind.ADDRESS,
            reminded=number,
            removed_at__lt=Now() - timedelta(days=days),
            removed_at__gt=Now() - timedelta(days=UNDO_DAYS),
        )
    return due.order_by("removed_at")


def remind() -> None:
    """Email each removed address how it can still undo the removal. Safe to repeat, on several hosts."""
    work_on_each(unreminded().values_list("pk", flat=True)[:BATCH], _remind_one)


def _remind_one(pk: int) -> None:
    row = unreminded().select_for_update(skip_locked=True, of=("self",)).select_related("user").filter(pk=pk).first()
    if row is None:
        return
    Credential.objects.filter(pk=pk).update(reminded=row.reminded + 1)
    removals = AccountChange.objects.filter(credential=row, what=AccountChange.What.ADDRESS_REMOVED)
    change = removals.select_related("user").order_by("-at").first()
    if change is None:
        return
    notice = ChangeNotice(
        event_id=str(change.pk),
        what=change.what,
        at=change.at,
        language=language_of(row.user),
        kind="leaving",
        suffix=f".day{REMINDER_DAYS[row.reminded]}",
    )
    security.enqueue_change(row.user, notice, [recipient_of(change, row)])
