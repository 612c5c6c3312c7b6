"""Recovering an account by mail: the first confirmed address starts it over, a reset ends its sessions."""

from collections.abc import Callable

from allauth.account.forms import AddEmailForm
from allauth.account.models import EmailAddress
from django.contrib import messages
from django.contrib.auth import logout
from django.db import transaction
from django.http import HttpRequest
from django.utils.translation import gettext as _

from accounts import credentials
from accounts.changes.record import end_epoch, record_change
from accounts.credentials import Credential, github
from accounts.pending import flow
from accounts.pending.request import RequestKind
from accounts.sign_in import closing, sessions
from accounts.sign_in.event import AccountChange
from accounts.user import User

RESET_BY = "reset_by"  # the session's key: the entry of the address that a reset link was mailed to
RECOVERED_BY = "recovered_by"  # the session's key, after the reset: its account and that entry


def confirm_address(
    request: HttpRequest, address: EmailAddress, confirm: Callable[[HttpRequest, EmailAddress], bool]
) -> bool:
    """Confirm an address, under a lock on the account; False when it cannot be confirmed.

    The first address of an account is its owner's. So all that was done in the account before is dropped, also when the
    link is opened in a session of the account: another person may have signed this browser in. The owner sets a
    password next.
    """
    with transaction.atomic():
        user = User.objects.select_for_update(no_key=True).get(pk=address.user_id)
        if not EmailAddress.objects.filter(pk=address.pk).exists():
            return False
        first = not credentials.has_history(user)
        if not confirm(request, address):
            return False
        if first:
            closing.lock_out(user)
            drop_everything(user)
            if request.user.is_authenticated and request.user.pk == user.pk:
                logout(request)
            text = _("Set a password now. Nothing that signed in to the account before the confirmation still does.")
            messages.info(request, text)
        return True


def replace_first_address(request: HttpRequest, user: User) -> bool:
    """Put another address in the place of the unconfirmed one of the sign-up; False for one that is not valid.

    Nothing can be added before the first address is confirmed; so a user who mistyped it replaces it.
    """
    form = AddEmailForm(data=request.POST, user=user)
    if not form.is_valid():
        return False
    with transaction.atomic():
        EmailAddress.objects.filter(user=user, verified=False).delete()
        end_epoch(user, request)
        form.save(request).set_as_primary()
    return True


def drop_everything(user: User) -> None:
    """Remove GitHub accounts, factors, sign-ins, devices, the profile and requests that wait, permanently.

    The next sign-in is the first one of the account, so its browser is vouched.
    """
    flow.cancel_all(user, RequestKind.DELETE, RequestKind.LOST_FACTOR)
    for rows in (user.devices, user.sign_ins, AccountChange.objects.filter(user=user)):
        rows.all().delete()
    empty = {**credentials.EMPTY_PROFILE, "last_login": None}
    User.objects.filter(pk=user.pk).update(**empty)
    user.refresh_from_db(fields=list(empty))
    github.adopt_accounts(user)
    others = Credential.objects.filter(user=user).exclude(kind=Credential.Kind.ADDRESS)
    for credential in others.filter(state=Credential.State.CURRENT).select_related("user"):
        credentials.hold(credential)
    others.end_power()


def password_reset(request: HttpRequest, user: User, **_: object) -> None:
    """Receive allauth's password_reset: end every session and record the address by which the account was recovered.

    Before the first address was confirmed, the reset confirms it and drops all that was there before.
    """
    first = not credentials.has_history(user)
    sessions.end_sessions(user_id=user.pk)
    credentials.end_epoch(user)
    if first:
        drop_everything(user)
        for address in EmailAddress.objects.filter(user=user, verified=False):
            address.set_verified()
        return
    entry = request.session.pop(RESET_BY, None)
    if entry is not None:
        request.session[RECOVERED_BY] = [user.pk, entry]
    record_change(user, AccountChange.What.RECOVERED, request)


def recovering_address(request: HttpRequest, user: User) -> Credential | None:
    """Return the entry of the address by which this session's user recovered the account, while it has power."""
    match request.session.get(RECOVERED_BY):
        case [int(user_id), int(entry)] if user_id == user.pk:
            row = Credential.objects.filter(pk=entry, user=user).first()
            return credentials.find_power(user, row.address) if row else None
    return None
