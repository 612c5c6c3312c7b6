"""One's own address when mails to it come back: what the person is told, and what they can do about it."""

from dataclasses import dataclass
from datetime import timedelta

from allauth.account.models import EmailAddress
from django.db.models import Q
from django.utils import timezone

from accounts import undeliverable
from accounts.models import User
from accounts.undeliverable import Undeliverable, UndeliverableQuerySet, Why

AGAIN_AFTER = timedelta(days=7)  # each "it works again" that is wrong costs a mail that comes back


@dataclass(frozen=True)
class Trouble:
    """entry: what holds mails back. may_lift: whether the person may say that the address works again."""

    entry: Undeliverable
    may_lift: bool

    @property
    def complained(self) -> bool:
        return self.entry.why == Why.COMPLAINED


def trouble(user: User) -> Trouble | None:
    """What the person is to be told. Of an address that is not shown to be theirs, only that mails come back."""
    entry = undeliverable.first_of([user.email]) if user.email else None
    if entry is None:
        return None
    theirs = _is_theirs(user)
    if entry.why == Why.COMPLAINED and not theirs:
        return None
    return Trouble(entry, theirs and _long_ago(entry))


def lift(user: User) -> bool:
    """Has mails go to the person's address again; False where they may not say so, or nothing holds them back."""
    if not user.email or not _is_theirs(user):
        return False
    lately = Q(lifted_at__gt=timezone.now() - AGAIN_AFTER)
    return bool(_of(user.email).exclude(lately).lift())


def addresses(user: User) -> set[str]:
    """Every address of an account."""
    listed = EmailAddress.objects.filter(user=user).values_list("email", flat=True)
    return {user.email, *listed} - {""}


def forget(user: User) -> None:
    """Deletes what was told of the person's addresses, but for those that another account has too."""
    others = User.objects.exclude(pk=user.pk)
    for address in addresses(user):
        if not others.filter(Q(email__iexact=address) | Q(emailaddress__email__iexact=address)).exists():
            _of(address).delete()


def _of(address: str) -> UndeliverableQuerySet:
    return Undeliverable.objects.of([address])


def _is_theirs(user: User) -> bool:
    """Confirmed, or entered by an operator (see ownership.py)."""
    rows = list(EmailAddress.objects.filter(user=user).values_list("email", "verified"))
    return not rows or any(verified and email.lower() == user.email.lower() for email, verified in rows)


def _long_ago(entry: Undeliverable) -> bool:
    return entry.lifted_at is None or entry.lifted_at < timezone.now() - AGAIN_AFTER
