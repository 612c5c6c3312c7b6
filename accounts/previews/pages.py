"""The staff page of every email: a list, and a frame that shows one."""

from django.conf import settings
from django.contrib import admin
from django.core.exceptions import PermissionDenied
from django.http import Http404, HttpRequest, HttpResponse
from django.shortcuts import render
from django.utils.translation import gettext as _
from django.views.decorators.http import require_GET

from accounts.previews.registry import OWN, brands, find_variant, variants_of
from accounts.previews.variant import languages
from jobs.admin.parts.preview import frame_response

PERMISSION = "accounts.view_site"


@require_GET
def index(request: HttpRequest) -> HttpResponse:
    """List the emails that a site sends, in one language. Both are in the query: `?site=example&language=en`."""
    _check_permission(request)
    site, language = request.GET.get("site", OWN), request.GET.get("language", settings.LANGUAGE_CODE)
    known = brands()
    if site not in known or language not in languages():
        raise Http404
    names = {OWN: _("this site"), **{name: brand.name for name, brand in known.items() if not brand.own}}
    mails = [(variant.name, variant.build(language, known[site])) for variant in variants_of(known[site])]
    context = {
        **admin.site.each_context(request),
        "title": _("Every email"),
        "site": site,
        "sites": names.items(),
        "language": language,
        "languages": settings.LANGUAGES,
        "mails": mails,
        "first": mails[0][0],
    }
    return render(request, "admin/accounts/previews/mails.html", context)


@require_GET
def show(request: HttpRequest, site: str, language: str, name: str, part: str) -> HttpResponse:
    """Return an email for the frame; part: "html" or "text"."""
    _check_permission(request)
    brand = brands().get(site)
    variant = find_variant(name, brand) if brand else None
    if brand is None or variant is None or language not in languages() or part not in ("html", "text"):
        raise Http404
    mail = variant.build(language, brand)
    return frame_response(mail.html if part == "html" else mail.text, part)


def _check_permission(request: HttpRequest) -> None:
    if not request.user.has_perm(PERMISSION):
        raise PermissionDenied
