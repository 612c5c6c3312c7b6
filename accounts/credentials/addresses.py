"""The addresses of an account: since when each belongs to it, and whether a removed one keeps its power.

A dispute acts for the address its link was mailed to and undoes only what is younger than that address. A removed
address keeps this power for UNDO_DAYS, unless its removal was proved; so a robbed owner wins against a thief who
removed her address, and the reader of a mailbox that was given up properly has no power.
"""

from datetime import datetime
from typing import Any

from allauth.account.models import EmailAddress
from django.db.models.functions import Now
from django.utils import timezone

from accounts.credentials.history import Credential, circumstances, close_expired
from accounts.user import User


def address_saved(instance: EmailAddress, **_: Any) -> None:
    """Record that an address is confirmed. Receiver of EmailAddress's post_save."""
    if instance.verified:
        take_on(instance.user, instance.email)


def take_on(user: User, address: str, *, since: datetime | None = None) -> None:
    """Make an address current. One that is leaving keeps its `since`; a held or removed one gets a new `since`."""
    history = Credential.objects.for_address(user.pk, address)
    if history.filter(state=Credential.State.CURRENT).exists():
        return
    close_expired(user.pk)
    made = circumstances(user)
    values: dict[str, Any] = {"added_in": made.sign_in, "backing": made.backing}
    leaving = history.leaving().first()
    if leaving:
        values |= {"state": Credential.State.CURRENT, "removed_at": None, "removed_in": None}
        Credential.objects.filter(pk=leaving.pk).update(**values)
        return
    if since:
        values["since"] = since
    Credential.objects.create(user=user, address=address.lower(), **values)


def address_deleted(instance: EmailAddress, **_: Any) -> None:
    """Record that an address was removed, and end its power if that was proved. Receiver of EmailAddress's post_delete.

    Where an older address stayed, that one can undo the removal, so this one needs no power of its own.
    """
    history = Credential.objects.for_address(instance.user_id, instance.email)
    removed = history.filter(state=Credential.State.CURRENT).first()
    if removed is None:
        return
    made = circumstances(removed.user)
    older = Credential.objects.current(removed.user_id).filter(since__lt=removed.since).exists()
    final = older or made.backing != Credential.Backing.NONE
    Credential.objects.filter(pk=removed.pk).update(
        state=Credential.State.GONE if final else Credential.State.LEAVING,
        backing=made.backing,
        removed_at=Now(),
        removed_in=made.sign_in,
    )


def find_power(user: User, address: str) -> Credential | None:
    """Return the entry by which `address` may act for the account; None when it has no power.

    An address without an entry was entered by an operator and counts as old as the account: a notice was mailed to
    it, and notices go to no other unconfirmed address.
    """
    close_expired(user.pk)
    newest = Credential.objects.for_address(user.pk, address).first()
    if newest is not None:
        return newest if newest.has_power else None
    if not address or EmailAddress.objects.filter(user=user, email__iexact=address, verified=False).exists():
        return None
    return Credential(user=user, address=address.lower(), since=user.date_joined)


def find_entry(user: User, address: str) -> Credential | None:
    """Return the entry of a current address; None for one that is not confirmed."""
    adopt_address(user)
    return Credential.objects.current(user.pk).filter(address=address.lower()).first()


def enter(credential: Credential) -> Credential:
    """Save the entry of an address that an operator entered: current with its row, or leaving if it was replaced."""
    if credential._state.adding:
        adopt_address(credential.user)
        entered = Credential.objects.for_address(credential.user_id, credential.address).first()
        if entered is not None:
            return entered
        credential.state, credential.removed_at = Credential.State.LEAVING, timezone.now()
        credential.save(force_insert=True)
    return credential


def may_reset(user: User, address: str) -> bool:
    """Return whether a password may be reset by `address`: a confirmed one, or any before the first was confirmed."""
    if EmailAddress.objects.filter(user=user, email__iexact=address, verified=True).exists():
        return True
    return not has_history(user)


def has_history(user: User) -> bool:
    """Return whether the account has, or had, a confirmed address."""
    return Credential.objects.filter(user=user, kind=Credential.Kind.ADDRESS).exists()


def may_add(user: User) -> bool:
    """Return whether an address or a provider may be added: not before the sign-up address is confirmed."""
    unconfirmed = EmailAddress.objects.filter(user=user, verified=False)
    return not unconfirmed.exists() or EmailAddress.objects.filter(user=user, verified=True).exists()


def concerned_addresses(user: User) -> list[Credential]:
    """Return the entries of every address that is emailed about a change: current, leaving and held, oldest first."""
    close_expired(user.pk)
    rows = Credential.objects.filter(user=user, kind=Credential.Kind.ADDRESS).exclude(state=Credential.State.GONE)
    newest = {row.address: row for row in rows.order_by("pk")}
    return sorted(newest.values(), key=lambda row: (row.since, row.pk))


def replace_by_operator(user: User, former: str) -> None:
    """Record that an operator gave the account another address: the former one loses its power.

    It resets no password either, so its row is deleted.
    """
    if former and former.lower() != user.email.lower():
        history = Credential.objects.for_address(user.pk, former)
        history.end_power(Credential.Backing.OPERATOR)
        EmailAddress.objects.filter(user=user, email__iexact=former).delete()
        if not history.exists():
            Credential.objects.create(
                user=user, address=former.lower(), state=Credential.State.GONE, since=user.date_joined, removed_at=Now()
            )


def adopt_address(user: User) -> None:
    """Confirm an address that an operator entered, unless another account has confirmed it.

    allauth would call it unconfirmed the first time it meets it. It counts as old as the account.
    """
    user.refresh_from_db(fields=["email"])
    rows = EmailAddress.objects.filter(user=user)
    if not user.email or rows.filter(email__iexact=user.email).exists():
        return
    if not EmailAddress.objects.filter(email__iexact=user.email, verified=True).exists():
        take_on(user, user.email, since=user.date_joined)
        primary = not rows.filter(primary=True).exists()
        EmailAddress.objects.create(user=user, email=user.email.lower(), verified=True, primary=primary)
