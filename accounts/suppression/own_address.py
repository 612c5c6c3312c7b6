"""The user's own address when it is suppressed: what the site shows, and how the user reactivates it."""

from dataclasses import dataclass
from datetime import timedelta

from allauth.account.models import EmailAddress
from django.db.models import Q
from django.utils import timezone

from accounts.suppression import entries
from accounts.suppression.entries import SuppressedAddress, SuppressedAddressQuerySet, SuppressionReason
from accounts.user import User

AGAIN_AFTER = timedelta(days=7)  # each wrong "it works again" costs one more bounce


@dataclass(frozen=True)
class AddressProblem:
    """Why emails do not reach a user."""

    entry: SuppressedAddress
    may_reactivate: bool
    """Whether the user may reactivate the address."""

    @property
    def complained(self) -> bool:
        return self.entry.why == SuppressionReason.COMPLAINED


def address_problem(user: User) -> AddressProblem | None:
    """Return what the site shows the user; None without a problem.

    A complaint is shown only to a user who has confirmed the address.
    """
    entry = entries.active_entry([user.email]) if user.email else None
    if entry is None:
        return None
    owned = _owns_address(user)
    if entry.why == SuppressionReason.COMPLAINED and not owned:
        return None
    return AddressProblem(entry, owned and _may_again(entry))


def reactivate(user: User) -> bool:
    """Reactivate the user's address.

    Return False when the user may not, or when it is not suppressed.
    """
    if not user.email or not _owns_address(user):
        return False
    recently = Q(reactivated_at__gt=timezone.now() - AGAIN_AFTER)
    return bool(_entries(user.email).exclude(recently).reactivate())


def addresses_of(user: User) -> set[str]:
    """Return every address of an account."""
    listed = EmailAddress.objects.filter(user=user).values_list("email", flat=True)
    return {user.email, *listed} - {""}


def delete_entries(user: User) -> None:
    """Delete the entries of the user's addresses, except those that another account uses too."""
    others = User.objects.exclude(pk=user.pk)
    for address in addresses_of(user):
        if not others.filter(Q(email__iexact=address) | Q(emailaddress__email__iexact=address)).exists():
            _entries(address).delete()


def _entries(address: str) -> SuppressedAddressQuerySet:
    return SuppressedAddress.objects.for_addresses([address])


def _owns_address(user: User) -> bool:
    """Return whether the user confirmed the address, or an operator entered it (see credentials.py)."""
    rows = list(EmailAddress.objects.filter(user=user).values_list("email", "verified"))
    return not rows or any(verified and email.lower() == user.email.lower() for email, verified in rows)


def _may_again(entry: SuppressedAddress) -> bool:
    return entry.reactivated_at is None or entry.reactivated_at < timezone.now() - AGAIN_AFTER
