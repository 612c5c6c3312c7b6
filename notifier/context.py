"""The template context that every page shares."""

from django.conf import settings
from django.http import HttpRequest

from accounts.mail.brand import site_name


def site_context(request: HttpRequest) -> dict[str, object]:
    """Return the site's name, languages and support address, and whether DEBUG and GitHub sign-in are on."""
    return {
        "SITE_NAME": site_name(),
        "LANGUAGES": settings.LANGUAGES,
        "SUPPORT_EMAIL": settings.SUPPORT_EMAIL,
        "DEBUG": settings.DEBUG,
        "queue_on_every_page": True,  # templates/admin/base_site.html holds the queue's warnings, styles and keys
        "GITHUB": bool(settings.GITHUB_CLIENT_ID),
    }
