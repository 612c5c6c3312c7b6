"""The review of an account after a recovery: what is held, and what was changed in the last days."""

from dataclasses import dataclass
from datetime import timedelta

from django.db import transaction
from django.db.models.functions import Now
from django.http import HttpRequest

from accounts import credentials
from accounts.changes.record import record_change
from accounts.credentials import UNDO_DAYS, Credential
from accounts.mail import user_agents
from accounts.mail.sanitize import mask_address
from accounts.sign_in import closing
from accounts.sign_in.event import AccountChange, SignIn
from accounts.user import User
from jobs.core import audit


@dataclass(frozen=True)
class Change:
    """One change on the page."""

    event: AccountChange
    what: str
    """What was changed, in words; an address is masked."""
    device: str
    """The device of the session that made it; "" when it is not known."""


@dataclass(frozen=True)
class Held:
    """Something that a dispute switched off."""

    credential: Credential
    name: str
    """Its kind; an address is masked."""


def load_held(user: User) -> list[Held]:
    """Return what is held, the oldest first."""
    credentials.close_expired(user.pk)
    return [Held(row, describe(row)) for row in Credential.objects.held(user.pk)]


def load_changes(user: User) -> list[Change]:
    """Return the changes of the last UNDO_DAYS, the newest first."""
    recent = AccountChange.objects.filter(user=user, at__gt=Now() - timedelta(days=UNDO_DAYS))
    events = list(recent.select_related("credential").order_by("-at"))
    sign_ins = SignIn.objects.in_bulk([event.sign_in for event in events if event.sign_in])
    return [Change(event, _describe_change(event), _device(sign_ins.get(event.sign_in))) for event in events]


def describe(credential: Credential) -> str:
    """Return what an entry is, without an address in full."""
    kind = str(credential.get_kind_display())
    return f"{kind}: {mask_address(credential.address)}" if credential.address else kind


def _describe_change(event: AccountChange) -> str:
    text = str(event.get_what_display())
    about = event.credential
    return f"{text} ({mask_address(about.address)})" if about and about.address else text


def _device(sign_in: SignIn | None) -> str:
    return user_agents.device_name(sign_in.browser, sign_in.system) if sign_in else ""


def keep(credential: Credential, request: HttpRequest) -> bool:
    """Switch something held on again, and email every address; False when it is no longer held, or taken."""
    with transaction.atomic():
        held = Credential.objects.held(credential.user_id).filter(pk=credential.pk).select_related("user").first()
        if held is None or not credentials.restore(held):
            return False
        record_change(held.user, AccountChange.What.RESTORED, request, credential=held)
        return True


def remove(credential: Credential, request: HttpRequest) -> bool:
    """Remove something held permanently; False when it is no longer held."""
    made = credentials.circumstances(credential.user, request)
    proved = made.backing != Credential.Backing.NONE
    held = Credential.objects.held(credential.user_id).filter(pk=credential.pk)
    return bool(held.end_power(made.backing if proved else None))


def restore_own_rights(user: User, request: HttpRequest) -> bool:
    """Restore the user's suspended staff rights after a check of a settled factor; False without one."""
    made = credentials.circumstances(user, request)
    if made.backing != Credential.Backing.FACTOR:
        return False
    with transaction.atomic():
        restored = closing.restore_rights(user)
        if restored:
            audit.record(user.get_username(), audit.AuditEntry.Act.RESTORE_RIGHTS, f"user {user.pk}")
    return restored
