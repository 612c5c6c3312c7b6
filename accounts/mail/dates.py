"""Dates and times in a user's language and time zone."""

import zoneinfo
from datetime import UTC, date, datetime, timedelta
from functools import lru_cache

from django.conf import settings
from django.utils.formats import date_format
from django.utils.timezone import localtime
from django.utils.translation import pgettext

MONGOLIA = ("Asia/Ulaanbaatar", "Asia/Ulan_Bator", "Asia/Choibalsan")


def format_day(at: datetime) -> str:
    """Return `2025.12.19` for the operators' lists, in the active language and the site's zone."""
    return date_format(localtime(at), "SHORT_DATE_FORMAT")


def format_minute(at: datetime) -> str:
    """Return `2025.12.19 16:03` for the operators' lists, in the active language and the site's zone."""
    return date_format(localtime(at), "SHORT_DATETIME_FORMAT")


def format_month(day: str, *, same_year: bool) -> str:
    """Return the month of a day (ISO 8601), "March" or "March 2025", in the active language; "" for no valid day."""
    try:
        found = date.fromisoformat(day)
    except ValueError:
        return ""
    # Translators: Django's format of a date; in Mongolian the word for "month" follows the number.
    month = pgettext("date format", "F") if same_year else pgettext("date format", "F Y")
    return date_format(found, month)


def get_zone(name: object) -> zoneinfo.ZoneInfo:
    """Return the zone with that name; the site's own for an unknown name."""
    known = isinstance(name, str) and name in _names()
    return zoneinfo.ZoneInfo(str(name) if known else settings.TIME_ZONE)


@lru_cache(maxsize=1)
def _names() -> set[str]:
    return zoneinfo.available_timezones()


def format_time(timestamp: object, zone: zoneinfo.ZoneInfo, language: str) -> str:
    """Return `2025 оны 12 сарын 19, 16:03 (Улаанбаатарын цагаар, UTC+8)`, in the active language.

    timestamp: RFC 3339 text, in UTC if it names no offset. language: the active one, the key of the cache.
    Return "" when the timestamp is not a valid date and time.
    """
    try:
        given = datetime.fromisoformat(str(timestamp))
        exact = (given if given.tzinfo else given.replace(tzinfo=UTC)).astimezone(UTC)
        return _format_minute_in_zone(exact.replace(second=0, microsecond=0), zone, language)
    except (ValueError, OverflowError):
        return ""


@lru_cache(maxsize=1024)
def _format_minute_in_zone(minute: datetime, zone: zoneinfo.ZoneInfo, _language: str) -> str:
    """Return the minute in the zone and in the active language, which is part of the cache's key."""
    local = minute.astimezone(zone)
    formatted = date_format(local, "DATETIME_FORMAT")
    return f"{formatted} ({_describe(zone.key, local.utcoffset() or timedelta())})"


def zone_context(name: str) -> dict[str, str]:
    """Return what pages need to show times in a zone: its key, and its description in words."""
    return {"zone": get_zone(name).key, "zone_in_words": describe_zone(name)}


def describe_zone(name: object) -> str:
    """Return `Улаанбаатарын цагаар, UTC+8` in the active language, with the zone's offset of today."""
    zone = get_zone(name)
    return _describe(zone.key, datetime.now(zone).utcoffset() or timedelta())


def _describe(key: str, offset: timedelta) -> str:
    minutes = round(offset.total_seconds() / 60)
    hours, rest = divmod(abs(minutes), 60)
    utc = "UTC" + (f"{'-' if minutes < 0 else '+'}{hours}" if minutes else "") + (f":{rest:02}" if rest else "")
    area, _slash, city = key.rpartition("/")
    if key in MONGOLIA:
        place = pgettext("mail", "Ulaanbaatar time")
    elif key == "Asia/Hovd":
        place = pgettext("mail", "Hovd time")
    elif not area or area == "Etc":
        return utc
    else:
        place = pgettext("mail", "%(city)s time") % {"city": city.replace("_", " ")}
    return f"{place}, {utc}"
