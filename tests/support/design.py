"""The colours of the design: their contrast (WCAG 2.2), and the table of docs/design.md.

python -m tests.support.design     prints the table
"""

import sys

from jobs.design import PALETTES

TEXT, SHAPE = 4.5, 3.0
"""The least contrast of words, and of borders and lines of charts."""

EVERYWHERE = ("page", "card", "tint")
PAIRS = {  # token: what it is for, its backgrounds, the least contrast
    "text": ("words", (*EVERYWHERE, "good-bg", "warn-bg", "bad-bg"), TEXT),
    "soft": ("labels, hints, times", EVERYWHERE, TEXT),
    "link": ("links, the focus", (*EVERYWHERE, "warn-bg"), TEXT),
    "main-text": ("words on the main button", ("main", "main-hover"), TEXT),
    "good": ("success", ("good-bg", *EVERYWHERE), TEXT),
    "warn": ("what waits or needs a look", ("warn-bg", *EVERYWHERE), TEXT),
    "bad": ("errors, dead letters", ("bad-bg", *EVERYWHERE), TEXT),
    "danger-text": ("words on a button that destroys", ("danger", "danger-hover"), TEXT),
    "edge": ("borders of fields and buttons", ("page", "card"), SHAPE),
    "chart-1": ("first line of a chart", ("page", "card"), SHAPE),
    "chart-2": ("second line", ("page", "card"), SHAPE),
    "chart-3": ("third line", ("page", "card"), SHAPE),
}
BACKGROUNDS = {
    "page": "the page",
    "card": "cards, fields, the bar",
    "tint": "heads of tables, selected rows",
    "line": "lines between things",
    "main": "the main button, the mark",
    "good-bg": "success",
    "warn-bg": "what waits or needs a look",
    "bad-bg": "errors",
    "danger": "a button that destroys",
}


def contrast(one: str, other: str) -> float:
    """Return the contrast of two colours, "#rrggbb"."""
    light, dark = sorted((_luminance(one), _luminance(other)), reverse=True)
    return (light + 0.05) / (dark + 0.05)


def _luminance(colour: str) -> float:
    parts = (int(colour[start : start + 2], 16) / 255 for start in (1, 3, 5))
    red, green, blue = (part / 12.92 if part <= 0.04045 else ((part + 0.055) / 1.055) ** 2.4 for part in parts)
    return 0.2126 * red + 0.7152 * green + 0.0722 * blue


def least_contrast(token: str, mode: str, *, own: bool = True) -> tuple[float, str]:
    """Return the lowest contrast of a token with its backgrounds in "light" or "dark", and that background."""
    palette = PALETTES[own][mode]
    colour = palette[token.replace("-", "_")]
    return min((contrast(colour, palette[name.replace("-", "_")]), name) for name in PAIRS[token][1])


def table() -> str:
    """Return the table of the tokens with both modes and the lowest contrast of each."""
    light, dark = PALETTES[True]["light"], PALETTES[True]["dark"]
    rows = ["| token | for | light | dark | lowest contrast, light | dark |", "|---|---|---|---|---|---|"]
    for name, purpose in BACKGROUNDS.items():
        key = name.replace("-", "_")
        rows.append(f"| `--{name}` | {purpose} | `{light[key]}` | `{dark[key]}` | | |")
    for name, (purpose, _backgrounds, _least) in PAIRS.items():
        found = [least_contrast(name, mode) for mode in ("light", "dark")]
        cells = " | ".join(f"{ratio:.1f} on `--{on}`" for ratio, on in found)
        key = name.replace("-", "_")
        rows.append(f"| `--{name}` | {purpose} | `{light[key]}` | `{dark[key]}` | {cells} |")
    return "\n".join(rows)


if __name__ == "__main__":
    sys.stdout.write(table() + "\n")
