"""Deleting one's own account: closed for UNDO_DAYS, then deleted with all that belongs to it."""

from django.db import transaction

from accounts.pending import emails, flow
from accounts.pending.request import PendingRequest, RequestKind
from accounts.sign_in import sessions
from accounts.user import User


@transaction.atomic
def ask(user: User) -> None:
    """Close the account, end its sessions and notify every address; the sweep deletes it when the wait is over.

    Its user name and its addresses stay its own until then.
    """
    if flow.ask(user, RequestKind.DELETE):
        User.objects.filter(pk=user.pk).update(is_active=False)
        sessions.end_sessions(user_id=user.pk)


def delete(request: PendingRequest) -> None:
    """Delete the account and notify the addresses that it had.

    An account that an operator opened again is not deleted.
    """
    user = User.objects.select_for_update().get(pk=request.user_id)
    if user.is_active:
        flow.cancel(request)
        return
    number, addresses, details = request.pk, emails.recipients(request), emails.details_of(request, "done")
    user.delete()
    emails.notify_deleted(number, details, addresses, user.language)
