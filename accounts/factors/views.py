"""The pages of second factors: the list, and allauth's pages with this site's rules."""

from collections.abc import Callable
from functools import wraps
from typing import Any

from allauth.account.internal.stagekit import unstash_login
from allauth.account.utils import passthrough_next_redirect_url
from allauth.mfa.base.views import AuthenticateView
from allauth.mfa.models import Authenticator
from allauth.mfa.recovery_codes.views import GenerateRecoveryCodesView, ViewRecoveryCodesView
from allauth.mfa.totp.views import ActivateTOTPView, DeactivateTOTPView
from allauth.mfa.webauthn.internal import auth as webauthn
from allauth.mfa.webauthn.views import (
    AddWebAuthnView,
    LoginWebAuthnView,
    ReauthenticateWebAuthnView,
    RemoveWebAuthnView,
)
from django.contrib import messages
from django.contrib.auth import REDIRECT_FIELD_NAME
from django.contrib.auth.decorators import login_required
from django.db import transaction
from django.http import Http404, HttpRequest, HttpResponse, HttpResponseBase
from django.shortcuts import redirect, render
from django.urls import reverse
from django.utils.translation import gettext as _
from django.views.decorators.http import require_safe

from accounts import credentials
from accounts.changes import fresh
from accounts.factors import codes, enrolment, staff
from accounts.factors.adapter import FactorAdapter
from accounts.factors.authenticators import Type
from accounts.factors.summary import summarise_factors
from accounts.user import User, signed_in_user

View = Callable[..., HttpResponseBase]


def user_signing_in(request: HttpRequest) -> User | None:
    """Return the user who has given the password and is now asked for the second factor."""
    login = unstash_login(request, peek=True)
    return login.user if login and isinstance(login.user, User) else None


@require_safe
@login_required
def factors(request: HttpRequest) -> HttpResponse:
    """Show the factors of the account; staff without one learn here that they need one."""
    user = signed_in_user(request)
    enrolment.remember_next_page(request)
    context = {
        **summarise_factors(user),
        "needs_factor": staff.is_staff(request) and not staff.may_administer(request),
        **_way_on(request),
    }
    return render(request, "mfa/index.html", context)


def changing(view: View) -> View:
    """Decorate a view that changes factors: its user is checked, and change and history commit together."""

    @wraps(view)
    @login_required
    @fresh.ask_first
    def wrapped(request: HttpRequest, *args: Any, **kwargs: Any) -> HttpResponseBase:
        with transaction.atomic():
            return view(request, *args, **kwargs)

    return wrapped


def adding(view: View) -> View:
    """Decorate a view that adds a factor: not before the sign-up address is confirmed."""
    change = changing(view)

    @wraps(view)
    @login_required
    def wrapped(request: HttpRequest, *args: Any, **kwargs: Any) -> HttpResponseBase:
        if credentials.may_add(signed_in_user(request)):
            return change(request, *args, **kwargs)
        text = _("Confirm your email address first. Then you can add a passkey or an authenticator app.")
        messages.error(request, text)
        return redirect("mfa_index")

    return wrapped


class AppView(ActivateTOTPView):
    """Add an authenticator app."""

    def form_valid(self, form: Any) -> HttpResponse:
        response: HttpResponse = super().form_valid(form)
        codes.use_up(signed_in_user(self.request), form.cleaned_data["code"])
        return response


class PasskeyView(AddWebAuthnView):
    """Add a passkey: one that is stored on its device, which checks the user."""

    def get_context_data(self, **kwargs: Any) -> dict[str, Any]:
        context = super().get_context_data(**kwargs)  # begins a registration, which the next line replaces
        options = webauthn.begin_registration(signed_in_user(self.request), True)
        return {**context, "js_data": {"creation_options": options}}


class SecondStepView(AuthenticateView):
    """Ask for the second factor after the password."""

    def get_context_data(self, **kwargs: Any) -> dict[str, Any]:
        context: dict[str, Any] = super().get_context_data(**kwargs)
        types = set(Authenticator.objects.filter(user=self.stage.login.user).values_list("type", flat=True))
        return {**context, "has_passkey": Type.WEBAUTHN in types, "has_app": Type.TOTP in types}


class PasskeySignInView(LoginWebAuthnView):
    """Sign in with a passkey; a refusal keeps the page that the user wanted."""

    def form_invalid(self, form: Any) -> HttpResponse:
        super().form_invalid(form)
        return redirect(passthrough_next_redirect_url(self.request, reverse("account_login"), REDIRECT_FIELD_NAME))


class PasskeyAgainView(ReauthenticateWebAuthnView):
    """Check the user with a passkey before a change; a refusal shows the page again."""

    def form_invalid(self, form: Any) -> HttpResponse:
        super().form_invalid(form)
        return redirect(self.request.get_full_path())


class CodesView(ViewRecoveryCodesView):
    """Show the recovery codes that were not used yet."""

    def get_context_data(self, **kwargs: Any) -> dict[str, Any]:
        return {**super().get_context_data(**kwargs), **_way_on(self.request)}


@require_safe
@login_required
def picture(request: HttpRequest) -> HttpResponse:
    """Return the QR code of the app that this session is adding, as a picture; 404 when it is adding none."""
    secret = enrolment.read_secret(request)
    if not secret or has_app(signed_in_user(request)):
        raise Http404
    adapter = FactorAdapter()
    svg = adapter.build_totp_svg(adapter.build_totp_url(signed_in_user(request), secret))
    return HttpResponse(svg, content_type="image/svg+xml", headers={"Cache-Control": "no-store"})


def has_app(user: User) -> bool:
    """Return whether the account has an authenticator app."""
    return Authenticator.objects.filter(user_id=user.pk, type=Type.TOTP).exists()


def _way_on(request: HttpRequest) -> dict[str, str]:
    """Return the page that asked for a factor, once the account has one."""
    page = enrolment.next_page(request)
    return {"next_page": page if page and credentials.has_factor(signed_in_user(request)) else ""}


add_app = adding(AppView.as_view())
remove_app = changing(DeactivateTOTPView.as_view())
add_passkey = adding(PasskeyView.as_view())
remove_passkey = changing(RemoveWebAuthnView.as_view())
make_codes = changing(GenerateRecoveryCodesView.as_view())
show_codes = changing(CodesView.as_view())
second_step = SecondStepView.as_view()
passkey_sign_in = PasskeySignInView.as_view()
passkey_again = PasskeyAgainView.as_view()
