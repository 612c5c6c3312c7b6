"""The administration asks for a second factor: in its sign-in, and of every session (setting STAFF_MFA)."""

import time
from typing import Any

from allauth.account.authentication import get_authentication_records
from allauth.account.internal.flows.login import perform_password_login
from allauth.account.models import Login
from django.conf import settings
from django.contrib.admin import AdminSite
from django.contrib.admin.forms import AdminAuthenticationForm
from django.contrib.auth import REDIRECT_FIELD_NAME
from django.contrib.auth.decorators import login_not_required
from django.contrib.auth.forms import AuthenticationForm
from django.contrib.auth.views import LoginView
from django.http import HttpRequest, HttpResponse, HttpResponseBase
from django.shortcuts import redirect
from django.urls import reverse
from django.utils.decorators import method_decorator
from django.utils.http import urlencode
from django.utils.translation import gettext as _
from django.views.decorators.cache import never_cache

from accounts import credentials
from accounts.user import User

PROVED = "staff_factor_proved"  # attribute of a request: the result of `proves_factor`


def is_staff(request: HttpRequest) -> bool:
    """Return whether an active member of staff is signed in, with a factor or without."""
    user = getattr(request, "user", None)
    return isinstance(user, User) and user.is_active and user.is_staff


def may_administer(request: HttpRequest) -> bool:
    """Return whether an active member of staff is signed in as STAFF_MFA requires."""
    return is_staff(request) and (settings.STAFF_MFA != "required" or proves_factor(request))


def proves_factor(request: HttpRequest) -> bool:
    """Return whether this session used a second factor, or added it, in the last STAFF_MFA_HOURS.

    False also when the account has no factor any more.
    """
    if not hasattr(request, PROVED):
        user = request.user
        since = time.time() - settings.STAFF_MFA_HOURS * 3600
        records = [one for one in get_authentication_records(request, user) if one.get("method") == "mfa"]
        used = any(one.get("at", 0) > since for one in records)
        setattr(request, PROVED, used and isinstance(user, User) and credentials.has_factor(user))
    return bool(getattr(request, PROVED))


class StaffSignIn(LoginView):
    """Django's form of the admin. The password is only the first step of allauth's sign-in."""

    authentication_form = AdminAuthenticationForm
    template_name = "admin/login.html"

    def form_valid(self, form: AuthenticationForm) -> HttpResponse:
        login = Login(user=form.get_user(), redirect_url=self.get_success_url())
        response: HttpResponse = perform_password_login(self.request, {}, login)
        return response


class StaffSite(AdminSite):
    """Django's admin site, open only to sessions that used a second factor."""

    enable_nav_sidebar = False  # the bar has the main pages; every table is in its corner

    def has_permission(self, request: HttpRequest) -> bool:
        return may_administer(request)

    @method_decorator(never_cache)
    @login_not_required
    def login(self, request: HttpRequest, extra_context: dict[str, Any] | None = None) -> HttpResponseBase:  # type: ignore[override]
        """Show the form; redirect staff who are signed in without a factor to the page to prove or add one."""
        index = reverse("admin:index", current_app=self.name)
        if self.has_permission(request) and request.method == "GET":
            return redirect(index)
        wanted = request.GET.get(REDIRECT_FIELD_NAME) or request.POST.get(REDIRECT_FIELD_NAME) or index
        if is_staff(request) and not self.has_permission(request):
            page = "mfa_reauthenticate" if credentials.has_factor(request.user) else "mfa_index"  # type: ignore[arg-type]
            return redirect(f"{reverse(page)}?{urlencode({REDIRECT_FIELD_NAME: wanted})}")
        context = {
            **self.each_context(request),
            "title": _("Log in"),
            "subtitle": None,
            "app_path": request.get_full_path(),
            "username": request.user.get_username(),
            REDIRECT_FIELD_NAME: wanted,
            **(extra_context or {}),
        }
        request.current_app = self.name
        return StaffSignIn.as_view(extra_context=context)(request)
