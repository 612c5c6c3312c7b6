"""A report "this wasn't me" from inside the account: the session proves less than an address, so it can do less."""

from django.contrib.auth import update_session_auth_hash
from django.db.models.functions import Coalesce, Now
from django.http import HttpRequest

from accounts import credentials
from accounts.changes import proof
from accounts.changes.record import end_epoch, record_change
from accounts.credentials import Credential
from accounts.sign_in import sessions
from accounts.sign_in.event import AccountChange, SignIn
from accounts.user import User


def put_stranger_out(request: HttpRequest, user: User, stranger: SignIn, password: str) -> None:
    """End all other sessions, set a new password and hold what the reported session added.

    Nothing that is older than the sign-in of the acting session is touched. Everyone is emailed an undo link.
    """
    sessions.end_other_sessions(user.pk, request.session.session_key)
    user.set_password(password)
    user.save(update_fields=["password"])
    update_session_auth_hash(request, user)
    for credential in _added_by(request, user, stranger):
        credentials.hold(credential)
    credentials.choose_primary(user)
    SignIn.objects.filter(pk=stranger.pk).update(disputed_at=Coalesce("disputed_at", Now()))
    end_epoch(user, request)
    record_change(user, AccountChange.What.STRANGER_OUT, request)


def _added_by(request: HttpRequest, user: User, stranger: SignIn) -> list[Credential]:
    named = proof.session_sign_in(request)
    own = SignIn.objects.filter(pk=named, user=user).first() if named else None
    if own is None:
        return []
    added = Credential.objects.filter(
        user=user, state=Credential.State.CURRENT, added_in=stranger.pk, since__gte=own.at
    ).exclude(backing__in=credentials.FINAL_BACKINGS)
    if not Credential.objects.current(user.pk).exclude(pk__in=added).exists():
        added = added.exclude(kind=Credential.Kind.ADDRESS)  # an account keeps one address
    return list(added.select_related("user"))
