"""Undoing what happened to an account since a disputed event, for the address that disputes it."""

from datetime import datetime, timedelta

from allauth.account.models import EmailAddress
from django.db import transaction
from django.db.models import Q
from django.db.models.functions import Now

from accounts.credentials import factors, github, profile
from accounts.credentials.history import FINAL_BACKINGS, Credential, CredentialQuerySet
from accounts.links.dispute_links import UNDO_DAYS
from accounts.user import User

State, Kind, Backing = Credential.State, Credential.Kind, Credential.Backing


@transaction.atomic
def revert(user: User, acting: Credential, start: datetime) -> None:
    """Hold what was added since `start` and restore what was removed since, for the `acting` address.

    What was added and removed since is held as well: a thief's credential must not return, the owner may want hers.
    No address older than the acting one is touched, either way, and nothing that a settled factor or an operator
    proved. The primary address stays if it is older than `start`; otherwise the oldest one becomes primary.
    """
    github.adopt_accounts(user)
    touched = Credential.objects.filter(user=user).exclude(pk=acting.pk).exclude(backing__in=FINAL_BACKINGS)
    mine = touched.filter(~Q(kind=Kind.ADDRESS) | Q(since__gt=acting.since)).select_related("user")
    added = list(_added_since(mine, start))
    removed = list(_removed_since(mine, start))
    EmailAddress.objects.filter(user=user).exclude(verified=True).delete()
    for credential in added:
        hold(credential)
    profile.restore_profile(user, [row for row in removed if row.kind == Kind.PROFILE])
    for credential in removed:
        if credential.kind != Kind.PROFILE:
            restore(credential)
    if acting.state == State.LEAVING:
        restore(acting)
    if not Credential.objects.current(user.pk).filter(address=user.email.lower(), since__lt=start).exists():
        choose_primary(user, but=user.email, otherwise=acting)


def _added_since(rows: CredentialQuerySet, start: datetime) -> CredentialQuerySet:
    """Return what was added since `start` and is current, or was removed again and could still be restored."""
    leaving = Q(state=State.LEAVING, removed_at__gt=Now() - timedelta(days=UNDO_DAYS))
    return rows.filter(Q(state=State.CURRENT) | leaving, since__gte=start).exclude(kind=Kind.PROFILE)


def _removed_since(rows: CredentialQuerySet, start: datetime) -> CredentialQuerySet:
    """Return what was removed since `start` and belonged to the account before, the first removal first.

    An address that lost its power because an older one stayed is among it; one whose removal was proved is not.
    """
    recent = rows.filter(removed_at__gte=start, removed_at__gt=Now() - timedelta(days=UNDO_DAYS))
    recent = recent.filter(Q(kind=Kind.PROFILE) | Q(since__lt=start))
    overruled = Q(state=State.GONE, kind=Kind.ADDRESS, backing=Backing.NONE)
    return recent.filter(Q(state=State.LEAVING) | overruled).order_by("removed_at", "pk")


def hold(credential: Credential) -> None:
    """Switch a current entry off, or keep a leaving one off, for UNDO_DAYS, until its owner decides about it."""
    values = {"state": State.HELD, "backing": Backing.DISPUTE, "removed_at": Now()}
    Credential.objects.filter(pk=credential.pk).update(**values)
    if credential.state == State.LEAVING:
        return
    if credential.kind == Kind.ADDRESS:
        EmailAddress.objects.filter(user_id=credential.user_id, email__iexact=credential.address).delete()
    else:
        factors.hold_factor(credential)


def restore(credential: Credential) -> bool:
    """Make a removed or held entry current again, with its old `since`.

    False when the account has it already, or another factor in its place, or when another account has confirmed the
    address or connected the GitHub account meanwhile. Then the entry stays as it is: what is current is really there.
    """
    same = {name: getattr(credential, name) for name in ("user_id", "kind", "address", "reference")}
    if Credential.objects.filter(**same, state=State.CURRENT).exists() or _is_taken(credential):
        return False
    values = {"state": State.CURRENT, "backing": Backing.NONE, "removed_at": None, "removed_in": None}
    entry = Credential.objects.filter(pk=credential.pk)
    entry.update(**values)
    if credential.kind == Kind.ADDRESS:
        EmailAddress.objects.create(user_id=credential.user_id, email=credential.address, verified=True)
    elif not factors.restore_factor(credential):
        entry.update(**{name: getattr(credential, name) for name in values})
        return False
    return True


def _is_taken(credential: Credential) -> bool:
    if credential.kind != Kind.ADDRESS:
        return False
    return EmailAddress.objects.filter(email__iexact=credential.address, verified=True).exists()


def choose_primary(user: User, *, but: str = "", otherwise: Credential | None = None) -> None:
    """Make the oldest address primary if the present one is no longer current, or is `but`."""
    current = Credential.objects.current(user.pk)
    kept = current.filter(address=user.email.lower()).exclude(address=but.lower()).first()
    primary = kept or current.first() or otherwise
    if primary is None:
        return
    EmailAddress.objects.filter(user=user).update(primary=False)
    EmailAddress.objects.filter(user=user, email__iexact=primary.address).update(primary=True)
    User.objects.filter(pk=user.pk).update(email=primary.address)
    user.email = primary.address


def older_addresses(acting: Credential) -> list[str]:
    """Return the addresses of the account that are older than the acting one; their links stay valid."""
    older = Credential.objects.filter(user_id=acting.user_id, kind=Kind.ADDRESS, since__lt=acting.since)
    return [address for address in older.values_list("address", flat=True) if address != acting.address]
