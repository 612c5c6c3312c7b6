"""The front page and the help page. Both show an example of the email, with the words of the real one."""

from datetime import timedelta
from email.utils import parseaddr
from typing import Any

from django.conf import settings
from django.http import HttpRequest, HttpResponse
from django.shortcuts import render
from django.utils import timezone
from django.utils.translation import get_language, pgettext
from django.views.decorators.http import require_safe

from accounts.credentials import UNDO_DAYS
from accounts.mail import content, geoip

SAMPLE_COUNTRY = "DE"
SAMPLE_AGE = timedelta(minutes=2)


@require_safe
def home(request: HttpRequest) -> HttpResponse:
    """Show what the service is; a signed-in user sees the way to the account as well."""
    return render(request, "home.html", {"sample": sample_email()})


@require_safe
def help_page(request: HttpRequest) -> HttpResponse:
    """Show what the emails look like, what their button does, and how to get help."""
    context = {
        "sample": sample_email(),
        "sender": parseaddr(settings.DEFAULT_FROM_EMAIL)[1],
        "per_hour": settings.SIGNIN_EMAILS_PER_HOUR,
        "undo_days": UNDO_DAYS,
    }
    return render(request, "accounts/pages/help.html", context)


def sample_email() -> dict[str, Any]:
    """Return the values of an email about a sign-in that was never made, in the active language.

    The functions of real emails write them, so that the example cannot differ from an email.
    """
    at = timezone.now() - SAMPLE_AGE
    payload = {
        "email": "bat@example.mn",
        "name": pgettext("name of an example", "Bat"),
        "provider": "password",
        "ipAddress": "203.0.113.7",
        "browser": "Firefox",
        "system": "Windows",
        "timestamp": at.isoformat(),
        "locale": get_language(),
        "newDevice": True,
    }
    written = content.write_content(payload)
    return {**written.values, "place": geoip.name_of_code(SAMPLE_COUNTRY)}
