"""Webhooks for bounces and complaints from mail services: the URLs below /anymail/, one for each of ANYMAIL_WEBHOOKS.

django-anymail authenticates the service (password or signature) and parses the body. `accounts.suppression.bounces`
interprets the events. No body causes a 500: an unreadable one gets 400, and only a database that is away gets 503,
after which the service tries again.
"""

import traceback
from collections.abc import Callable
from functools import wraps

import structlog
from anymail.exceptions import AnymailWebhookValidationFailure
from anymail.signals import tracking
from anymail.webhooks.amazon_ses import AmazonSESTrackingWebhookView
from anymail.webhooks.base import AnymailBaseWebhookView
from anymail.webhooks.brevo import BrevoTrackingWebhookView
from anymail.webhooks.mailgun import MailgunTrackingWebhookView
from anymail.webhooks.postmark import PostmarkTrackingWebhookView
from django.conf import settings
from django.http import HttpRequest, HttpResponse
from django.urls import path
from django.views.decorators.csrf import csrf_exempt
from django.views.decorators.http import require_http_methods

from accounts.suppression import bounces
from jobs.core import sql
from notifier.api.problems import drain
from notifier.web.outage import database_away

log = structlog.get_logger("notifier.api.webhooks")

MAX_WEBHOOK_BYTES = 1024 * 1024  # a bounce may include the email that bounced
VIEWS: dict[str, type[AnymailBaseWebhookView]] = {
    "amazon_ses": AmazonSESTrackingWebhookView,
    "brevo": BrevoTrackingWebhookView,
    "mailgun": MailgunTrackingWebhookView,
    "postmark": PostmarkTrackingWebhookView,
}


def webhook_view(name: str) -> Callable[[HttpRequest], HttpResponse]:
    """Return the view for one service.

    It responds 200, 400 to an unreadable body, 403 to an unsigned one, 413 to one that is too long, and 503 when the
    database is away.
    """
    view = VIEWS[name].as_view()

    @csrf_exempt
    @require_http_methods(["HEAD", "POST"])
    @wraps(view)
    def respond(request: HttpRequest) -> HttpResponse:
        if not _is_short(request):
            drain(request)
            return HttpResponse(status=413)
        try:
            return view(request)
        except AnymailWebhookValidationFailure:
            log.warning("webhook refused: not signed", service=name)
            return HttpResponse(status=403)
        except Exception as exc:  # an unauthenticated client controls the body
            if sql.is_away(exc):
                return database_away(exc)
            log.warning("webhook cannot be read", service=name, **_error_fields(exc))
            return HttpResponse(status=400)

    return respond


def _is_short(request: HttpRequest) -> bool:
    length = request.META.get("CONTENT_LENGTH") or "0"
    return length.isdecimal() and int(length) <= MAX_WEBHOOK_BYTES


def _error_fields(exc: Exception) -> dict[str, str]:
    """Return the class and origin of an error, without its text, which may repeat the body."""
    frame = traceback.extract_tb(exc.__traceback__)[-1]
    return {"error": type(exc).__name__, "place": f"{frame.name}:{frame.lineno}"}


tracking.connect(bounces.handle_event, dispatch_uid="accounts.suppression.bounces")
urlpatterns = [
    path(f"{name}/tracking/", webhook_view(name), name=f"{name}_webhook") for name in settings.ANYMAIL_WEBHOOKS
]
