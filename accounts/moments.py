"""A moment in the words of a person's language and the hours of their zone."""

import zoneinfo
from datetime import UTC, datetime, timedelta
from functools import lru_cache

from django.conf import settings
from django.utils.formats import date_format
from django.utils.timezone import localtime
from django.utils.translation import pgettext

MONGOLIA = ("Asia/Ulaanbaatar", "Asia/Ulan_Bator", "Asia/Choibalsan")


def day(moment: datetime) -> str:
    """`2025.12.19`, as operators' lists show it: in the active language and the site's zone."""
    return date_format(localtime(moment), "SHORT_DATE_FORMAT")


def to_the_minute(moment: datetime) -> str:
    """The same with the time, `2025.12.19 16:03`."""
    return date_format(localtime(moment), "SHORT_DATETIME_FORMAT")


def zone_named(name: object) -> zoneinfo.ZoneInfo:
    """The zone of that name; the site's own for one that is not known."""
    known = isinstance(name, str) and name in _names()
    return zoneinfo.ZoneInfo(str(name) if known else settings.TIME_ZONE)


@lru_cache(maxsize=1)
def _names() -> set[str]:
    return zoneinfo.available_timezones()


def in_words(timestamp: object, zone: zoneinfo.ZoneInfo, language: str) -> str:
    """`2025 оны 12 сарын 19, 16:03 (Улаанбаатарын цагаар, UTC+8)` in the active language, which is `language`.

    timestamp: RFC 3339 text, UTC if it names no offset. Empty when it is no moment.
    """
    try:
        moment = datetime.fromisoformat(str(timestamp))
        exact = (moment if moment.tzinfo else moment.replace(tzinfo=UTC)).astimezone(UTC)
        return _in_words(exact.replace(second=0, microsecond=0), zone, language)
    except (ValueError, OverflowError):
        return ""


@lru_cache(maxsize=1024)
def _in_words(minute: datetime, zone: zoneinfo.ZoneInfo, language: str) -> str:
    """Kept, since many people sign in within one minute and one zone."""
    local = minute.astimezone(zone)
    told = date_format(local, "DATETIME_FORMAT")
    return f"{told} ({_zone_in_words(zone.key, local.utcoffset() or timedelta())})"


def zone_in_words(name: object) -> str:
    """`Улаанбаатарын цагаар, UTC+8` in the active language, with today's offset of the zone of that name."""
    zone = zone_named(name)
    return _zone_in_words(zone.key, datetime.now(zone).utcoffset() or timedelta())


def _zone_in_words(key: str, offset: timedelta) -> str:
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
