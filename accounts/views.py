"""The users' pages that act: activity, sessions, addresses, preferences, dispute; allauth has those for signing in."""

import structlog
from allauth.account import views as allauth
from allauth.account.models import EmailAddress
from allauth.socialaccount.providers.github.views import oauth2_callback
from django.contrib import messages
from django.contrib.auth import logout
from django.contrib.auth.decorators import login_required
from django.db import DataError, transaction
from django.http import HttpRequest, HttpResponse, HttpResponseBase
from django.shortcuts import get_object_or_404, redirect, render
from django.utils.translation import gettext as _
from django.views.decorators.cache import never_cache
from django.views.decorators.http import require_http_methods, require_POST, require_safe

from accounts import credentials
from accounts.changes import fresh, recovery
from accounts.changes.record import profile_changed
from accounts.forms import PreferencesForm
from accounts.mail import dates, user_agents
from accounts.middleware import remember_language
from accounts.sign_in import activity as activity_page
from accounts.sign_in import disputes, known_devices, sessions
from accounts.sign_in.event import SignIn
from accounts.sign_in.known_devices import Device
from accounts.sites import views as site_pages
from accounts.suppression import own_address
from accounts.user import User, signed_in_user

log = structlog.get_logger("accounts")


@require_safe
@never_cache
@login_required
def activity(request: HttpRequest) -> HttpResponse:
    """Show the user's sign-ins of the last 90 days."""
    user = signed_in_user(request)
    current = request.session.get(sessions.SESSION_SIGN_IN, "")
    page, groups = activity_page.load_page(user, request.GET.get("page", ""), current)
    context = {
        "page": page,
        "groups": groups,
        **dates.zone_context(user.time_zone),
    }
    return render(request, "accounts/activity.html", context)


@require_POST
@login_required
def end_session(request: HttpRequest, sign_in: str) -> HttpResponse:
    """End the session of one sign-in, in whatever browser, this one included."""
    one = get_object_or_404(SignIn, pk=sign_in, user=signed_in_user(request))
    if str(one.pk) == request.session.get(sessions.SESSION_SIGN_IN):
        logout(request)
        messages.success(request, _("You have signed out."))
        return redirect("account_login")
    if sessions.end_sessions(user_id=one.user_id, sign_in=one.pk):
        messages.success(request, _("The session has ended: %(device)s") % {"device": _device_of(one)})
    else:
        messages.info(request, _("This session had already ended: %(device)s") % {"device": _device_of(one)})
    return _go_back(request)


@require_POST
@login_required
def end_all_sessions(request: HttpRequest) -> HttpResponse:
    """End every session of the user, this one included."""
    user = signed_in_user(request)
    logout(request)
    sessions.end_sessions(user_id=user.pk)
    messages.success(request, _("All your sessions have ended. You can sign in again here."))
    return redirect("account_login")


@require_POST
@login_required
def forget_device(request: HttpRequest, device: int) -> HttpResponse:
    """Forget a known device, with those that look the same.

    The next sign-in from it counts as one from a new device.
    """
    known = get_object_or_404(Device, pk=device, user=signed_in_user(request))
    known_devices.forget_devices(known)
    text = _("Forgotten: %(device)s. The next sign-in from there counts as one from a new device.")
    messages.success(request, text % {"device": _device_of(known)})
    return redirect("security")


def _device_of(seen: SignIn | Device) -> str:
    return user_agents.device_name(seen.browser, seen.system) or _("unknown device")


def _go_back(request: HttpRequest) -> HttpResponse:
    """Return to the page that has the button: Security, or Activity."""
    return redirect("security" if request.POST.get("from") == "security" else "activity")


@never_cache
def github_callback(request: HttpRequest) -> HttpResponse:
    """Finish a sign-in with GitHub.

    A reply that cannot be used leads to the page of that error.
    """
    try:
        return oauth2_callback(request)
    except (LookupError, TypeError, ValueError, AttributeError, DataError):
        log.exception("GitHub's reply could not be used")
        return redirect("socialaccount_login_error")


