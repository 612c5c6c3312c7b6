"""Recording changes of an account: a row for each, and an email with an undo link to every address concerned."""

from datetime import datetime
from typing import Any

from allauth.account.models import EmailAddress
from allauth.core import context
from django.conf import settings
from django.contrib import messages
from django.http import HttpRequest
from django.utils import translation
from django.utils.translation import gettext as _

from accounts import credentials
from accounts.changes import fresh
from accounts.credentials import Credential
from accounts.mail import user_agents
from accounts.notices import security
from accounts.notices.security import ChangeNotice, Recipient
from accounts.sign_in import sessions
from accounts.sign_in.event import AccountChange, SignIn
from accounts.user import User

What = AccountChange.What
PROFILE_CHANGES = {
    "notify_sign_ins": What.NOTICES,
    "first_name": What.NAME,
    "last_name": What.NAME,
    "language": What.LANGUAGE,
}


def record_change(
    user: User,
    what: AccountChange.What,
    request: HttpRequest | None = None,
    *,
    credential: Credential | None = None,
    closed_since: datetime | None = None,
) -> AccountChange:
    """Record a change and email every address concerned, in the caller's transaction.

    credential: what was changed. closed_since: addresses confirmed since then get an email without an undo link.
    """
    credentials.adopt_address(user)
    made = credentials.circumstances(user, request)
    change = AccountChange.objects.create(
        user=user, what=what, sign_in=made.sign_in, credential=credential, closed_since=closed_since
    )
    change.refresh_from_db(fields=["at"])
    notice = ChangeNotice(
        event_id=str(change.pk), what=what, at=change.at, language=language_of(user), device=_device(change)
    )
    security.enqueue_change(user, notice, _recipients(change))
    return change


def recipient_of(change: AccountChange, row: Credential) -> Recipient:
    """Return how one address is emailed about a change."""
    return Recipient(
        address=row.address,
        credential_id=row.pk,
        may_undo=row.has_power and not change.is_closed_for(row.since),
        is_current=row.state == Credential.State.CURRENT,
    )


def _recipients(change: AccountChange) -> list[Recipient]:
    """Return every address concerned, and one that was removed by this change."""
    rows = credentials.concerned_addresses(change.user)
    changed = change.credential
    if changed and changed.kind == Credential.Kind.ADDRESS and changed.address not in {row.address for row in rows}:
        rows.append(changed)
    return [recipient_of(change, row) for row in rows]


def language_of(user: User) -> str:
    """Return the language of an email about changes: the user's own choice, or that of the last known browser."""
    chosen = credentials.language_before(user)
    if chosen:
        return chosen
    known = SignIn.objects.filter(user=user, vouched=True).order_by("-at").values_list("language", flat=True).first()
    return known or translation.get_language() or settings.LANGUAGE_CODE


def _device(change: AccountChange) -> str:
    sign_in = SignIn.objects.filter(pk=change.sign_in).first() if change.sign_in else None
    return user_agents.device_name(sign_in.browser, sign_in.system) if sign_in else ""


def end_epoch(user: User, request: HttpRequest | None) -> None:
    """End the epoch; the acting session's own check still counts."""
    credentials.end_epoch(user)
    _renew(user, request)


def _renew(user: User, request: HttpRequest | None) -> None:
    actor = getattr(request, "user", None)
    if isinstance(actor, User) and actor.pk == user.pk:
        actor.epoch = user.epoch
        fresh.renew(request, user)


def password_changed(request: HttpRequest, user: User, **_kwargs: Any) -> None:
    """Receive allauth's password_changed and password_set: the other sessions no longer count, so their rows go."""
    sessions.end_other_sessions(user.pk, request.session.session_key)
    end_epoch(user, request)
    record_change(user, What.PASSWORD, request)


def address_confirmed(request: HttpRequest, email_address: EmailAddress, **_kwargs: Any) -> None:
    """Receive allauth's email_confirmed; the first address of an account has no other address to notify."""
    user = email_address.user
    assert isinstance(user, User)  # noqa: S101
    row = Credential.objects.for_address(user.pk, email_address.email).first()
    if any(other.address != email_address.email for other in credentials.concerned_addresses(user)):
        record_change(user, What.ADDRESS, request, credential=row)


def primary_changed(request: HttpRequest, user: User, to_email_address: EmailAddress, **_kwargs: Any) -> None:
    """Receive allauth's email_changed."""
    row = Credential.objects.for_address(user.pk, to_email_address.email).first()
    record_change(user, What.ADDRESS, request, credential=row)


def address_removed(request: HttpRequest, user: User, email_address: EmailAddress, **_kwargs: Any) -> None:
    """Receive allauth's email_removed; one that was never confirmed had no power and changes nothing."""
    end_epoch(user, request)
    row = Credential.objects.for_address(user.pk, email_address.email).first()
    if row is not None and row.removed_at is not None:
        if row.state == Credential.State.LEAVING and request is not None:
            text = _("For seven days, an email that we sent to the removed address can still undo this.")
            messages.info(request, text)
        record_change(user, What.ADDRESS_REMOVED, request, credential=row)


def factor_changed(credential: Credential, added: bool, request: HttpRequest | None, **_kwargs: Any) -> None:
    """Receive `credentials.factor_changed`: a second factor or a GitHub account was added or removed.

    What an account has before its first sign-in needs no email.
    """
    if added and not credential.user.sign_ins.exists():
        return
    _renew(credential.user, request or context.request)
    if credential.kind == Credential.Kind.GITHUB:
        what = What.GITHUB_ADDED if added else What.GITHUB_REMOVED
    else:
        what = What.FACTOR_ADDED if added else What.FACTOR_REMOVED
    record_change(credential.user, what, request, credential=credential)


def profile_changed(user: User, before: dict[str, Any], request: HttpRequest | None) -> None:
    """Record what changed in the profile since `credentials.read_profile` returned `before`.

    Notices that were turned off and the name are a change each; the language is one of its own only when neither of
    them changed. Turning notices on needs no email.
    """
    fields = credentials.profile_changed(user, before)
    whats = dict.fromkeys(PROFILE_CHANGES[name] for name in fields if name != "notify_sign_ins" or before[name])
    for what in [what for what in whats if what != What.LANGUAGE] or whats:
        record_change(user, what, request)


def account_reported(user: User, acting: Credential, **_kwargs: Any) -> None:
    """Receive `closing.account_closed`: email every address; those older than the acting one can undo it."""
    record_change(user, What.REPORTED, credential=acting, closed_since=acting.since)
