"""The languages of the site as settings: which there are, their names, and whether each has its catalogue.

Used by settings.py alone. A language needs a catalogue of this project's texts, its own folder in a folder of
`locale_folders`. English needs none: the texts in the code are English.
"""

import json
import os
import struct
from collections.abc import Iterable, Iterator, Mapping, Sequence
from difflib import get_close_matches
from gettext import GNUTranslations
from pathlib import Path

from django.conf.global_settings import LANGUAGES
from django.conf.locale import LANG_INFO
from django.utils.translation import to_locale
from environs import ValidationError

KNOWN = dict(LANGUAGES)
CATALOGUE = Path("LC_MESSAGES", "django.mo")
CLDR = "cldr.json"
LONGEST = 8  # characters of a code: the columns of languages are so long
MAX_SITE_NAME = 60  # characters, as in the row of a site


def parse_names(value: str | Mapping[str, str]) -> dict[str, str]:
    """Convert `mn=Шар хуудас,en=Yellow Books` to names by language."""
    if isinstance(value, Mapping):
        return dict(value)
    names = {}
    for word in filter(None, map(str.strip, value.split(","))):
        code, separator, name = word.partition("=")
        if not separator or not name.strip() or len(name.strip()) > MAX_SITE_NAME:
            raise ValidationError(
                f"{word!r} is not a language and a name of at most {MAX_SITE_NAME} characters: "
                "write mn=Шар хуудас,en=Yellow Books"
            )
        names[code.strip()] = name.strip()
    return names


def is_folder_if_given(value: str) -> None:
    """Require the path of a folder that can be read, or nothing."""
    if value and not (Path(value).is_dir() and os.access(value, os.R_OK | os.X_OK)):
        raise ValidationError(f"{value!r} is not a folder that can be read")


def locale_folders(added: str, own: Path) -> list[Path]:
    """Return the folders of catalogues that the site adds to those of its apps; the first takes precedence.

    added: the value of LOCALE_DIR. own: the folder of the project's locale.
    """
    return [*([Path(added)] if added else []), own]


def named(codes: Iterable[str], folders: Sequence[Path]) -> list[tuple[str, str]]:
    """Return Django's LANGUAGES: each code with the name of the language in itself."""
    return [(code, _name(code, folders)) for code in codes]


def _name(code: str, folders: Sequence[Path]) -> str:
    """Return the name that CLDR gives (`make countries`), else Django's, which is English for some languages."""
    for folder in folders:
        try:
            name = json.loads(Path(folder, to_locale(code), CLDR).read_text("utf-8"))["name"]
        except (OSError, ValueError, KeyError, TypeError):
            continue
        return str(name)
    known = LANG_INFO.get(code) or LANG_INFO.get(code.split("-")[0]) or {}
    return str(known.get("name_local") or KNOWN.get(code, code))


def faults(
    codes: Sequence[str], default: str, names: Mapping[str, str], added: str, project: Path
) -> Iterator[tuple[str, str]]:
    """Yield (setting, fault) for each language that is unknown or has no catalogue.

    codes: LANGUAGES. default: LANGUAGE_CODE. names: SITE_NAMES. added: LOCALE_DIR. project: the root folder.
    """
    if not codes:
        yield "LANGUAGES", "is empty: write mn,en or leave it out"
        return
    for code in sorted({code for code in codes if codes.count(code) > 1}):
        yield "LANGUAGES", f"names {code} twice"
    for code in dict.fromkeys(codes):
        yield from (("LANGUAGES", fault) for fault in _faults_of(code, added, project))
    if default not in codes:
        yield "LANGUAGE_CODE", f"{default!r} is not one of {', '.join(codes)} (LANGUAGES)"
    for code in names:
        if code not in codes:
            yield "SITE_NAMES", f"{code!r} is not one of {', '.join(codes)} (LANGUAGES)"


def _faults_of(code: str, added: str, project: Path) -> Iterator[str]:
    if code not in KNOWN:
        close = get_close_matches(code.lower(), KNOWN, n=1)
        advice = f"did you mean {close[0]}?" if close else "write mn,en,kk, for example"
        yield f"{code!r} is not a language that Django knows: {advice}"
        return
    if len(code) > LONGEST:
        yield f"{code!r} is longer than {LONGEST} characters"
    place = Path(to_locale(code)) / CATALOGUE
    own = [*sorted(project.glob("*/locale")), project / "locale"]
    extra = Path(added) / place if added else None
    if extra and extra.is_file():
        yield from _faults_of_catalogue(extra)
    elif code.split("-")[0] != "en" and not any((folder / place).is_file() for folder in own):
        yield f"{code} has no catalogue: {_advice(extra, place)} (docs/languages.md)"


def _advice(extra: Path | None, place: Path) -> str:
    """Return what to do about a catalogue that is missing. extra: where it would be in LOCALE_DIR."""
    if extra is None:
        return f"set LOCALE_DIR to a folder with {place}"
    if extra.with_suffix(".po").is_file():
        return f"{extra.with_suffix('.po')} is not compiled: run make language"
    return f"there is no {extra}"


def _faults_of_catalogue(file: Path) -> Iterator[str]:
    """Yield what is wrong with a compiled catalogue: it cannot be read, or has no rule for its plurals."""
    try:
        with file.open("rb") as stream:
            catalogue = GNUTranslations(stream)
    except (OSError, ValueError, struct.error) as wrong:
        yield f"{file} is not a catalogue that can be read ({type(wrong).__name__}): run make language"
        return
    if "plural-forms" not in catalogue.info():
        yield f"{file} has no header Plural-Forms: run make language"
