"""The view that receives events."""

import logging

from django.contrib.auth import get_user_model
from django.contrib.auth.models import AbstractBaseUser
from django.core.exceptions import ValidationError
from django.http import HttpRequest, HttpResponse
from django.http.request import RawPostDataException, UnreadablePostError
from django.views.decorators.csrf import csrf_exempt
from django.views.decorators.http import require_POST

from notifier_client import InvalidEvent, SignInDisputed, verify_event
from notifier_client.django.conf import event_secrets
from notifier_client.django.models import SessionEpoch, transaction_of_epochs
from notifier_client.django.signals import sign_in_disputed

log = logging.getLogger("notifier_client")
MAX_BODY = 65_536


@csrf_exempt
@require_POST
def receive_event(request: HttpRequest) -> HttpResponse:
    """Verify an event and act on it: 204, also for an event that asks for nothing and for a repeated one."""
    secrets = event_secrets()
    if not secrets:
        return _refuse(503, "NOTIFIER_EVENT_SECRET is not set")
    body = _read_body(request)
    if body is None:
        return _refuse(413, "the body is too long")
    try:
        event = verify_event(body, request.headers, secrets)
    except InvalidEvent as error:
        return _refuse(400, error.reason)
    if isinstance(event, SignInDisputed):
        end_sessions(event)
    return HttpResponse(status=204)


receive_event.login_required = False  # type: ignore[attr-defined]  # for LoginRequiredMiddleware


def end_sessions(event: SignInDisputed) -> None:
    """End all sessions of the user, and send `sign_in_disputed`. Do nothing for an event that did so before."""
    with transaction_of_epochs():
        if not SessionEpoch.objects.advance(event.user_id, event.id):
            return
        sign_in_disputed.send(sender=SignInDisputed, event=event, user=_find_user(event.user_id))
    log.info("The sessions of a user were ended after the dispute of %s", event.job_id)


def _find_user(user_key: str) -> AbstractBaseUser | None:
    try:
        return get_user_model()._default_manager.filter(pk=user_key).first()
    except (ValueError, TypeError, ValidationError, OverflowError):
        return None


def _read_body(request: HttpRequest) -> bytes | None:
    """Return the body; None when it is too long or cannot be read."""
    try:
        if int(request.META.get("CONTENT_LENGTH") or 0) > MAX_BODY:
            return None
        return request.body if len(request.body) <= MAX_BODY else None
    except (ValueError, UnreadablePostError, RawPostDataException):
        return None


def _refuse(status: int, text: str) -> HttpResponse:
    return HttpResponse(text, status=status, content_type="text/plain")
