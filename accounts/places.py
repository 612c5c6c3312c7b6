"""The country an address of the internet seems to be in, where GEOIP_PATH names a database (MaxMind's format)."""

from functools import lru_cache
from typing import Any

import maxminddb
import structlog
from django.conf import settings
from django.utils.translation import get_language, pgettext_lazy

from accounts.untrusted import plain

log = structlog.get_logger("accounts")

LONGEST = 60
# The databases have no Mongolian names: these are the countries Mongolians sign in from, others are told in English.
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


def country(ip: str) -> str:
    """The country's name in the active language; empty when it is not known or nothing is to be looked up."""
    if not ip or not settings.GEOIP_PATH:
        return ""
    try:
        found: Any = _database(settings.GEOIP_PATH).get(ip)
        where = found["country"]
        code, names = where["iso_code"], where.get("names", {})
        return str(COUNTRIES.get(code, "")) or plain(names.get(get_language()) or names.get("en"), LONGEST)
    except (KeyError, TypeError):
        return ""
    except (OSError, ValueError, maxminddb.InvalidDatabaseError) as broken:
        log.warning("no country can be looked up", error=type(broken).__name__)
        return ""


@lru_cache(maxsize=2)
def _database(path: str) -> maxminddb.Reader:
    """Opened when first asked, so in the process that asks: a worker, never its parent."""
    return maxminddb.open_database(path)
