"""What the users' pages share: the mark of the page that is open, and the icon of a device."""

from typing import Any

from django import template
from django.utils.html import format_html

register = template.Library()

PHONES = ("iOS", "Android", "Windows Phone", "BlackBerry OS", "KaiOS", "HarmonyOS", "Symbian OS")
COMPUTERS = ("Windows", "Mac OS X", "macOS", "Linux", "Ubuntu", "Fedora", "Debian", "Chrome OS", "FreeBSD", "OpenBSD")


@register.simple_tag(takes_context=True)
def current(context: dict[str, Any], *names: str) -> str:
    """Return the attribute that marks a link to the open page, else "". names: of the URLs that the link stands for."""
    match = getattr(context.get("request"), "resolver_match", None)
    is_open = match is not None and match.url_name in names
    return format_html(' aria-current="{}"', "page") if is_open else ""


@register.filter
def device_icon(system: str) -> str:
    """Return the class of a device's icon by its family of system: "phone", "computer" or "unknown"."""
    if system in PHONES:
        return "phone"
    return "computer" if system in COMPUTERS else "unknown"
