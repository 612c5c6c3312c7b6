"""What the response of a sign-in carries: the cookie of a known device, and the person's language."""

from collections.abc import Callable

from django.conf import settings
from django.http import HttpRequest, HttpResponse

from accounts import known_devices
from accounts.models import Device


def after_sign_in(get_response: Callable[[HttpRequest], HttpResponse]) -> Callable[[HttpRequest], HttpResponse]:
    """Middleware; `accounts.sign_ins` leaves the device at the request."""

    def respond(request: HttpRequest) -> HttpResponse:
        response = get_response(request)
        device: Device | None = getattr(request, known_devices.ATTRIBUTE, None)
        if device:
            known_devices.set_cookie(request, response, device)
            remember_language(response, device.user.language)
        return response

    return respond


def remember_language(response: HttpResponse, language: str) -> None:
    """Shows the site in the language that the person chose, from the next page on; nothing when none was chosen."""
    if language in dict(settings.LANGUAGES):
        response.set_cookie(
            settings.LANGUAGE_COOKIE_NAME,
            language,
            max_age=365 * 24 * 3600,
            samesite="Lax",
            secure=settings.SESSION_COOKIE_SECURE,
        )
