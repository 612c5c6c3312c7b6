"""/developers/: the API for those who call it, and for staff the requests of each key with their results."""

from typing import Any

from django.conf import settings
from django.http import HttpRequest, HttpResponse
from django.shortcuts import render
from django.views.decorators.http import require_safe

from accounts.factors import staff
from accounts.sites.admin import rotation
from accounts.sites.api_calls import MOST_KEPT, MOST_SHOWN, ApiCall
from accounts.sites.api_requests import DAYS_KEPT, ApiRequest
from accounts.sites.keys import ApiKey, Purpose
from jobs.core.sql.keys import parse_key
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
        "purposes": list(Purpose),
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
    """Return the keys to choose from, and the chosen one with its requests."""
    chosen, before = _number(request, "key"), _number(request, "before")
    known = ApiKey.objects.select_related("site", "replaced_by")
    key = None if chosen is None else known.filter(pk=chosen).first()
    failed = request.GET.get("only") == "problems"
    calls = ApiCall.objects.newest(key, failed=True if failed else None, before=before) if key else []
    shown = calls[:MOST_SHOWN]
    return {
        "keys": known.order_by("site__slug", "-pk")[:MOST_KEYS],
        "key": key,
        "may_rotate": key is not None and key.may_rotate and rotation.may_rotate(request, key),
        "calls": shown,
        "older": shown[-1].pk if len(calls) > len(shown) else None,
        "only_problems": failed,
        "requests": ApiRequest.objects.newest(key) if key else [],
        "days": DAYS_KEPT,
        "kept": MOST_KEPT,
    }


def _number(request: HttpRequest, name: str) -> int | None:
    """Return a parameter that is a key of a row; None for any other."""
    return parse_key(request.GET.get(name, ""))
