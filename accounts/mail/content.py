"""The content of the email about a sign-in, as data; rendering.py turns it into subject, text and HTML.

A payload comes from an API client and is not trusted: a value that cannot be shown is left out or called unknown, and
no payload raises an exception.
"""

import ipaddress
from dataclasses import dataclass
from functools import cache
from typing import Any
from uuid import UUID

from django.conf import settings
from django.utils.translation import get_supported_language_variant, npgettext, override, pgettext

from accounts.links import address_links, dispute_links
from accounts.links.paths import path_of
from accounts.mail import dates, geoip, user_agents
from accounts.mail.brand import Brand
from accounts.mail.sanitize import defang, mask_address, plain_text
from jobs.core.sql.keys import parse_key

MAX_NAME = 60
MAX_FAMILY = 40
MAX_COUNT = 9_999
PASSWORD_METHODS = {"password", "credentials", "admin"}
# The ids of Auth.js, NextAuth, better-auth and allauth; a service's advice names it, so only known services are here.
LINK_METHODS = {
    "email",
    "nodemailer",
    "resend",
    "sendgrid",
    "postmark",
    "mailgun",
    "mailchimp",
    "forwardemail",
    "loops",
}
LINK_METHODS |= {"http-email", "magic-link", "magiclink", "email-link"}
PASSKEY_METHODS = {"passkey", "passkeys", "webauthn"}
BRANDS = {
    "apple": "Apple",
    "auth0": "Auth0",
    "azure-ad": "Microsoft",
    "azure-ad-b2c": "Microsoft",
    "bitbucket": "Bitbucket",
    "discord": "Discord",
    "facebook": "Facebook",
    "gitlab": "GitLab",
    "google": "Google",
    "instagram": "Instagram",
    "kakao": "Kakao",
    "line": "LINE",
    "linkedin": "LinkedIn",
    "microsoft": "Microsoft",
    "microsoft-entra-id": "Microsoft",
    "naver": "Naver",
    "okta": "Okta",
    "reddit": "Reddit",
    "slack": "Slack",
    "spotify": "Spotify",
    "tiktok": "TikTok",
    "twitch": "Twitch",
    "twitter": "X",
    "vk": "VK",
    "yandex": "Yandex",
}


@dataclass(frozen=True)
class Content:
    """What one email says."""

    language: str
    new_device: bool
    alert: bool
    """Whether nothing turns it off: the device is new, or something else is unusual."""
    advice: str
    """For a user who did not sign in: "password", "factor", "github", "link", "passkey", "provider"; "" for others."""
    brand: Brand
    values: dict[str, str]
    """Plain text by the names the templates use; a row without a value is absent."""


def write_content(payload: dict[str, Any]) -> Content:
    """Return the content for the payload of a job."""
    language = choose_language(payload.get("locale"))
    brand = Brand.of_payload(payload)
    with override(language):
        ip = _ip(payload.get("ipAddress"))
        way, advice = _ways(payload.get("provider"), payload.get("secondFactor"))
        values = {
            "site": brand.name_in(language),
            "host": brand.host,
            "support": brand.support,
            "account": mask_address(plain_text(payload.get("email"), 254)),
            "name": _name(payload),
            "when": dates.format_time(payload.get("timestamp"), dates.get_zone(payload.get("timezone")), language)
            or pgettext("mail", "Unknown"),
            "device": _device(payload) or pgettext("mail", "Unknown"),
            "way": way,
            "place": geoip.country_name(ip),
            "ip": ip,
            "more": _more(payload.get("moreSignIns")),
            "dispute_url": dispute_url(payload),
            **describe_signals(payload.get("signals"), ip, payload.get("timestamp")),
            **routine_links(payload, brand),
        }
    shown = {name: value for name, value in values.items() if value}
    return Content(language, payload.get("newDevice") is True, is_alert(payload), advice, brand, shown)


def is_alert(payload: dict[str, Any]) -> bool:
    """Return whether the notice is an alert, which no preference, complaint or limit for routine notices stops."""
    return payload.get("newDevice") is True or bool(payload.get("signals"))


def describe_signals(signals: object, ip: str, at: object) -> dict[str, str]:
    """Return what was unusual about a sign-in: a plain line for each signal, by its name.

    signals: as `accounts.sign_in.risk` finds them. at: the time of the sign-in, ISO 8601.
    """
    lines = {}
    for name, detail in signals.items() if isinstance(signals, dict) else ():
        match name, detail:
            case "new_country", str(code):
                country = geoip.country_name(ip) or geoip.name_of_code(code) or plain_text(code, 2)
                lines[name] = pgettext("mail", "First sign-in from %(country)s") % {"country": country}
            case "after_failures", int(count):
                lines[name] = _after_failures(count)
            case "long_absence", str(day):
                lines[name] = _since(day, at)
            case "two_countries", str(code):
                country = geoip.name_of_code(code) or plain_text(code, 2)
                lines[name] = pgettext("mail", "Less than two hours after a sign-in from %(country)s") % {
                    "country": country
                }
    return {name: line for name, line in lines.items() if line}


def _after_failures(count: int) -> str:
    words = npgettext("mail", "After %(count)d wrong password", "After %(count)d wrong passwords", count)
    return words % {"count": count}


