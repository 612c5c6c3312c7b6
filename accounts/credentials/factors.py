"""Second factors and GitHub accounts in the history: added, removed, held by a dispute and restored.

The app that owns a kind registers two functions for it, once, at the start:

    hold(user, reference)             switch it off and return what restores it, as JSON; {} when there is none
    restore(user, reference, sealed)  switch it on again from what `hold` or `factor_removed` kept; return whether it
                                      is on, False when another one has taken its place

It calls `factor_added` and `factor_removed` for each change by a user, in the transaction of the change. Both write the
history; `factor_changed` then lets the site email everyone concerned, so the owning app sends no email itself.
"""

from collections.abc import Callable
from dataclasses import dataclass
from datetime import timedelta
from typing import Any

from allauth.mfa.models import Authenticator
from django.db import transaction
from django.db.models.functions import Now
from django.dispatch import Signal
from django.http import HttpRequest
from django.utils import timezone

from accounts.credentials.epochs import end_epoch
from accounts.credentials.history import FINAL_BACKINGS, Credential, circumstances, close_expired
from accounts.links.dispute_links import UNDO_DAYS
from accounts.user import User

KIND_OF_TYPE = {  # of allauth's rows of factors
    "totp": Credential.Kind.TOTP,
    "webauthn": Credential.Kind.PASSKEY,
    "recovery_codes": Credential.Kind.RECOVERY_CODES,
}
ASKED_FOR = (Authenticator.Type.TOTP, Authenticator.Type.WEBAUTHN)
"""Rows whose user is asked for a second factor; recovery codes alone are no factor."""

factor_changed = Signal()
"""Sent after a change by a user: `credential`, `added` (bool), `request` (or None)."""


@dataclass(frozen=True)
class Factor:
    """How a kind is switched off and on."""

    hold: Callable[[User, str], dict[str, Any]]
    restore: Callable[[User, str, dict[str, Any]], bool]


_factors: dict[str, Factor] = {}


def register_factor(
    kind: str, *, hold: Callable[[User, str], dict[str, Any]], restore: Callable[[User, str, dict[str, Any]], bool]
) -> None:
    """Register how a kind is held and restored; called from an app's `ready()`."""
    _factors[kind] = Factor(hold, restore)


def hold_factor(credential: Credential) -> None:
    """Switch a current factor off and keep what restores it."""
    sealed = _factors[credential.kind].hold(credential.user, credential.reference)
    Credential.objects.filter(pk=credential.pk).update(sealed=sealed)


def restore_factor(credential: Credential) -> bool:
    """Switch a factor on again from what was kept, and forget that; False when that is impossible."""
    restored = _factors[credential.kind].restore(credential.user, credential.reference, credential.sealed)
    if restored:
        Credential.objects.filter(pk=credential.pk).update(sealed={})
    return restored


@transaction.atomic
def factor_added(user: User, kind: str, reference: str, request: HttpRequest | None = None) -> None:
    """Record that a user enrolled a factor or connected a GitHub account.

    kind: a value of Credential.Kind. reference: names it within the user and kind for as long as it exists; of a
    factor the primary key of its row, as text, which `restore` keeps. One that is leaving keeps its `since`.
    """
    history = Credential.objects.for_factor(user.pk, kind, reference)
    if history.filter(state=Credential.State.CURRENT).exists():
        return
    close_expired(user.pk)
    made = circumstances(user, request)
    values = {"state": Credential.State.CURRENT, "added_in": made.sign_in, "backing": made.backing}
    leaving = history.leaving().first()
    if leaving:
        Credential.objects.filter(pk=leaving.pk).update(**values, removed_at=None, removed_in=None, sealed={})
    else:
        leaving = Credential(user=user, kind=kind, reference=reference, **values)
        leaving.save(force_insert=True)
    factor_changed.send(Credential, credential=_fresh(leaving), added=True, request=request)


@transaction.atomic
def factor_removed(
    user: User, kind: str, reference: str, sealed: dict[str, Any], request: HttpRequest | None = None
) -> None:
    """Record that a user removed a factor or disconnected a GitHub account.

    sealed: what `restore` needs to switch it on again, as JSON. A removal that a settled factor or an operator proved
    is final: nothing is kept. Any other can be undone by a dispute, for UNDO_DAYS.
    """
    removed = Credential.objects.for_factor(user.pk, kind, reference).filter(state=Credential.State.CURRENT).first()
    if removed is None:
        return
    made = circumstances(user, request)
    final = made.backing in FINAL_BACKINGS
    Credential.objects.filter(pk=removed.pk).update(
        state=Credential.State.GONE if final else Credential.State.LEAVING,
        sealed={} if final else sealed,
        backing=made.backing,
        removed_at=Now(),
        removed_in=made.sign_in,
    )
    end_epoch(user)
    factor_changed.send(Credential, credential=_fresh(removed), added=False, request=request)


def is_settled(user: User, kind: str, reference: str) -> bool:
    """Return whether a factor was enrolled UNDO_DAYS ago, or before the account's first sign-in."""
    factor = Credential.objects.for_factor(user.pk, kind, reference).filter(state=Credential.State.CURRENT).first()
    if factor is None:
        return False
    first = user.sign_ins.order_by("at").values_list("at", flat=True).first()
    return factor.since <= timezone.now() - timedelta(days=UNDO_DAYS) or first is None or factor.since < first


def has_settled_factor(user: User) -> bool:
    """Return whether one of the user's factors is settled."""
    kinds = [KIND_OF_TYPE[kind] for kind in ASKED_FOR]
    factors = Credential.objects.filter(user=user, kind__in=kinds, state=Credential.State.CURRENT)
    return any(is_settled(user, kind, reference) for kind, reference in factors.values_list("kind", "reference"))


def has_factor(user: User) -> bool:
    """Return whether a sign-in and a fresh check of the user ask for a second factor."""
    return Authenticator.objects.filter(user_id=user.pk, type__in=ASKED_FOR).exists()


def _fresh(credential: Credential) -> Credential:
    return Credential.objects.select_related("user").get(pk=credential.pk)
