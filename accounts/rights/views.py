"""The pages of a user's rights: turn notices off, download the data, delete the account, cancel what waits."""

from django.contrib import messages
from django.contrib.auth import logout
from django.contrib.auth.decorators import login_required
from django.http import HttpRequest, HttpResponse
from django.shortcuts import redirect, render
from django.utils import timezone
from django.utils.translation import gettext as _
from django.views.decorators.cache import never_cache
from django.views.decorators.csrf import csrf_exempt
from django.views.decorators.http import require_http_methods, require_safe

from accounts import credentials, privacy
from accounts.changes.fresh import ask_before
from accounts.links.address_links import CANCEL
from accounts.mail import dates
from accounts.pending import emails, flow
from accounts.pending.request import PendingRequest, RequestKind
from accounts.rights import deletion, lost_factor, unsubscribe
from accounts.rights.forms import AddressForm, ExportForm
from accounts.user import User, signed_in_user


@csrf_exempt  # the mailbox provider posts, without a cookie (RFC 8058); the signed link is the permission
@require_http_methods(["GET", "HEAD", "POST"])
@never_cache
def turn_notices_off(request: HttpRequest, token: str) -> HttpResponse:
    """Show the page of a link in a routine notice; a POST turns such notices off. A GET changes nothing."""
    user = unsubscribe.find_user(token)
    if user is None:
        return render(request, "accounts/rights/unsubscribe_unknown.html", status=404)
    if request.method == "POST":
        unsubscribe.turn_off(user)
    return render(request, "accounts/rights/unsubscribe.html", {"turned_off": not user.notify_sign_ins})


@require_http_methods(["GET", "HEAD", "POST"])
@never_cache
@login_required
@ask_before()
def data(request: HttpRequest) -> HttpResponse:
    """Show what the site stores about the user; a POST, after a fresh check, returns it as a file."""
    form = ExportForm(request.POST)
    if request.method != "POST" or not form.is_valid():
        return render(request, "accounts/rights/data.html", {"form": ExportForm()})
    content = privacy.export_json(signed_in_user(request), other_sites=form.cleaned_data["other_sites"])
    name = f"account-{timezone.now():%Y-%m-%d}.json"
    return HttpResponse(
        content, content_type="application/json", headers={"Content-Disposition": f'attachment; filename="{name}"'}
    )


@require_http_methods(["GET", "HEAD", "POST"])
@never_cache
@login_required
@ask_before()
def delete(request: HttpRequest) -> HttpResponse:
    """Show what a deletion means; a POST, after a fresh check, closes the account."""
    if request.method != "POST":
        return render(request, "accounts/rights/delete.html")
    deletion.ask(signed_in_user(request))
    logout(request)
    return redirect("account_closed")


@require_safe
def deleting(request: HttpRequest) -> HttpResponse:
    """Show that the account is closed and how to cancel the deletion."""
    return render(request, "accounts/rights/closed.html")


@require_http_methods(["GET", "HEAD", "POST"])
@never_cache
def cancel(request: HttpRequest, token: str) -> HttpResponse:
    """Show the page of a link that cancels a request; only the answer "cancel" acts."""
    target = CANCEL.read(token)
    found = PendingRequest.objects.select_related("user").filter(pk=target.number).first() if target else None
    if target is None or found is None or not target.find_address(emails.cancelling_addresses(found)):
        return render(request, "accounts/rights/link_unknown.html", status=404)
    answers = request.POST.getlist("answer")
    if answers == ["cancel"]:
        flow.cancel(found)
        return redirect(request.path)
    return _ask(request, "accounts/rights/cancel.html", {"found": found, "kept": answers == ["keep"]}, found.user)


@require_http_methods(["GET", "HEAD", "POST"])
@never_cache
def ask_lost_factor_mail(request: HttpRequest) -> HttpResponse:
    """Ask for an address; email the link of a lost factor to the account's oldest one, if there is one."""
    form = AddressForm(request.POST or None)
    if request.method == "POST" and form.is_valid():
        lost_factor.enqueue_link(form.cleaned_data["email"])
        messages.success(
            request,
            _(
                "If an account with a second factor has this address, we email a link to the address that "
                "the account has had for longest."
            ),
        )
        return redirect("account_login")
    return render(request, "accounts/rights/lost_factor_mail.html", {"form": form})


@require_http_methods(["GET", "HEAD", "POST"])
@never_cache
def lost_factor_page(request: HttpRequest, token: str) -> HttpResponse:
    """Show the page of a link that asks for the removal of a second factor; only the answer "lost" acts."""
    user = lost_factor.find_user(token)
    if user is None or not credentials.has_factor(user):
        return render(request, "accounts/rights/link_unknown.html", status=404)
    answers = request.POST.getlist("answer")
    if answers == ["lost"]:
        lost_factor.ask(user)
        return redirect(request.path)
    waiting = PendingRequest.objects.waiting().filter(user=user, kind=RequestKind.LOST_FACTOR).first()
    return _ask(request, "accounts/rights/lost_factor.html", {"found": waiting, "kept": answers == ["not-lost"]}, user)


def _ask(request: HttpRequest, template: str, context: dict[str, object], user: User) -> HttpResponse:
    """Show a question that nothing preselects; `kept` in the context: it was answered so that nothing changes."""
    unanswered = request.method == "POST" and not context["kept"]
    return render(request, template, {**context, **dates.zone_context(user.time_zone), "unanswered": unanswered})
