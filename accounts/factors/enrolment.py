"""Adding a factor: the secret of an app that is being added, and where the user goes on afterwards."""

from typing import Any

from allauth.account.internal.flows.login import record_authentication
from allauth.account.utils import get_next_redirect_url
from allauth.core import context
from allauth.mfa.models import Authenticator
from allauth.mfa.totp.internal.auth import SECRET_SESSION_KEY, generate_totp_secret
from django.http import HttpRequest

from accounts import credentials
from accounts.factors.authenticators import BY_DISPUTE
from accounts.secrecy import vault

AFTERWARDS = "after_enrolment"  # the session's key of the page that asked for a factor


def make_secret(request: HttpRequest) -> str:
    """Return a new secret for an authenticator app, and keep it encrypted in the session."""
    secret: str = generate_totp_secret()
    request.session[SECRET_SESSION_KEY] = vault.encrypt(secret)
    return secret


def read_secret(request: HttpRequest) -> str:
    """Return the secret of the app that this session is adding; "" when it is adding none."""
    sealed = request.session.get(SECRET_SESSION_KEY, "")
    try:
        return vault.decrypt(sealed) if sealed else ""
    except vault.Unreadable:
        return ""


def note_proof(instance: Authenticator, created: bool, **_: Any) -> None:
    """Record that this session has just used the factor that it added. Receiver of Authenticator's post_save."""
    request = context.request
    own = request is not None and request.user.pk == instance.user_id
    if created and own and instance.type in credentials.ASKED_FOR and not hasattr(instance, BY_DISPUTE):
        proof = {"id": instance.pk, "type": instance.type, "reauthenticated": True}
        record_authentication(request, instance.user, "mfa", **proof)


def remember_next_page(request: HttpRequest) -> None:
    """Keep the page that asked for a factor, if it is one of this site."""
    page = get_next_redirect_url(request)
    if page:
        request.session[AFTERWARDS] = page


def next_page(request: HttpRequest) -> str:
    """Return the page that asked for a factor; "" when none did."""
    return str(request.session.get(AFTERWARDS, ""))
