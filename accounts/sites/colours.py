"""An accent colour on a page: a text colour that can be read on it."""

from jobs.design import PALETTES

BLACK, WHITE = PALETTES[False]["light"]["main"], PALETTES[False]["light"]["main_text"]
"""The text and its opposite, of pages in the name of another site."""


def styles(colour: str) -> str:
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
