"""The country of an IP address, looked up in the database that GEOIP_PATH names (MaxMind's format)."""

import re
from functools import lru_cache
from pathlib import Path
from typing import Any

import maxminddb
import structlog
from django.conf import settings
from django.utils.translation import get_language, pgettext_lazy

from accounts.mail.sanitize import plain_text

log = structlog.get_logger("accounts")

MAX_COUNTRY_NAME = 60  # characters
CODE = re.compile(r"[A-Z]{2}\Z")
# The databases have no Mongolian names. These are the countries Mongolians sign in from; others appear in English.
COUNTRIES = {
    "AT": pgettext_lazy("country", "Austria"),
    "AU": pgettext_lazy("country", "Australia"),
    "CA": pgettext_lazy("country", "Canada"),
    "CH": pgettext_lazy("country", "Switzerland"),
    "CN": pgettext_lazy("country", "China"),
    "CZ": pgettext_lazy("country", "Czechia"),
    "DE": pgettext_lazy("country", "Germany"),
    "FR": pgettext_lazy("country", "France"),
    "GB": pgettext_lazy("country", "United Kingdom"),
    "HK": pgettext_lazy("country", "Hong Kong"),
    "HU": pgettext_lazy("country", "Hungary"),
    "IN": pgettext_lazy("country", "India"),
    "IT": pgettext_lazy("country", "Italy"),
    "JP": pgettext_lazy("country", "Japan"),
    "KR": pgettext_lazy("country", "South Korea"),
    "KZ": pgettext_lazy("country", "Kazakhstan"),
    "MN": pgettext_lazy("country", "Mongolia"),
    "NL": pgettext_lazy("country", "Netherlands"),
    "PL": pgettext_lazy("country", "Poland"),
    "RU": pgettext_lazy("country", "Russia"),
    "SE": pgettext_lazy("country", "Sweden"),
    "SG": pgettext_lazy("country", "Singapore"),
    "TH": pgettext_lazy("country", "Thailand"),
    "TR": pgettext_lazy("country", "Turkey"),
    "US": pgettext_lazy("country", "United States"),
    "VN": pgettext_lazy("country", "Vietnam"),
}


def country_name(ip: str) -> str:
    """Return the country's name in the active language.

    Return "" when it is unknown or GEOIP_PATH is not set.
    """
    code, names = _find(ip)
    return name_of_code(code) or plain_text(names.get(get_language()) or names.get("en"), MAX_COUNTRY_NAME)


def country_code(ip: str) -> str:
    """Return the country's ISO 3166 code of two letters; "" when it is unknown or GEOIP_PATH is not set."""
    code, _ = _find(ip)
    return code if CODE.match(code) else ""


def name_of_code(code: str) -> str:
    """Return the name of a country in the active language; "" for one that is not in COUNTRIES."""
    return str(COUNTRIES.get(code, ""))


def _find(ip: str) -> tuple[str, dict[str, Any]]:
    """Return the code and the names of the country of an address; ("", {}) when it is unknown."""
    if not ip or not settings.GEOIP_PATH:
        return "", {}
    try:
        file = Path(settings.GEOIP_PATH).stat()
        found: Any = _database(settings.GEOIP_PATH, (file.st_ino, file.st_mtime_ns, file.st_size)).get(ip)
        where = found["country"]
        return str(where["iso_code"]), dict(where.get("names", {}))
    except (KeyError, TypeError):
        return "", {}
    except (OSError, ValueError, maxminddb.InvalidDatabaseError) as broken:
        log.warning("country lookup failed", error=type(broken).__name__)
        return "", {}


@lru_cache(maxsize=1)
def _database(path: str, _version: tuple[int, int, int]) -> maxminddb.Reader:
    """Open the database at the first lookup, in the worker and never in its parent, and again when it was replaced."""
    return maxminddb.open_database(path)
