"""Contact sheets: the pictures of one page side by side, a row for each state, as one picture."""

from html import escape
from pathlib import Path

from playwright.sync_api import Browser

NARROW, WIDE = 220, 520
STYLES = """
body { margin: 12px; background: Canvas; color: CanvasText; font: 14px system-ui, sans-serif; }
.row { display: flex; flex-wrap: wrap; gap: 10px; align-items: flex-start; margin-bottom: 18px; }
figure { margin: 0; } img { display: block; border: 1px solid GrayText; }
"""


def write_sheet(browser: Browser, title: str, rows: dict[str, list[Path]], file: Path) -> None:
    """Write a contact sheet beside its HTML. rows: pictures by the heading of their row."""
    body = "".join(
        f"<h2>{escape(heading)}</h2><div class=row>{''.join(map(_figure, pictures))}</div>"
        for heading, pictures in rows.items()
        if pictures
    )
    source = file.with_suffix(".html")
    source.parent.mkdir(parents=True, exist_ok=True)
    source.write_text(f"<!doctype html><meta charset=utf-8><style>{STYLES}</style><h1>{escape(title)}</h1>{body}")
    page = browser.new_page(viewport={"width": 4 * (NARROW + WIDE + 20) + 30, "height": 900})
    page.goto(source.as_uri())
    page.screenshot(path=file, full_page=True, type="jpeg", quality=70)
    page.close()


def _figure(picture: Path) -> str:
    width = NARROW if "-390-" in f"-{picture.stem}" else WIDE
    return (
        f"<figure><figcaption>{escape(picture.stem)}</figcaption><img src='{picture.as_uri()}' width={width}></figure>"
    )
