"""The middleware: signs out users whose sessions ended, and keeps the device cookie."""

import logging
import re
import secrets

from django.conf import settings
from django.contrib.auth import SESSION_KEY, logout
from django.contrib.auth.models import AbstractBaseUser
from django.db import Error
from django.http import HttpRequest, HttpResponseBase
from django.utils.deprecation import MiddlewareMixin

from notifier_client.django.conf import device_cookie
from notifier_client.django.models import SessionEpoch, transaction_of_epochs, user_key_of

log = logging.getLogger("notifier_client")
EPOCH = "_notifier_epoch"
DEVICE_ID = re.compile(r"[A-Za-z0-9_-]{22,64}")
COOKIE_SECONDS = 400 * 24 * 3600  # the longest that browsers keep a cookie


class Device:
    """The browser of a request. It gets a cookie when a user signs in with it."""

    def __init__(self, cookie: str) -> None:
        self.id = cookie if DEVICE_ID.fullmatch(cookie) else ""
        self.signed_in = False


class NotifierMiddleware(MiddlewareMixin):
    """Put it after Django's AuthenticationMiddleware. Costs one query for a request with a signed-in user."""

    def process_request(self, request: HttpRequest) -> None:
        """End the session if a dispute ended it, and read the device cookie."""
        if name := device_cookie():
            request.notifier_device = Device(request.COOKIES.get(name, ""))  # type: ignore[attr-defined]
        if settings.SESSION_COOKIE_NAME in request.COOKIES and has_ended(request):
            logout(request)

    def process_response(self, request: HttpRequest, response: HttpResponseBase) -> HttpResponseBase:
        """Set the device cookie after a sign-in."""
        device = getattr(request, "notifier_device", None)
        if device and device.signed_in:
            response.set_cookie(
                device_cookie(),
                device.id,
                max_age=COOKIE_SECONDS,
                path=settings.SESSION_COOKIE_PATH,
                domain=settings.SESSION_COOKIE_DOMAIN,
                secure=settings.SESSION_COOKIE_SECURE or request.is_secure(),
                httponly=True,
                samesite="Lax",
            )
        return response


def has_ended(request: HttpRequest) -> bool:
    """Return whether a dispute ended the session. False, with an entry in the log, when the database fails."""
    user_key = request.session.get(SESSION_KEY)
    if user_key is None:
        return False
    try:
        return bool(request.session.get(EPOCH, 0) != SessionEpoch.objects.current(str(user_key)))
    except Error:
        log.exception("The epoch of a session could not be read: run `manage.py migrate notifier_client`")
        return False


def stamp_session(request: HttpRequest, user: AbstractBaseUser) -> None:
    """Write the user's epoch into a new session. A failing query breaks no transaction of the sign-in."""
    try:
        with transaction_of_epochs():
            request.session[EPOCH] = SessionEpoch.objects.current(user_key_of(user))
    except Error:
        log.exception("The epoch of a session could not be read: run `manage.py migrate notifier_client`")


def device_of(request: HttpRequest) -> str | None:
    """Return the device id of a browser that signs in, a new one if it had none; None without the middleware."""
    device: Device | None = getattr(request, "notifier_device", None)
    if device is None:
        return None
    device.id, device.signed_in = device.id or secrets.token_urlsafe(24), True
    return device.id
