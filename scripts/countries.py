#!/usr/bin/env python3
"""The generator of `<locale>/cldr.json`: the names of a language and of the countries in it, from CLDR by Babel.

usage: scripts/countries.py FOLDER LANGUAGE...    write FOLDER/<locale>/cldr.json for each language, "mn" or "pt-br"

The site reads these files, and needs no Babel (accounts/mail/geoip.py, notifier/environment/languages.py).
"""

import json
import re
import sys
from pathlib import Path
from typing import Any

from babel import Locale, UnknownLocaleError

CODE = re.compile(r"[A-Z]{2}")
NOT_COUNTRIES = {"EU", "EZ", "QO", "UN", "XA", "XB", "ZZ"}
# CLDR's short forms, which Babel leaves out; in Mongolian the name that the state uses.
PREFERRED = {
    "en": {"HK": "Hong Kong", "MM": "Myanmar", "MO": "Macao", "PS": "Palestine"},
    "mn": {"CH": "Швейцарь", "HK": "Хонконг", "MN": "Монгол Улс", "MO": "Макао", "US": "АНУ"},
}


def names_of(language: str) -> dict[str, Any]:
    """Return the name of a language in itself, and the countries by their codes. Raise UnknownLocaleError."""
    locale = Locale.parse(language, sep="-")
    countries = {
        code: name for code, name in locale.territories.items() if CODE.fullmatch(code) and code not in NOT_COUNTRIES
    }
    name = locale.get_display_name(locale) or language
    return {
        "name": name[:1].upper() + name[1:],
        "countries": dict(sorted((countries | PREFERRED.get(language, {})).items())),
    }


def locale_name(language: str) -> str:
    """Return the name of the folder of a language, as Django's `to_locale` does: "pt_BR" for "pt-br"."""
    code, _, region = language.lower().partition("-")
    if not region:
        return code
    return f"{code}_{region.title() if len(region) > 2 else region.upper()}"


def main() -> int:
    folder, languages = Path(sys.argv[1]), sys.argv[2:]
    for language in languages:
        try:
            names = names_of(language)
        except (UnknownLocaleError, ValueError):
            print(f"CLDR does not know the language {language!r}")
            return 1
        file = folder / locale_name(language) / "cldr.json"
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_text(json.dumps(names, ensure_ascii=False, indent=1) + "\n", "utf-8")
        print(f"{file}: {len(names['countries'])} countries")
    return 0


if __name__ == "__main__":
    if len(sys.argv) < 3:
        sys.exit(__doc__)
    sys.exit(main())
