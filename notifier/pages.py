"""Pages of the site itself: the staff page about addresses, and the ones for errors."""

from django.conf import settings
from django.contrib import admin
from django.contrib.admin.views.decorators import staff_member_required
from django.http import HttpRequest, HttpResponse
from django.shortcuts import render
from django.utils.translation import gettext as _
from django.views.decorators.cache import never_cache


@never_cache
@staff_member_required
def address(request: HttpRequest) -> HttpResponse:
    """Shows staff which address the site takes for theirs, and from what it was told."""
    context = {
        **admin.site.each_context(request),
        "title": _("Which address the site sees"),
        "seen": request.META.get("REMOTE_ADDR", ""),
        "peer": request.META.get("PEER_ADDR", ""),
        "forwarded": request.META.get("HTTP_X_FORWARDED_FOR", "")[:1000],
        "scheme": request.scheme,
        "proxies": settings.TRUSTED_PROXIES,
    }
    return render(request, "admin/address.html", context)
