"""GitHub's reply for a user who is signed in: a check of the user, or one more GitHub account."""

from typing import Any

from allauth.account.internal.flows.login import record_authentication
from allauth.account.internal.flows.reauthentication import did_recently_reauthenticate, get_reauthentication_flows
from allauth.core.exceptions import ImmediateHttpResponse
from allauth.socialaccount.internal.flows.connect import connect
from allauth.socialaccount.providers.base import AuthProcess
from django.contrib import messages
from django.http import HttpRequest, HttpResponse
from django.shortcuts import redirect
from django.utils.translation import gettext as _

from accounts import credentials
from accounts.changes import fresh, locking
from accounts.user import User


def raise_if_answered(request: HttpRequest, user: User, sociallogin: Any) -> None:
    """Raise the response to GitHub's reply, unless allauth has to ask for the password first.

    The GitHub account of the user is a check of the user, and no new sign-in. Another one is connected under a lock on
    the account, if its session still exists and its check is fresh.
    """
    if sociallogin.is_existing and sociallogin.user.pk == user.pk:
        used = {"provider": sociallogin.account.provider, "uid": sociallogin.account.uid}
        record_authentication(request, user, "socialaccount", reauthenticated=True, **used)
        raise ImmediateHttpResponse(redirect(sociallogin.get_redirect_url(request) or "preferences"))
    if not credentials.may_add(user):
        messages.error(request, _("Confirm your email address first. Then you can add others."))
        raise ImmediateHttpResponse(redirect("account_email"))
    if sociallogin.state.get("process") != AuthProcess.CONNECT:
        return
    if fresh.is_fresh(request):
        raise ImmediateHttpResponse(_connect(request, sociallogin))
    by_allauth = not get_reauthentication_flows(user) or did_recently_reauthenticate(request)
    if by_allauth:  # it would not ask: a check in an older epoch or by what is not enough, or a user without a password
        raise ImmediateHttpResponse(redirect("check_user"))


def _connect(request: HttpRequest, sociallogin: Any) -> HttpResponse:
    try:
        with locking.lock_session(request):
            response: HttpResponse = connect(request, sociallogin)
            return response
    except locking.Stale:
        return redirect("account_login")
