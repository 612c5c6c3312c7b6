"""What mail services post when a mail came back: the addresses below /anymail/, of ANYMAIL_WEBHOOKS alone.

django-anymail checks who posts (password or signature) and reads it; `accounts.bounces` decides what it means. No body
gives a 500: one that cannot be read is the service's mistake, and only a database that is away is worth a second try.
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
from django.db import InterfaceError, OperationalError
from django.http import HttpRequest, HttpResponse
from django.urls import path
from django.views.decorators.csrf import csrf_exempt
from django.views.decorators.http import require_http_methods

from accounts import bounces
from notifier.api.problems import RETRY_AFTER, drain

log = structlog.get_logger("notifier.webhooks")

MAX_BODY = 1024 * 1024  # a bounce may carry the mail that came back
VIEWS: dict[str, type[AnymailBaseWebhookView]] = {
    "amazon_ses": AmazonSESTrackingWebhookView,
    "brevo": BrevoTrackingWebhookView,
    "mailgun": MailgunTrackingWebhookView,
    "postmark": PostmarkTrackingWebhookView,
}


def received(name: str) -> Callable[[HttpRequest], HttpResponse]:
    """The view of one service: 200; 403 unsigned; 413 too long; 400 unreadable; 503 with the database away."""
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
        except (OperationalError, InterfaceError) as away:
            log.warning("webhook put off: database away", service=name, error=str(away))
            return HttpResponse(status=503, headers={"Retry-After": str(RETRY_AFTER)})
        except Exception as exc:  # what a stranger may put into a body has no end
            log.warning("webhook cannot be read", service=name, **_told(exc))
            return HttpResponse(status=400)

    return respond


def _is_short(request: HttpRequest) -> bool:
    length = request.META.get("CONTENT_LENGTH") or "0"
    return length.isdecimal() and int(length) <= MAX_BODY


def _told(exc: Exception) -> dict[str, str]:
    """The kind of an error and where it came from; its text may repeat the body."""
    frame = traceback.extract_tb(exc.__traceback__)[-1]
    return {"error": type(exc).__name__, "place": f"{frame.name}:{frame.lineno}"}


tracking.connect(bounces.told, dispatch_uid="accounts.bounces")
urlpatterns = [path(f"{name}/tracking/", received(name), name=f"{name}_webhook") for name in settings.ANYMAIL_WEBHOOKS]
