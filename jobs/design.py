"""The design tokens of `static/admin_jobs/tokens.css` for what can use no style sheet of ours: emails, a test."""

import re
from pathlib import Path

FILE = Path(__file__).parent / "static" / "admin_jobs" / "tokens.css"
COMMENT = re.compile(r"/\*.*?\*/", re.DOTALL)
RULE = re.compile(r"(@media[^{]+\{\s*)?:where\(([^{]+)\)\s*\{([^}]*)\}")
TOKEN = re.compile(r"--([a-z0-9-]+):\s*([^;]+);")
DARK_SCREEN, SWITCHED_TO_DARK, NEUTRAL = "prefers-color-scheme: dark", ':root[data-theme="dark"]', ".branded"


def read_tokens() -> list[tuple[str, bool, dict[str, str]]]:
    """Return the rules of the file in order: the selector, whether it is for dark screens only, its tokens."""
    return [
        (selector, DARK_SCREEN in media or selector == SWITCHED_TO_DARK, dict(TOKEN.findall(body)))
        for media, selector, body in RULE.findall(COMMENT.sub("", FILE.read_text()))
    ]


def _palette(*, dark: bool, neutral: bool) -> dict[str, str]:
    """Return the tokens of one mode, names with underscores, as a template needs them."""
    rules = [rule for rule in read_tokens() if rule[0] != SWITCHED_TO_DARK and (neutral or rule[0] != NEUTRAL)]
    return {
        name.replace("-", "_"): value
        for _selector, for_dark, tokens in rules
        if dark or not for_dark
        for name, value in tokens.items()
    }


PALETTES = {
    own: {"light": _palette(dark=False, neutral=not own), "dark": _palette(dark=True, neutral=not own)}
    for own in (True, False)
}
"""By whether it is for this site: the tokens on light and on dark screens."""

BLACK, WHITE = PALETTES[False]["light"]["main"], PALETTES[False]["light"]["main_text"]
"""The text and its opposite, of pages in the name of another site."""


def accent_styles(colour: str) -> str:
    """Return the style sheet that gives a page an accent colour, "#0055aa"."""
    text = text_on(colour)
    return f".branded {{ --main: {colour}; --main-hover: {colour}; --main-text: {text}; --accent: {colour}; }}\n"


def text_on(colour: str) -> str:
    """Return white or nearly black, whichever has more contrast on a colour (WCAG 2.2, relative luminance)."""
    light = _luminance(colour)
    return WHITE if (1.05 / (light + 0.05)) >= ((light + 0.05) / (_luminance(BLACK) + 0.05)) else BLACK


def _luminance(colour: str) -> float:
    parts = (int(colour[start : start + 2], 16) / 255 for start in (1, 3, 5))
    red, green, blue = (part / 12.92 if part <= 0.04045 else ((part + 0.055) / 1.055) ** 2.4 for part in parts)
    return 0.2126 * red + 0.7152 * green + 0.0722 * blue
