"""Pages of the site itself: the staff page about client addresses, and the list of every table."""

from django.conf import settings
from django.contrib import admin
from django.http import HttpRequest, HttpResponse
from django.shortcuts import render
from django.utils.translation import gettext as _


def address(request: HttpRequest) -> HttpResponse:
    """Show staff which IP address the site sees for them, and the headers it comes from."""
    context = {
        **admin.site.each_context(request),
        "title": _("Which address the site sees"),
        "seen": request.META.get("REMOTE_ADDR", ""),
        "peer": request.META.get("PEER_ADDR", ""),
        "forwarded": (request.META.get("HTTP_X_FORWARDED_FOR") or request.META.get("HTTP_FORWARDED", ""))[:1000],
        "scheme": request.scheme,
        "proxies": settings.TRUSTED_PROXIES,
    }
    return render(request, "admin/address.html", context)


def tables(request: HttpRequest) -> HttpResponse:
    """Show staff Django's own pages of every model that they may see."""
    return admin.site.index(request, {"title": _("All tables")})
