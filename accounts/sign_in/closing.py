"""Closing an account after a dispute: nothing that signed a user in works until the owner recovers the account.

The password is made unusable, sessions end, devices are forgotten, and what an older epoch made is void. The GitHub
account or passkey of the disputed sign-in is held. Staff rights are suspended, and API keys made since are revoked.
"""

from datetime import datetime

from django.dispatch import Signal

from accounts import credentials
from accounts.credentials import Credential
from accounts.sign_in import sessions
from accounts.sign_in.event import SignIn
from accounts.user import User

RIGHTS = ("is_staff", "is_superuser")

account_closed = Signal()
"""Sent in the transaction of a dispute: `user`, `acting` (the address that disputed), `start` (since when)."""


def close(user: User, acting: Credential, start: datetime, origin: SignIn | None) -> None:
    """Close the account. start: since when changes were reverted. origin: the disputed sign-in, if there was one."""
    _hold_what_signed_in(user, origin)
    lock_out(user)
    suspend_rights(user)
    account_closed.send(User, user=user, acting=acting, start=start)


def lock_out(user: User) -> None:
    """Make the password unusable, end every session and the epoch, and forget every device."""
    user.set_unusable_password()
    user.save(update_fields=["password"])
    sessions.end_sessions(user_id=user.pk)
    user.devices.all().delete()
    credentials.end_epoch(user)


def _hold_what_signed_in(user: User, origin: SignIn | None) -> None:
    """Hold the GitHub account or passkey that made the disputed sign-in; every GitHub account if it is not known."""
    kind = {"github": Credential.Kind.GITHUB, "passkey": Credential.Kind.PASSKEY}.get(origin.method if origin else "")
    if origin is None or kind is None:
        return
    used = Credential.objects.filter(user=user, kind=kind, state=Credential.State.CURRENT).select_related("user")
    for credential in used.filter(reference=origin.made_with) if origin.made_with else used:
        credentials.hold(credential)


def suspend_rights(user: User) -> None:
    """Take the staff rights from an account, and remember which."""
    had = [name for name in RIGHTS if getattr(user, name)]
    if had:
        User.objects.filter(pk=user.pk).update(
            suspended_rights=sorted({*user.suspended_rights, *had}), **dict.fromkeys(had, False)
        )
        user.refresh_from_db(fields=["suspended_rights", *RIGHTS])


def restore_rights(user: User) -> bool:
    """Restore suspended staff rights; False when none were suspended."""
    rights = [name for name in user.suspended_rights if name in RIGHTS]
    if not rights:
        return False
    User.objects.filter(pk=user.pk).update(suspended_rights=[], **dict.fromkeys(rights, True))
    user.refresh_from_db(fields=["suspended_rights", *RIGHTS])
    return True
