"""What a site's two emails look like: a routine notice and an alert, about an invented sign-in."""

from typing import Any

from django.conf import settings
from django.db import models
from django.utils import timezone
from django.utils.translation import gettext_lazy as _

from accounts.mail import rendering
from accounts.notices.sign_in import HARMLESS, SignInNotice
from accounts.sites.site import Site
from jobs.admin.parts.preview import Preview

LIGHT = {"(prefers-color-scheme: dark)": "not all", "light dark": "light"}
"""What makes an email light on a dark screen, where an operator judges its colour."""


class Kind(models.TextChoices):
    """Which of the two emails."""

    ROUTINE = "routine", _("routine notice")
    ALERT = "alert", _("alert")


def render(site: Site, kind: str, language: str) -> Preview:
    """Render an email with the values that the site has, saved or not, in light colours; its links do nothing."""
    subject, text, html = rendering.render_payload(payload_of(site, kind), language)
    for dark, light in LIGHT.items():
        html = html.replace(dark, light)
    return Preview(language, subject, text, html)


def payload_of(site: Site, kind: str) -> dict[str, Any]:
    """Return the payload of an invented notice of a site."""
    alert = kind == Kind.ALERT
    notice = SignInNotice(
        user_id=HARMLESS["userId"],
        email="saraa@example.com",
        name="Сараа",
        provider="password",
        ip_address="203.0.113.7",
        browser="Chrome",
        system="Windows",
        timestamp=timezone.now().isoformat(),
        locale=settings.LANGUAGE_CODE,
        timezone=site.time_zone or settings.TIME_ZONE,
        new_device=alert,
        signals={"after_failures": 3} if alert else {},
        sign_in_id=HARMLESS["signInId"],
    )
    brand = {} if site.own else {"site": site.brand.stored}
    return {**notice.payload(), **brand}
