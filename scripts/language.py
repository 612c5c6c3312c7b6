#!/usr/bin/env python3
"""The generator of the catalogue of another language: every text of the site, with the translations that it has.

usage: scripts/language.py FOLDER LANGUAGE    write and compile FOLDER/<locale>/LC_MESSAGES/django.po, "kk" or "pt-br"

Texts are added to a catalogue that exists already, and its translations are kept.
"""

import sys
from pathlib import Path

from babel import Locale, UnknownLocaleError
from babel.messages import Catalog
from babel.messages.mofile import write_mo
from babel.messages.pofile import read_po, write_po

ROOT = Path(__file__).resolve().parent.parent
if str(ROOT) not in sys.path:
    sys.path.insert(0, str(ROOT))

from scripts.countries import locale_name  # noqa: E402  (found after the line above)

SHIPPED = "*/LC_MESSAGES/django.po"
FOLDERS = ("accounts/locale", "jobs/locale", "notifier/locale", "locale")


def every_text() -> Catalog:
    """Return a catalogue of the texts of the site, without translations."""
    texts = Catalog(project="notifier")
    for folder in FOLDERS:
        file = min((ROOT / folder).glob(SHIPPED))  # any: each shipped catalogue has every text
        for message in _read(file, ""):
            if message.id:
                texts.add(message.id, flags=message.flags - {"fuzzy"}, context=message.context)
    return texts


def _read(file: Path, locale: str) -> Catalog:
    with file.open("rb") as stream:
        return read_po(stream, locale=locale or None)


def main(folder: Path, language: str) -> int:
    locale = locale_name(language)
    file = folder / locale / "LC_MESSAGES" / "django.po"
    try:
        Locale.parse(locale)
    except (UnknownLocaleError, ValueError):
        print(f"CLDR does not know the language {language!r}")
        return 1
    catalogue = _read(file, locale) if file.is_file() else Catalog(locale, project="notifier", fuzzy=False)
    catalogue.update(every_text(), no_fuzzy_matching=True)
    catalogue.fuzzy = False  # the header: a fuzzy one is not compiled
    file.parent.mkdir(parents=True, exist_ok=True)
    with file.open("wb") as stream:
        write_po(stream, catalogue, width=100, ignore_obsolete=True)
    with file.with_suffix(".mo").open("wb") as stream:
        write_mo(stream, catalogue)
    missing = sum(1 for message in catalogue if message.id and not _is_translated(message.string))
    print(f"{file}: {len(catalogue)} texts, {missing} without a translation")
    return 0


def _is_translated(text: str | tuple[str, ...] | list[str]) -> bool:
    return all(text) if isinstance(text, tuple | list) else bool(text)


if __name__ == "__main__":
    if len(sys.argv) != 3:
        sys.exit(__doc__)
    sys.exit(main(Path(sys.argv[1]), sys.argv[2]))
