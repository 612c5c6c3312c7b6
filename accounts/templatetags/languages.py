"""The languages of the site, for pages that are shown without a context: those of faults."""

from django import template
from django.conf import settings

register = template.Library()


@register.simple_tag
def site_languages() -> list[tuple[str, str]]:
    """Return LANGUAGES, that of LANGUAGE_CODE first."""
    return sorted(settings.LANGUAGES, key=lambda language: language[0] != settings.LANGUAGE_CODE)
