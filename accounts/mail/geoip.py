"""The country of an IP address, looked up in the database that GEOIP_PATH names (MaxMind's format).

The names of countries are those of CLDR, in `<locale>/cldr.json` in a folder of LOCALE_PATHS; `make countries` writes
such a file. Without one, the name in the database counts, then the English one.
"""

import json
import re
from functools import lru_cache
from pathlib import Path
from typing import Any

import maxminddb
import structlog
from django.conf import settings
from django.utils.translation import get_language, to_locale

from accounts.mail.sanitize import plain_text

log = structlog.get_logger("accounts")

MAX_COUNTRY_NAME = 60  # characters
ENGLISH = "en"
CODE = re.compile(r"[A-Z]{2}\Z")


def country_name(ip: str) -> str:
    """Return the country's name in the active language.

    Return "" when it is unknown or GEOIP_PATH is not set.
    """
    code, names = _find(ip)
    language = get_language() or ENGLISH
    own = _names(language).get(code) or plain_text(names.get(language), MAX_COUNTRY_NAME)
    return own or _names(ENGLISH).get(code) or plain_text(names.get(ENGLISH), MAX_COUNTRY_NAME)


def country_code(ip: str) -> str:
    """Return the country's ISO 3166 code of two letters; "" when it is unknown or GEOIP_PATH is not set."""
    code, _ = _find(ip)
    return code if CODE.match(code) else ""


def name_of_code(code: str) -> str:
    """Return the name of a country in the active language, in English for one without names; "" for no country."""
    return _names(get_language() or ENGLISH).get(code) or _names(ENGLISH).get(code) or ""


def _names(language: str) -> dict[str, str]:
    """Return the names of countries by their codes, from the first of LOCALE_PATHS that has them; {} without any."""
    return _load_names(language, tuple(map(str, settings.LOCALE_PATHS)))


@lru_cache(maxsize=32)
def _load_names(language: str, folders: tuple[str, ...]) -> dict[str, str]:
    for folder in folders:
        file = Path(folder, to_locale(language), "cldr.json")
        try:
            names = json.loads(file.read_text("utf-8"))["countries"]
            return {str(code): plain_text(name, MAX_COUNTRY_NAME) for code, name in names.items()}
        except FileNotFoundError:
            continue
        except (OSError, ValueError, KeyError, TypeError, AttributeError) as broken:
            log.warning("names of countries cannot be read", file=str(file), error=type(broken).__name__)
    return {}


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
