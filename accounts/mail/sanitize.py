"""Text from outside, made safe to show: attackers choose names, providers and devices as well."""

import re
import unicodedata

INVISIBLE = {"Cf", "Cs", "Co", "Cn"}  # bidi and zero-width characters, surrogates, private use, unassigned
BREAKS = {"Cc", "Zl", "Zp"}
SIMPLE = re.compile(r"[\x20-\x7e\u0400-\u0482\u048a-\u04ff]*")  # Latin and Cyrillic letters: safe as they are
MAX_MARKS = 3  # accents on one letter; hundreds of them paint over the lines above and below
SCHEME = re.compile(r"\s*:\s*[/\\]{2,}\s*")
DOT = re.compile(r"(?<=\w)[.。．｡](?=\w)")


def plain_text(value: object, longest: int) -> str:
    """Return one line of at most `longest` visible characters.

    Return "" for a value that is not a string.
    """
    if not isinstance(value, str):
        return ""
    if SIMPLE.fullmatch(value):
        return _cut(value[: 4 * longest], longest)
    kept: list[str] = []
    marks = 0
    for character in unicodedata.normalize("NFC", value[: 4 * longest]):
        category = unicodedata.category(character)
        marks = marks + 1 if category in ("Mn", "Me") else 0
        if category in BREAKS:
            kept.append(" ")
        elif category not in INVISIBLE and marks <= MAX_MARKS:
            kept.append(character)
    return _cut("".join(kept), longest)


def _cut(words: str, longest: int) -> str:
    line = " ".join(words.split())
    return line if len(line) <= longest else line[: longest - 1].rstrip() + "…"


def defang(text: str) -> str:
    """Break what an email program would turn into a link: "https://evil.mn/x" becomes "https evil. mn/x"."""
    return DOT.sub(". ", SCHEME.sub(" ", text))


def mask_address(address: str) -> str:
    """Return `b***@example.mn`: its owner recognises the address, other readers cannot."""
    local, at, domain = address.partition("@")
    return f"{local[:1]}***{at}{domain}" if address else ""
