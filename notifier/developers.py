"""/developers/: the API for those who call it, and for staff the requests of each key with their results."""

from typing import Any

from django.conf import settings
from django.http import HttpRequest, HttpResponse
from django.shortcuts import render
from django.views.decorators.http import require_safe

from accounts.factors import staff
from accounts.sites.api_requests import DAYS_KEPT, MOST_SHOWN, ApiRequest
from accounts.sites.keys import ApiKey
from jobs.admin.parts.filters import BIGGEST_ID
from notifier.api.problems import KINDS
from notifier.api.schemas import SignInNotification

VIEW_KEYS = "accounts.view_apikey"
MOST_KEYS = 200  # in the list to choose from


@require_safe
def developers(request: HttpRequest) -> HttpResponse:
    """Show what the API does and how to call it; to staff who may view keys, the requests of one."""
    context = {
        "url": settings.SITE_URL.rstrip("/"),
        "fields": _fields(),
        "problems": [(name, status, title) for name, (status, title) in KINDS.items()],
        "rate": settings.API_RATE,
        "per_hour": settings.SIGNIN_EMAILS_PER_HOUR,
        "per_address": settings.SIGNIN_EMAILS_PER_ADDRESS,
        **(_requests(request) if _may_view_keys(request) else {}),
    }
    return render(request, "api/developers.html", context)


def _fields() -> list[tuple[str, bool, str]]:
    """Return name, whether it is required, and description of each field of a notice, as the document has them."""
    document = SignInNotification.model_json_schema(by_alias=True)
    required = document["required"]
    return [(name, name in required, field.get("description", "")) for name, field in document["properties"].items()]


def _may_view_keys(request: HttpRequest) -> bool:
    return staff.is_staff(request) and staff.may_administer(request) and request.user.has_perm(VIEW_KEYS)


def _requests(request: HttpRequest) -> dict[str, Any]:
    """Return the keys to choose from, and the requests of the chosen one."""
    chosen = request.GET.get("key", "")
    known = chosen.isascii() and chosen.isdigit() and len(chosen) < 20 and int(chosen) <= BIGGEST_ID
    key = ApiKey.objects.filter(pk=int(chosen)).first() if known else None
    return {
        "keys": ApiKey.objects.select_related("site").order_by("site__slug", "-pk")[:MOST_KEYS],
        "key": key,
        "requests": ApiRequest.objects.newest(key) if key else [],
        "days": DAYS_KEPT,
        "most": MOST_SHOWN,
    }
