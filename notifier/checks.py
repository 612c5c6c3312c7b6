"""System checks of the site's settings: an id, what is wrong, and what to write."""

from typing import Any

from django.conf import settings
from django.core.checks import CheckMessage, Tags, Warning, register


@register(Tags.security, deploy=True)
def proxies_are_named(app_configs: Any, **_: Any) -> list[CheckMessage]:
    """notifier.W001: an https site without TRUSTED_PROXIES would take its proxy's address for everybody's."""
    if settings.SITE_URL.startswith("https://") and not settings.TRUSTED_PROXIES:
        return [
            Warning(
                "TRUSTED_PROXIES is empty: behind a proxy every sign-in would show the proxy's address.",
                hint="Write the networks of your proxies, TRUSTED_PROXIES=10.0.0.0/8 or unix, then look at "
                f"{settings.SITE_URL}/admin/address/ . Without a proxy leave it empty.",
                id="notifier.W001",
            )
        ]
    return []


@register(Tags.security)
def proxies_come_first(app_configs: Any, **_: Any) -> list[CheckMessage]:
    """notifier.W002: whatever runs before the proxy middleware sees another address than the rest."""
    if settings.MIDDLEWARE[:1] != ["notifier.middleware.trusted_proxies"]:
        return [
            Warning(
                "notifier.middleware.trusted_proxies is not the first middleware.",
                hint='Put "notifier.middleware.trusted_proxies" at the head of MIDDLEWARE.',
                id="notifier.W002",
            )
        ]
    return []
