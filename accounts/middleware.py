"""Middleware: private pages are never stored; the response of a sign-in carries the device cookie and the language."""

from collections.abc import Callable

from django.conf import settings
from django.http import HttpRequest, HttpResponse

from accounts.sign_in import known_devices
from accounts.sign_in.known_devices import Device

PRIVATE = ("/accounts/", "/admin/")
NO_STORE = "max-age=0, no-cache, no-store, must-revalidate, private"


def private_pages(get_response: Callable[[HttpRequest], HttpResponse]) -> Callable[[HttpRequest], HttpResponse]:
    """Middleware, inside the session's: no browser or proxy stores a page about an account.

    Private is every page below PRIVATE, and every other page that a session was read for.
    """

    def respond(request: HttpRequest) -> HttpResponse:
        response = get_response(request)
        personal = request.session.accessed and not request.session.is_empty()
        if personal or request.path_info.startswith(PRIVATE):
            response["Cache-Control"] = NO_STORE
        return response

    return respond


def after_sign_in(get_response: Callable[[HttpRequest], HttpResponse]) -> Callable[[HttpRequest], HttpResponse]:
    """Return the middleware; `accounts.sign_in.record` stores the device in the request."""

    def respond(request: HttpRequest) -> HttpResponse:
        response = get_response(request)
        device: Device | None = getattr(request, known_devices.DEVICE_ATTRIBUTE, None)
        if device:
            known_devices.set_cookie(request, response, device)
            remember_language(response, device.user.language)
        return response

    return respond


def remember_language(response: HttpResponse, language: str) -> None:
    """Set the language cookie to the user's choice; without a choice, do nothing."""
    if language in dict(settings.LANGUAGES):
        response.set_cookie(
            settings.LANGUAGE_COOKIE_NAME,
            language,
            max_age=365 * 24 * 3600,
            samesite="Lax",
            secure=settings.SESSION_COOKIE_SECURE,
        )
