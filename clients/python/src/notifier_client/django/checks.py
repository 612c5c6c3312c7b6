"""System checks: each names a setting that is missing or wrong."""

from collections.abc import Iterator
from typing import Any
from urllib.parse import urlsplit

from django.conf import settings
from django.core import checks
from django.urls import NoReverseMatch, reverse
from django.utils.module_loading import import_string

from notifier_client.client import check_key, check_url
from notifier_client.django.conf import event_secrets, is_off, read, read_function
from notifier_client.events import read_secret

MIDDLEWARE = "notifier_client.django.middleware.NotifierMiddleware"
AUTHENTICATION = "django.contrib.auth.middleware.AuthenticationMiddleware"
LOCAL = {"localhost", "127.0.0.1", "::1"}


def register_checks() -> None:
    """Register the checks of this module."""
    checks.register(check_settings, "notifier_client")


def check_settings(app_configs: Any = None, **_: Any) -> list[checks.CheckMessage]:
    """Return what is missing or wrong. Nothing while the app is off."""
    if is_off():
        return []
    return [*_check_connection(), *_check_events(), *_check_middleware(), *_check_functions()]


def _check_connection() -> Iterator[checks.CheckMessage]:
    url = read("NOTIFIER_URL")
    try:
        check_url(url or "")
    except ValueError:
        hint = "Set it to the address of Notifier, like https://notifier.example.mn; None turns this app off."
        yield checks.Error("NOTIFIER_URL is missing or invalid.", hint, id="notifier_client.E001")
    else:
        if url.startswith("http:") and urlsplit(url).hostname not in LOCAL and not settings.DEBUG:
            hint = "Anyone on the way can read the API key. Use https."
            yield checks.Warning("NOTIFIER_URL is not encrypted.", hint, id="notifier_client.W003")
    try:
        check_key(read("NOTIFIER_KEY"))
    except ValueError:
        hint = "Set it, or the environment variable NOTIFIER_KEY, to an API key with the scope enqueue (nk_...)."
        yield checks.Error("NOTIFIER_KEY is missing or invalid.", hint, id="notifier_client.E002")


def _check_events() -> Iterator[checks.CheckMessage]:
    try:
        secrets = [read_secret(secret) for secret in event_secrets()]
    except (ValueError, TypeError, AttributeError):
        hint = "Copy the secret that Notifier printed for the endpoint (whsec_...)."
        yield checks.Error("NOTIFIER_EVENT_SECRET is invalid.", hint, id="notifier_client.E003")
        return
    if not secrets:
        hint = "Create an event endpoint at Notifier and set its secret (whsec_...)."
        message = "NOTIFIER_EVENT_SECRET is missing: a dispute does not end the user's sessions."
        yield checks.Warning(message, hint, id="notifier_client.W001")
    try:
        reverse("notifier_client:events")
    except NoReverseMatch:
        hint = 'Add path("notifier/", include("notifier_client.django.urls")) to the urlpatterns.'
        message = "No URL receives events: a dispute does not end the user's sessions."
        yield checks.Warning(message, hint, id="notifier_client.W002")


def _check_middleware() -> Iterator[checks.CheckMessage]:
    ours, theirs = _position(MIDDLEWARE), _position(AUTHENTICATION)
    if ours is None:
        hint = f'Add "{MIDDLEWARE}" to MIDDLEWARE.'
        message = "NotifierMiddleware is missing: a dispute does not end the user's sessions."
        yield checks.Error(message, hint, id="notifier_client.E004")
    elif theirs is None or ours < theirs:
        hint = "It needs the session and the user of the request."
        message = "NotifierMiddleware must be after AuthenticationMiddleware."
        yield checks.Error(message, hint, id="notifier_client.E005")


def _position(path: str) -> int | None:
    """Return the place of a middleware, or of a subclass of it, in MIDDLEWARE; None when it is not there."""
    wanted = import_string(path)
    for place, entry in enumerate(settings.MIDDLEWARE):
        try:
            found = import_string(entry)
        except ImportError:
            continue  # Django reports it
        if found is wanted or (isinstance(found, type) and issubclass(found, wanted)):
            return place
    return None


def _check_functions() -> Iterator[checks.CheckMessage]:
    for name, code in (("NOTIFIER_IP_META", "E006"), ("NOTIFIER_PREPARE", "E007")):
        given = read(name)
        if name == "NOTIFIER_IP_META" and isinstance(given, str) and "." not in given:
            continue
        try:
            valid = given is None or callable(read_function(name))
        except ImportError:
            valid = False
        if not valid:
            yield checks.Error(f"{name} is not a function.", "Use its dotted path.", id=f"notifier_client.{code}")
