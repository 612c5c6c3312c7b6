"""The mail about a sign-in as data: what is said, to whom and in which language. How it looks is rendering.py's.

A payload (see notices.py and the HTTP API) is believed in nothing: what cannot be shown is left out or called
unknown, and no payload raises.
"""

import ipaddress
from dataclasses import dataclass
from typing import Any
from urllib.parse import urlsplit

from django.conf import settings
from django.utils.translation import npgettext, override, pgettext

from accounts import devices, dispute_links, moments, places
from accounts.untrusted import defused, masked, plain

LONGEST_NAME = 60
LONGEST_FAMILY = 40
MOST_COUNTED = 9_999
PASSWORD_WAYS = {"password", "credentials", "admin"}
BRANDS = {"github": "GitHub", "google": "Google", "facebook": "Facebook", "apple": "Apple", "microsoft": "Microsoft"}


@dataclass(frozen=True)
class Letter:
    """One mail. `advice`: "password", "github", "provider" or "" (the way is not known), for those it was not.

    `values`: plain text by the names the templates use; a row without a value is not in it.
    """

    language: str
    new_device: bool
    advice: str
    values: dict[str, str]


def write(payload: dict[str, Any]) -> Letter:
    """The letter for the payload of a job."""
    language = _language(payload.get("locale"))
    with override(language):
        ip = _ip(payload.get("ipAddress"))
        way, advice = _way(payload.get("provider"))
        values = {
            "site": settings.SITE_NAME,
            "host": urlsplit(settings.SITE_URL).netloc,
            "support": settings.SUPPORT_EMAIL,
            "account": masked(plain(payload.get("email"), 254)),
            "name": _name(payload),
            "when": moments.in_words(payload.get("timestamp"), moments.zone_named(payload.get("timezone")), language)
            or pgettext("mail", "Unknown"),
            "device": _device(payload) or pgettext("mail", "Unknown"),
            "way": way,
            "place": places.country(ip),
            "ip": ip,
            "more": _more(payload.get("moreSignIns")),
            "dispute_url": dispute_url(payload),
        }
    shown = {name: value for name, value in values.items() if value}
    return Letter(language, payload.get("newDevice") is True, advice, shown)


def dispute_url(payload: dict[str, Any]) -> str:
    """Where the button "this wasn't me" leads; empty for a sign-in on another site, whose mail has no button."""
    sign_in_id = payload.get("signInId")
    return dispute_links.link(sign_in_id) if isinstance(sign_in_id, str) and sign_in_id else ""


def _language(locale: object) -> str:
    """`mn` of "mn", "mn-MN" or "mn_MN"; the site's language for one there are no texts in."""
    code = locale.replace("_", "-").split("-")[0].lower() if isinstance(locale, str) else ""
    return code if code in dict(settings.LANGUAGES) else settings.LANGUAGE_CODE


def _name(payload: dict[str, Any]) -> str:
    """How to greet the person; not at all by a name that is an address: it would undo the masking."""
    name = plain(payload.get("name"), LONGEST_NAME)
    return "" if "@" in name else defused(name)


def _device(payload: dict[str, Any]) -> str:
    return devices.in_words(*(defused(plain(payload.get(part), LONGEST_FAMILY)) for part in ("browser", "system")))


def _way(provider: object) -> tuple[str, str]:
    """How the person signed in, in words, and which advice goes with it."""
    name = plain(provider, LONGEST_FAMILY)
    match name.lower():
        case "":
            return "", ""
        case "admin":
            return pgettext("mail", "Password (administration)"), "password"
        case known if known in PASSWORD_WAYS:
            return pgettext("mail", "Password"), "password"
        case "github":
            return "GitHub", "github"
        case known:
            return BRANDS.get(known) or defused(name), "provider"


def _ip(value: object) -> str:
    """The address in its usual form; empty for anything else, an IPv6 zone included."""
    try:
        address = ipaddress.ip_address(value if isinstance(value, str) else "")
    except ValueError:
        return ""
    if isinstance(address, ipaddress.IPv6Address):
        return "" if address.scope_id else str(address.ipv4_mapped or address)
    return str(address)


def _more(count: object) -> str:
    """The line about sign-ins whose own notice the hourly limit held back."""
    if not isinstance(count, int) or isinstance(count, bool) or count < 1:
        return ""
    shown = min(count, MOST_COUNTED)
    return npgettext(
        "mail",
        "There was %(count)d more sign-in since our last mail to you.",
        "There were %(count)d more sign-ins since our last mail to you.",
        shown,
    ) % {"count": shown}
