"""The pages about changes of an account: the review after a recovery, a report from inside, and the fresh check."""

import uuid

from allauth.account import views as allauth
from allauth.account.forms import SetPasswordForm
from allauth.account.utils import url_str_to_user_pk
from allauth.socialaccount.models import SocialAccount
from django.contrib import messages
from django.contrib.auth import logout
from django.contrib.auth.decorators import login_required
from django.db import transaction
from django.http import Http404, HttpRequest, HttpResponse
from django.shortcuts import get_object_or_404, redirect, render
from django.utils.translation import gettext as _
from django.views.decorators.cache import never_cache
from django.views.decorators.http import require_http_methods, require_POST, require_safe

from accounts import credentials
from accounts.changes import inside, proof, recovery, review
from accounts.changes.fresh import ask_before, ask_first, is_fresh
from accounts.credentials import Credential
from accounts.mail import dates
from accounts.sign_in import disputes
from accounts.sign_in.event import AccountChange, SignIn
from accounts.user import User, signed_in_user

GET_AND_POST = ["GET", "HEAD", "POST"]


@require_safe
@never_cache
@login_required
def changes(request: HttpRequest) -> HttpResponse:
    """Show what a dispute switched off, and the changes of the last seven days."""
    user = signed_in_user(request)
    context = {
        "held": review.load_held(user),
        "changes": review.load_changes(user),
        "recovering": recovery.recovering_address(request, user) is not None,
        "may_restore_rights": proof.assess(request, user).backing == Credential.Backing.FACTOR,
    }
    return render(request, "accounts/changes.html", {**context, **dates.zone_context(user.time_zone)})


@require_POST
@login_required
@ask_before()
def decide(request: HttpRequest, entry: int) -> HttpResponse:
    """Switch something held on again ("mine") or remove it ("remove")."""
    held = get_object_or_404(Credential, pk=entry, user=signed_in_user(request))
    answer = request.POST.get("answer")
    name = {"name": review.describe(held)}
    if answer == "mine" and review.keep(held, request):
        messages.success(request, _("Switched on again: %(name)s") % name)
    elif answer == "remove" and review.remove(held, request):
        messages.success(request, _("Removed: %(name)s") % name)
    else:
        messages.warning(request, _("Nothing has changed."))
    return redirect("account_changes")


@require_POST
@login_required
@ask_before()
def restore_rights(request: HttpRequest) -> HttpResponse:
    """Restore a staff user's suspended rights, after a check of a settled second factor."""
    if review.restore_own_rights(signed_in_user(request), request):
        messages.success(request, _("Your staff rights are restored."))
    else:
        messages.warning(
            request, _("Only a second factor that you have had for a week, or another operator, can restore them.")
        )
    return redirect("account_changes")


@require_http_methods(GET_AND_POST)
@never_cache
@login_required
def dispute_change(request: HttpRequest, change: uuid.UUID) -> HttpResponse:
    """Ask about one change after a recovery by mail: the answer acts for the address that recovered the account."""
    user = signed_in_user(request)
    event = get_object_or_404(AccountChange.objects.select_related("user"), pk=change, user=user)
    acting = recovery.recovering_address(request, user)
    if acting is None or not disputes.is_open(event, acting.address):
        raise Http404("no address of this session can dispute this change")
    answers = request.POST.getlist("answer")
    if answers == ["not-me"]:
        if disputes.dispute(event, acting.address):
            logout(request)
            text = _("Your account is protected: every session has ended, and the password no longer works.")
            messages.success(request, f"{text} {_('An email with a recovery link is on its way.')}")
        return redirect("account_login")
    if answers == ["me"]:
        return redirect("account_changes")
    context = {"event": event, "unanswered": request.method == "POST"}
    return render(request, "accounts/dispute.html", {**context, **dates.zone_context(user.time_zone)})


@require_http_methods(GET_AND_POST)
@never_cache
@login_required
@ask_first
def report_from_inside(request: HttpRequest, sign_in: uuid.UUID) -> HttpResponse:
    """Set a new password, end all other sessions and hold what another sign-in added."""
    user = signed_in_user(request)
    stranger = get_object_or_404(SignIn, pk=sign_in, user=user)
    if stranger.pk == proof.session_sign_in(request):
        raise Http404("this is the session's own sign-in")
    form = SetPasswordForm(data=request.POST or None, user=user)
    if request.method == "POST" and form.is_valid():
        inside.put_stranger_out(request, user, stranger, form.cleaned_data["password1"])
        messages.success(request, _("All other sessions have ended, and your new password is set."))
        return redirect("account_changes")
    context = {"form": form, "sign_in": stranger}
    return render(request, "accounts/report_from_inside.html", {**context, **dates.zone_context(user.time_zone)})


@never_cache
def reset_from_key(request: HttpRequest, uidb36: str, key: str) -> HttpResponse:
    """Show allauth's page of a reset link; set the password under a lock on the account."""
    entry = credentials.read_entry(request.GET.get("by", ""))
    if entry is not None:
        request.session[recovery.RESET_BY] = entry
    if request.method != "POST":
        return allauth.password_reset_from_key(request, uidb36=uidb36, key=key)
    with transaction.atomic():
        list(User.objects.select_for_update(no_key=True).filter(pk__in=_keys_of(uidb36)))
        return allauth.password_reset_from_key(request, uidb36=uidb36, key=key)


def _keys_of(uidb36: str) -> list[int]:
    """Return the primary key that a reset link names, if it names one."""
    try:
        return [int(url_str_to_user_pk(uidb36))]
    except (ValueError, OverflowError):
        return []


@require_safe
@never_cache
@login_required
@ask_first
def check_user(request: HttpRequest) -> HttpResponse:
    """Ask for the user's check, and go on to the connected accounts."""
    return redirect("socialaccount_connections")


@require_safe
@never_cache
@login_required
def check_with_github(request: HttpRequest) -> HttpResponse:
    """Show the button that asks GitHub for the user again."""
    user = signed_in_user(request)
    following = request.GET.get("next", "")
    if is_fresh(request) or not SocialAccount.objects.filter(user=user).exists():
        return redirect("preferences")
    return render(request, "accounts/check_with_github.html", {"following": following})
