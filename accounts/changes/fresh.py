"""The fresh check: before an account is changed, its user is asked for a factor, the password, or GitHub again.

A check counts for ten minutes, in its session, and in the epoch of the account in which it was made.
"""

from collections.abc import Callable
from functools import wraps
from typing import Any

from allauth.account.adapter import get_adapter
from allauth.core.exceptions import ReauthenticationRequired
from allauth.socialaccount.models import SocialAccount
from django.contrib import messages
from django.http import HttpRequest, HttpResponseBase
from django.shortcuts import redirect
from django.urls import reverse
from django.utils.translation import gettext as _

from accounts import credentials
from accounts.changes import proof
from accounts.user import User

View = Callable[..., HttpResponseBase]
SESSION_EPOCH = "epoch"  # the session's key that holds the user and the epoch of its last check


def step_completed(request: HttpRequest, user: User, method: str, **more: Any) -> None:
    """Record the epoch of a check, and give the session another key. Receiver of authentication_step_completed.

    A key that was stolen before a check is worth nothing after it.
    A second factor asked for at a sign-in is not the check of that sign-in: the password before it may be older.
    """
    if method != "mfa" or more.get("reauthenticated") or more.get("passwordless"):
        renew(request, user)
    if more.get("reauthenticated"):
        request.session.cycle_key()


def renew(request: HttpRequest | None, user: User) -> None:
    """Let the session's check count in the present epoch, which the session itself began."""
    if request is not None and hasattr(request, "session"):
        request.session[SESSION_EPOCH] = [user.pk, user.epoch]


def epoch_of_check(request: HttpRequest, user: User) -> int | None:
    """Return the epoch in which this session last checked the user; None when it has not."""
    match request.session.get(SESSION_EPOCH):
        case [int(user_id), int(epoch)] if user_id == user.pk:
            return epoch
    return None


def is_fresh(request: HttpRequest) -> bool:
    """Return whether the user of the session was checked in the last ten minutes, in this epoch, by what counts."""
    user = request.user
    if not isinstance(user, User) or (epoch_of_check(request, user) or 0) != user.epoch:
        return False
    records = proof.fresh_records(request, user)
    if credentials.has_factor(user):
        return any(record.get("method") == "mfa" for record in records)
    if user.has_usable_password():
        return any(record.get("method") == "password" for record in records)
    return bool(records)


def methods_without_password(user: User) -> list[dict[str, str]]:
    """Return how a user without a password and a factor is checked, in allauth's form."""
    if not SocialAccount.objects.filter(user=user, provider="github").exists():
        return []
    return [{"id": "github", "description": _("Use GitHub"), "url": reverse("check_with_github")}]


def ask(request: HttpRequest) -> HttpResponseBase:
    """Return the response for a user who has to be checked. Raise ReauthenticationRequired, which allauth answers."""
    if get_adapter().get_reauthentication_methods(request.user):
        raise ReauthenticationRequired
    messages.warning(request, _("Sign out, sign in again, and do this within ten minutes."))
    return redirect("activity")


def ask_before(*buttons: str, when: Callable[[User], bool] = lambda _user: True) -> Callable[[View], View]:
    """Decorate a view whose POST changes an account: the request waits until its user has been checked.

    buttons: the fields of the buttons that change something; none when every POST does. when: for which users.
    """

    def decorate(view: View) -> View:
        @wraps(view)
        def wrapped(request: HttpRequest, *args: object, **kwargs: object) -> HttpResponseBase:
            changes = request.method == "POST" and (not buttons or any(name in request.POST for name in buttons))
            if changes and request.user.is_authenticated and when(request.user) and not is_fresh(request):
                return ask(request)
            return view(request, *args, **kwargs)

        return wrapped

    return decorate


def ask_first(view: View) -> View:
    """Decorate a page that changes an account: its user is checked before the page is shown.

    Nothing that was entered in its form is kept for later.
    """

    @wraps(view)
    def wrapped(request: HttpRequest, *args: object, **kwargs: object) -> HttpResponseBase:
        if request.user.is_authenticated and not is_fresh(request):
            return redirect(request.path) if request.method == "POST" else ask(request)
        return view(request, *args, **kwargs)

    return wrapped