def _since(day: str, at: object) -> str:
    """Return "First sign-in since March", with the year unless it is that of `at`; "" for an invalid day."""
    month = dates.format_month(day, same_year=str(at)[:4] == day[:4])
    return pgettext("mail", "First sign-in since %(month)s") % {"month": month} if month else ""


def dispute_url(payload: dict[str, Any]) -> str:
    """Return the link of the button "This wasn't me"; "" for a payload that names no sign-in."""
    sign_in_id, address = payload.get("signInId"), payload.get("email")
    if not isinstance(sign_in_id, str) or not sign_in_id:
        return ""
    base = Brand.of_payload(payload).link_base
    return dispute_links.dispute_link(sign_in_id, address if isinstance(address, str) else "", base)


def routine_links(payload: dict[str, Any], brand: Brand) -> dict[str, str]:
    """Return the links that turn routine notices off; none for an alert, which cannot be turned off."""
    user_id, address, sign_in_id = payload.get("userId"), payload.get("email"), payload.get("signInId")
    if not sign_in_id or is_alert(payload):
        return {}
    if not brand.own:
        return {"unsubscribe_url": _turn_off_site(sign_in_id, address, brand)}
    if not (isinstance(user_id, str) and parse_key(user_id) is not None and isinstance(address, str)):
        return {}
    return {
        "unsubscribe_url": address_links.UNSUBSCRIBE.make(user_id, address),
        "preferences_url": settings.SITE_URL.rstrip("/") + _preferences_path(),
    }


def _turn_off_site(sign_in_id: object, address: object, brand: Brand) -> str:
    """Return the link for another site's user; "" for a payload whose sign-in is not a UUID."""
    try:
        number = UUID(str(sign_in_id)).int
    except ValueError:
        return ""
    return address_links.UNSUBSCRIBE_SITE.make(number, str(address), brand.link_base)


@cache
def _preferences_path() -> str:
    return path_of("preferences")


def choose_language(locale: object) -> str:
    """Return the language of LANGUAGES for a locale, "mn" for "mn-MN" and "mn_MN"; LANGUAGE_CODE for an unknown one."""
    try:
        code = get_supported_language_variant(str(locale).replace("_", "-").lower())
    except (LookupError, ValueError):
        return settings.LANGUAGE_CODE
    return code if code in dict(settings.LANGUAGES) else settings.LANGUAGE_CODE


def _name(payload: dict[str, Any]) -> str:
    """Return the name for the greeting.

    Return "" for a name that is an address, which would undo the masking.
    """
    name = plain_text(payload.get("name"), MAX_NAME)
    return "" if "@" in name else defang(name)


def _device(payload: dict[str, Any]) -> str:
    return user_agents.device_name(
        *(defang(plain_text(payload.get(part), MAX_FAMILY)) for part in ("browser", "system"))
    )


def _ways(provider: object, second_factor: object) -> tuple[str, str]:
    """Return method and second factor in words, and which advice goes with them."""
    method, advice = _method(provider)
    factors = {
        "code": pgettext("mail", "a code"),
        "passkey": pgettext("mail", "a passkey"),
        "recovery_code": pgettext("mail", "a recovery code"),
    }
    factor = factors.get(second_factor) if isinstance(second_factor, str) else None
    if factor is None or not method:
        return method, advice
    ways = pgettext("mail", "%(method)s and %(factor)s") % {"method": method, "factor": factor}
    return ways, "factor" if advice == "password" else advice


def _method(provider: object) -> tuple[str, str]:
    """Return how the user signed in, in words, and which advice goes with it."""
    name = plain_text(provider, MAX_FAMILY)
    match name.lower():
        case "":
            return "", ""
        case "admin":
            return pgettext("mail", "Password (administration)"), "password"
        case known if known in PASSWORD_METHODS:
            return pgettext("mail", "Password"), "password"
        case "github":
            return "GitHub", "github"
        case link if link in LINK_METHODS:
            return pgettext("mail", "A link in an email"), "link"
        case key if key in PASSKEY_METHODS:
            return pgettext("mail", "Passkey"), "passkey"
        case brand if brand in BRANDS:
            return BRANDS[brand], "provider"
    return defang(name), ""


def describe_method(provider: str) -> str:
    """Return how a user of another site signed in, in words, in the active language."""
    return _method(provider)[0]


def _ip(value: object) -> str:
    """Return the IP address in its usual form.

    Return "" for anything else, and for an address with an IPv6 zone.
    """
    try:
        address = ipaddress.ip_address(value if isinstance(value, str) else "")
    except ValueError:
        return ""
    if isinstance(address, ipaddress.IPv6Address):
        return "" if address.scope_id else str(address.ipv4_mapped or address)
    return str(address)


def _more(count: object) -> str:
    """Return the line about earlier sign-ins whose notices the hourly limit suppressed."""
    if not isinstance(count, int) or isinstance(count, bool) or count < 1:
        return ""
    shown = min(count, MAX_COUNT)
    return npgettext(
        "mail",
        "There was %(count)d more sign-in since our last email to you.",
        "There were %(count)d more sign-ins since our last email to you.",
        shown,
    ) % {"count": shown}
