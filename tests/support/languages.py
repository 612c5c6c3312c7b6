"""The small example language of the tests, Kazakh with a few texts, and catalogues that a test writes."""

import struct
from pathlib import Path
from typing import Any

from tests.support.site import ROOT

LOCALE_DIR = ROOT / "tests" / "data" / "locale"
KAZAKH = ("kk", "Қазақ тілі")
HEADER = "Content-Type: text/plain; charset=UTF-8\nPlural-Forms: nplurals=2; plural=(n!=1);\n"


def add_kazakh(settings: Any) -> None:
    """Add the example language. settings: pytest-django's fixture."""
    settings.LOCALE_PATHS = [LOCALE_DIR, *settings.LOCALE_PATHS]
    settings.LANGUAGES = [*settings.LANGUAGES, KAZAKH]


def write_catalogue(folder: Path, locale: str, texts: dict[str, str], header: str = HEADER) -> Path:
    """Write the compiled catalogue of a language below a folder and return its file."""
    entries = sorted((key.encode(), text.encode()) for key, text in {"": header, **texts}.items())
    keys, values = ([pair[place] for pair in entries] for place in (0, 1))
    start = 28 + 16 * len(entries)
    tables, body = b"", b""
    for words in (keys, values):
        for word in words:
            tables += struct.pack("<II", len(word), start + len(body))
            body += word + b"\0"
    head = struct.pack("<7I", 0x950412DE, 0, len(entries), 28, 28 + 8 * len(entries), 0, start)
    file = folder / locale / "LC_MESSAGES" / "django.mo"
    file.parent.mkdir(parents=True, exist_ok=True)
    file.write_bytes(head + tables + body)
    return file