@login_required
def email_addresses(request: HttpRequest) -> HttpResponse:
    """Show allauth's page of the user's addresses.

    An address that an operator entered counts as confirmed.
    """
    user = signed_in_user(request)
    credentials.adopt_address(user)
    if "action_add" in request.POST and not credentials.may_add(user):
        messages.error(request, _("Confirm your email address first. Then you can add others."))
        return redirect("account_email")
    if "action_replace" in request.POST and not credentials.may_add(user):
        if not recovery.replace_first_address(request, user):
            messages.error(request, _("Enter a valid email address."))
        return redirect("account_email")
    if "action_send" in request.POST and _is_confirmed(user, request.POST.get("email", "")):
        messages.info(request, _("This address is already confirmed. No email was sent."))
        return redirect("account_email")
    return allauth.email(request)


def _is_confirmed(user: User, address: str) -> bool:
    return EmailAddress.objects.filter(user=user, email__iexact=address, verified=True).exists()


@require_POST
@login_required
def address_works(request: HttpRequest) -> HttpResponse:
    """Reactivate the user's own address, at most once in seven days.

    This is the button of the banner.
    """
    if own_address.reactivate(signed_in_user(request)):
        messages.success(request, _("We send emails to your address again. If one bounces, you will see it here."))
    else:
        messages.warning(request, _("Nothing has changed. Please check your address again."))
    return redirect("account_email")


@require_http_methods(["GET", "HEAD", "POST"])
@never_cache
@login_required
def preferences(request: HttpRequest) -> HttpResponseBase:
    """Show and save name, language, time zone and notices; some changes need a fresh check."""
    form = PreferencesForm(request.POST or None, instance=signed_in_user(request))
    if request.method == "POST" and form.is_valid():
        if form.needs_check and not fresh.is_fresh(request):
            return fresh.ask(request)
        user = _save_preferences(form, request)
        messages.success(request, _("Your preferences are saved."))
        response = redirect("preferences")
        remember_language(response, user.language)
        return response
    return render(request, "accounts/preferences.html", {"form": form})


def _save_preferences(form: PreferencesForm, request: HttpRequest) -> User:
    """Save the form, keep what the profile was, and email everyone about what changed."""
    with transaction.atomic():
        before = credentials.read_profile(form.instance)
        user: User = form.save()
        profile_changed(user, before, request)
    return user


@require_http_methods(["GET", "HEAD", "POST"])
@never_cache
def dispute(request: HttpRequest, token: str) -> HttpResponse:
    """Show the page of a link in an email about a sign-in or a change.

    Close the account when the user answers "not-me".

    Nothing else changes anything: a robot that opens the link, sends the form as it is, or clicks every button
    chooses no answer. A link that was used leads to the same page, never to a new link.
    """
    if of_another_site := site_pages.dispute(request, token):
        return of_another_site
    link = disputes.find_link(token)
    if link is None:
        return render(request, "accounts/dispute_unknown.html", status=404)
    event, address = link
    may_act = disputes.is_open(event, address)
    if not may_act and not event.disputed_at:
        return render(request, "accounts/dispute_unknown.html", status=410)
    answers = request.POST.getlist("answer")
    if answers == ["not-me"]:
        done_now = disputes.dispute(event, address)
        if done_now and request.user.is_authenticated and request.user.pk == event.user_id:
            logout(request)
        return redirect(request.path)
    may_give_up = disputes.may_give_up(event, address)
    if answers == ["gave-up"] and may_give_up:
        disputes.give_up(event, address)
        return render(request, "accounts/dispute_unknown.html", {"given_up": True})
    context = {
        "event": event,
        "may_give_up": may_give_up,
        "protected": not may_act,
        "thanks": answers == ["me"],
        "unanswered": request.method == "POST" and answers != ["me"],
    }
    return render(
        request,
        "accounts/dispute.html",
        {**context, **dates.zone_context(getattr(event, "time_zone", event.user.time_zone))},
    )
