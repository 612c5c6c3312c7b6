"""An operator's restore: an address of the last 90 days returns to its account, so that its user can sign in again.

It waits for OPERATOR_HOURS. Everyone is notified, and each address older than the theft can stop it.
"""

from datetime import datetime

from django.db import transaction
from django.db.models import QuerySet
from django.db.models.functions import Now

from accounts import credentials
from accounts.credentials import Credential
from accounts.pending import flow
from accounts.pending.request import PendingRequest, RequestKind
from accounts.sign_in import closing
from accounts.user import User
from jobs.core import audit


def former_addresses(user: User) -> QuerySet[Credential]:
    """Return the addresses that can return: those that the account had and no longer has, the last removed first."""
    current = Credential.objects.current(user.pk).values("address")
    addresses = Credential.objects.filter(user=user, kind=Credential.Kind.ADDRESS, removed_at__isnull=False)
    removed = addresses.exclude(address__in=current)
    return removed.order_by("-removed_at")


@transaction.atomic
def ask(user: User, former: Credential, since: datetime, *, operator: str, reason: str) -> bool:
    """Request the return of a former address, with an audit entry; False when such a request waits already.

    since: when another person took the account over.
    """
    request = flow.ask(user, RequestKind.RESTORE, operator=operator, reason=reason, address=former.address, since=since)
    if request is None:
        return False
    audit.record(operator, audit.AuditEntry.Act.RESTORE_USER, f"user {user.pk}", why=reason, request=request.pk)
    return True


def restore(request: PendingRequest) -> None:
    """Give the address its power back, hold what was added since the theft, close the account, and notify everyone.

    Cancel the request when the history of the address has been deleted meanwhile.
    """
    user = User.objects.select_for_update().get(pk=request.user_id)
    former = Credential.objects.for_address(user.pk, request.address).first()
    if former is None or request.since is None:
        flow.cancel(request)
        return
    if former.state != Credential.State.CURRENT:
        Credential.objects.filter(pk=former.pk).update(state=Credential.State.LEAVING, removed_at=Now())
        former.refresh_from_db()
    credentials.revert(user, former, max(request.since, former.since))
    closing.lock_out(user)
    flow.finish(request)
