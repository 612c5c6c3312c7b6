"""The settings of the app. Without a setting, the environment variable of the same name counts."""

import os
from collections.abc import Callable
from functools import lru_cache
from typing import Any

from django.conf import settings
from django.utils.module_loading import import_string

from notifier_client import Notifier

DEVICE_COOKIE = "notifier_device"


def read(name: str) -> Any:
    """Return a setting, otherwise the environment variable; None when there is neither."""
    return getattr(settings, name) if hasattr(settings, name) else os.environ.get(name) or None


def is_off() -> bool:
    """Return whether the project turned the app off with NOTIFIER_URL = None."""
    return hasattr(settings, "NOTIFIER_URL") and settings.NOTIFIER_URL is None


def notifier() -> Notifier | None:
    """Return the client of this process; None when the app is off. Raise ValueError for invalid settings."""
    return None if is_off() else _client(read("NOTIFIER_URL"), read("NOTIFIER_KEY"))


@lru_cache(maxsize=4)
def _client(url: str, key: str) -> Notifier:
    return Notifier(url, key)


def event_secrets() -> list[str]:
    """Return the secrets of the events: NOTIFIER_EVENT_SECRET is a list, or text with a space between two."""
    found = read("NOTIFIER_EVENT_SECRET") or []
    return found.split() if isinstance(found, str) else list(found)


def read_function(name: str) -> Callable[..., Any] | None:
    """Return the function of a setting, which may be its dotted path; None without one."""
    found = read(name)
    return import_string(found) if isinstance(found, str) else found


def device_cookie() -> str:
    """Return the name of the cookie with the device id; "" when the project wants none."""
    return getattr(settings, "NOTIFIER_DEVICE_COOKIE", DEVICE_COOKIE) or ""
