"""Words of strangers, made fit to be shown: names, providers and devices come from attackers as well."""

import re
import unicodedata

INVISIBLE = {"Cf", "Cs", "Co", "Cn"}  # bidi and zero-width characters, surrogates, private use, unassigned
BREAKS = {"Cc", "Zl", "Zp"}
SIMPLE = re.compile(r"[\x20-\x7e\u0400-\u0482\u048a-\u04ff]*")  # Latin and Cyrillic letters: nothing to look for
MOST_MARKS = 3  # accents on one letter; hundreds of them paint over the lines above and below
SCHEME = re.compile(r"\s*:\s*[/\\]{2,}\s*")
DOT = re.compile(r"(?<=\w)[.。．｡](?=\w)")


def plain(value: object, longest: int) -> str:
    """One line of visible characters, at most `longest` of them; empty for whatever is no text."""
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
        elif category not in INVISIBLE and marks <= MOST_MARKS:
            kept.append(character)
    return _cut("".join(kept), longest)


def _cut(words: str, longest: int) -> str:
    line = " ".join(words.split())
    return line if len(line) <= longest else line[: longest - 1].rstrip() + "…"


def defused(text: str) -> str:
    """`text` with nothing in it that a mail program makes a link of: "https://evil.mn/x" becomes "https evil. mn/x"."""
    return DOT.sub(". ", SCHEME.sub(" ", text))


def masked(address: str) -> str:
    """`b***@example.mn`: enough for the owner to know it by, too little for anybody else."""
    local, at, domain = address.partition("@")
    return f"{local[:1]}***{at}{domain}" if address else ""
