"""The pages about one's own sign-ins; signing in itself is allauth's."""

import structlog
from allauth.account import views as allauth
from allauth.socialaccount.providers.github.views import oauth2_callback
from django.contrib import messages
from django.contrib.auth import logout
from django.contrib.auth.decorators import login_required
from django.db import DataError
from django.http import HttpRequest, HttpResponse
from django.shortcuts import get_object_or_404, redirect, render
from django.utils.translation import gettext as _
from django.views.decorators.cache import never_cache
from django.views.decorators.http import require_http_methods, require_POST, require_safe

from accounts import activity as activity_of
from accounts import dispute_links, disputes, moments, own_address, ownership, sessions
from accounts.forms import PreferencesForm
from accounts.middleware import remember_language
from accounts.models import Device, SignIn, User

log = structlog.get_logger("accounts")


@require_safe
def home(request: HttpRequest) -> HttpResponse:
    """The front page."""
    return render(request, "home.html")


@require_safe
@never_cache
@login_required
def activity(request: HttpRequest) -> HttpResponse:
    """The person's sign-ins of the last 90 days and their known devices."""
    user = _person(request)
    current = request.session.get(sessions.SIGN_IN, "")
    page, entries = activity_of.page_of(user, request.GET.get("page", ""), current)
    context = {"page": page, "entries": entries, "devices": user.devices.all(), **_zone(user.time_zone)}
    return render(request, "accounts/activity.html", context)


@require_POST
@login_required
def end_session(request: HttpRequest, sign_in: str) -> HttpResponse:
    """Ends the session of one sign-in, wherever it is; the one that asks ends like any other."""
    one = get_object_or_404(SignIn, pk=sign_in, user=_person(request))
    if str(one.pk) == request.session.get(sessions.SIGN_IN):
        logout(request)
        return redirect("account_login")
    sessions.end(user_id=one.user_id, sign_in=one.pk)
    messages.success(request, _("That session has ended."))
    return redirect("activity")


@require_POST
@login_required
def end_all_sessions(request: HttpRequest) -> HttpResponse:
    """Ends every session of the person, this one included."""
    user = _person(request)
    logout(request)
    sessions.end(user_id=user.pk)
    messages.success(request, _("All your sessions have ended. Sign in again here."))
    return redirect("account_login")


@require_POST
@login_required
def forget_device(request: HttpRequest, device: int) -> HttpResponse:
    """Forgets one known device: the next sign-in from it is told as from a new one."""
    get_object_or_404(Device, pk=device, user=_person(request)).delete()
    messages.success(request, _("The device is forgotten. The next sign-in from it will be told as new."))
    return redirect("activity")


@never_cache
def github_callback(request: HttpRequest) -> HttpResponse:
    """Where GitHub sends people back to. An answer of GitHub's that makes no sense is its page of errors, not ours."""
    try:
        return oauth2_callback(request)
    except (LookupError, TypeError, ValueError, AttributeError, DataError):
        log.exception("GitHub's answer could not be used")
        return redirect("socialaccount_login_error")


@login_required
def email_addresses(request: HttpRequest) -> HttpResponse:
    """allauth's page of one's addresses; one that an operator entered is confirmed there."""
    ownership.adopt(_person(request))
    return allauth.email(request)


@require_POST
@login_required
def address_works(request: HttpRequest) -> HttpResponse:
    """The banner's button: has mails go to one's address again, once in a while."""
    if own_address.lift(_person(request)):
        messages.success(request, _("Mails go to your address again. If one comes back, you will see it here."))
    else:
        messages.warning(request, _("Nothing has changed: look at your address again."))
    return redirect("account_email")


@require_http_methods(["GET", "HEAD", "POST"])
@never_cache
@login_required
def preferences(request: HttpRequest) -> HttpResponse:
    """Language, time zone, notices."""
    form = PreferencesForm(request.POST or None, instance=_person(request))
    if request.method == "POST" and form.is_valid():
        user = form.save()
        messages.success(request, _("Your preferences are saved."))
        response = redirect("preferences")
        remember_language(response, user.language)
        return response
    return render(request, "accounts/preferences.html", {"form": form})


@require_safe
@login_required
def dispute_own(request: HttpRequest, sign_in: str) -> HttpResponse:
    """The way from the page of one's sign-ins to the page of the link in the mail."""
    return redirect(dispute_links.path(get_object_or_404(SignIn, pk=sign_in, user=_person(request)).pk))


@require_http_methods(["GET", "HEAD", "POST"])
@never_cache
def dispute(request: HttpRequest, token: str) -> HttpResponse:
    """ "This wasn't me": GET explains and changes nothing, the button's POST acts, and once is all it takes."""
    sign_in = dispute_links.find(token)
    if sign_in is None:
        return render(request, "accounts/dispute_unknown.html", status=404)
    if request.method == "POST":
        done_now = disputes.dispute(sign_in)
        if done_now and request.user.is_authenticated and request.user.pk == sign_in.user_id:
            logout(request)
        return redirect(dispute_links.path(sign_in.pk))
    return render(request, "accounts/dispute.html", {"sign_in": sign_in, **_zone(sign_in.time_zone)})


def _person(request: HttpRequest) -> User:
    assert isinstance(request.user, User)  # noqa: S101  (login_required stands before every caller)
    return request.user


def _zone(name: str) -> dict[str, str]:
    """For templates: the zone of that name, or the site's, by name and in words."""
    return {"zone": moments.zone_named(name).key, "zone_in_words": moments.zone_in_words(name)}
