"""The factors of an account, each a row of allauth's: recorded in its history, held, restored, removed.

Every row that is added or deleted is entered in the history (accounts/credentials), which emails the change with a link
that undoes it. A dispute holds a row by deleting it and keeping its contents, whose secrets stay encrypted.
"""

from datetime import datetime
from typing import Any

from allauth.mfa.models import Authenticator
from django.db import transaction

from accounts import credentials
from accounts.user import User

Type = Authenticator.Type
BY_DISPUTE = "changed_by_dispute"  # attribute of a row whose change a dispute has entered in the history


def remove_all_factors(user: User) -> int:
    """Remove every factor of an account, recovery codes too; return how many. Each removal is emailed."""
    with transaction.atomic():
        rows = list(Authenticator.objects.select_for_update().filter(user_id=user.pk))
        for row in rows:
            row.delete()
    return len(rows)


def row_saved(instance: Authenticator, created: bool, **_: Any) -> None:
    """Record a new factor in the history. Receiver of Authenticator's post_save."""
    if created and not hasattr(instance, BY_DISPUTE):
        credentials.factor_added(instance.user, credentials.KIND_OF_TYPE[instance.type], str(instance.pk))


def row_deleted(instance: Authenticator, origin: Any, **_: Any) -> None:
    """Record a removal in the history. Receiver of Authenticator's post_delete.

    Rows that are deleted with their account have no history.
    """
    if getattr(origin, "model", type(origin)) is Authenticator and not hasattr(instance, BY_DISPUTE):
        credentials.factor_removed(
            instance.user, credentials.KIND_OF_TYPE[instance.type], str(instance.pk), describe_row(instance)
        )


def hold(user: User, reference: str) -> dict[str, Any]:
    """Switch a factor off for a dispute; return what restores it, {} when it does not exist."""
    row = Authenticator.objects.filter(user_id=user.pk, pk=int(reference)).first()
    if row is None:
        return {}
    sealed = describe_row(row)
    setattr(row, BY_DISPUTE, True)
    row.delete()
    return sealed


def restore(user: User, reference: str, sealed: dict[str, Any]) -> bool:
    """Switch a factor on again from what `hold` or `describe_row` returned, and return whether it is on.

    Do nothing when it is on already, or when the account has another one of a type that it can have once.
    """
    if not sealed:
        return False
    same = Authenticator.objects.filter(user_id=user.pk, type=sealed["type"])
    if same.filter(pk=int(reference)).exists():
        return True
    if sealed["type"] != Type.WEBAUTHN and same.exists():
        return False
    row = Authenticator(pk=int(reference), user=user, type=sealed["type"], data=sealed["data"])
    row.created_at = datetime.fromisoformat(sealed["createdAt"])
    row.last_used_at = datetime.fromisoformat(sealed["lastUsedAt"]) if sealed["lastUsedAt"] else None
    setattr(row, BY_DISPUTE, True)
    row.save(force_insert=True)
    return True


def describe_row(row: Authenticator) -> dict[str, Any]:
    """Return a factor as JSON, from which `restore` makes it again; its secrets stay encrypted."""
    used = row.last_used_at.isoformat() if row.last_used_at else ""
    return {"type": row.type, "data": row.data, "createdAt": row.created_at.isoformat(), "lastUsedAt": used}
