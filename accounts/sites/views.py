"""The pages behind the links in another site's notices, in that site's name and colour."""

from typing import Any

from django.http import Http404, HttpRequest, HttpResponse
from django.shortcuts import redirect, render
from django.utils import translation
from django.views.decorators.cache import never_cache
from django.views.decorators.csrf import csrf_exempt
from django.views.decorators.http import require_http_methods, require_safe

from accounts.mail import dates
from accounts.sign_in.event import SignIn
from accounts.sites import disputes, opt_out
from jobs.design import accent_styles

COLOUR_SECONDS = 365 * 24 * 3600


def render_page(
    request: HttpRequest, template: str, sign_in: SignIn, status: int = 200, **context: Any
) -> HttpResponse:
    """Render a page in the brand of a sign-in's site, in the language and zone of its notice."""
    with translation.override(sign_in.language):
        zone = dates.zone_context(sign_in.time_zone)
        brand = sign_in.site.brand
        response = render(request, template, {"brand": brand, "sign_in": sign_in, **zone, **context}, status=status)
    response["Content-Language"] = sign_in.language
    return response


def dispute(request: HttpRequest, token: str) -> HttpResponse | None:
    """Show the page of the button "This wasn't me" of another site's user; the answer "not-me" disputes the sign-in.

    Return None when the link is not about another site.
    """
    sign_in = disputes.find_sign_in(token)
    if sign_in is None:
        return None
    if disputes.is_expired(token):
        return render_page(request, "accounts/sites/expired.html", sign_in, status=410)
    answers = request.POST.getlist("answer")
    if answers == ["not-me"]:
        disputes.dispute(sign_in)
        return redirect(request.path)
    context = {"thanks": answers == ["me"], "unanswered": request.method == "POST" and answers != ["me"]}
    return render_page(request, "accounts/sites/dispute.html", sign_in, **context)


@csrf_exempt  # the mailbox provider posts, without a cookie (RFC 8058); the signed link is the permission
@require_http_methods(["GET", "HEAD", "POST"])
@never_cache
def unsubscribe(request: HttpRequest, token: str) -> HttpResponse:
    """Show the page of a link in a routine notice; a POST turns such notices off or on. A GET does nothing."""
    sign_in = opt_out.find_sign_in(token)
    if sign_in is None:
        raise Http404
    if request.method == "POST":
        (opt_out.turn_on if request.POST.get("notices") == "on" else opt_out.turn_off)(sign_in)
    return render_page(request, "accounts/sites/unsubscribe.html", sign_in, turned_off=opt_out.is_off(sign_in))


@require_safe
def brand_styles(request: HttpRequest, colour: str) -> HttpResponse:
    """Return the styles of an accent colour, six hexadecimal digits: pages may have no styles of their own."""
    return HttpResponse(
        accent_styles(f"#{colour}"),
        content_type="text/css; charset=utf-8",
        headers={"Cache-Control": f"public, max-age={COLOUR_SECONDS}, immutable"},
    )
