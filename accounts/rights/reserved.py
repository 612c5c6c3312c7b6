"""Addresses that no other account can confirm: those leaving another account, whose owner may still need them."""

from datetime import timedelta

from django.db.models.functions import Now

from accounts.credentials import UNDO_DAYS, Credential
from accounts.user import User


def is_leaving_another(user: User | None, address: str) -> bool:
    """Return whether an address was removed from another account that can still get it back."""
    recently = Credential.objects.leaving().filter(removed_at__gte=Now() - timedelta(days=UNDO_DAYS))
    theirs = recently.filter(address=address.lower()).values_list("user_id", flat=True)
    return any(user is None or user_id != user.pk for user_id in theirs)
