"""Takes the pictures: one browser, one page for each variant and user, and the width of each page measured."""

import base64
import struct
import zlib
from dataclasses import dataclass, field
from pathlib import Path

from playwright.sync_api import Browser, Page

from tests.screenshots.pages import MEASURED, Shot, Variant

FLAGS = ["--no-sandbox", "--disable-gpu", "--disable-background-networking", "--disable-component-update"]
HEIGHT, TALLEST = 900, 2400
NARROW = 700
"""Above this width a picture of a document is taken at 1100 pixels, at which its words can be read on a page."""
TO_INDEXED = """async (source) => {
  const image = new Image();
  image.src = `data:image/png;base64,${source}`;
  await image.decode();
  const context = new OffscreenCanvas(image.width, image.height).getContext("2d");
  context.drawImage(image, 0, 0);
  const pixels = new Uint32Array(context.getImageData(0, 0, image.width, image.height).data.buffer);
  const counts = new Map();
  for (const pixel of pixels) counts.set(pixel, (counts.get(pixel) || 0) + 1);
  const kept = [...counts].sort((one, other) => other[1] - one[1]).slice(0, 256).map(([pixel]) => pixel);
  const places = new Map(kept.map((pixel, at) => [pixel, at]));
  const parts = (pixel) => [pixel & 255, (pixel >> 8) & 255, (pixel >> 16) & 255];
  const palette = kept.map(parts);
  const nearest = (pixel) => {
    const [red, green, blue] = parts(pixel);
    let best = 0, least = Infinity;
    palette.forEach(([r, g, b], at) => {
      const far = (r - red) ** 2 + (g - green) ** 2 + (b - blue) ** 2;
      if (far < least) { least = far; best = at; }
    });
    places.set(pixel, best);
    return best;
  };
  let text = "";
  for (const pixel of pixels) text += String.fromCharCode(places.has(pixel) ? places.get(pixel) : nearest(pixel));
  return { width: image.width, height: image.height, palette: palette.flat(), pixels: btoa(text) };
}"""
TO_WEBP = """async ([source, width]) => {
  const image = new Image();
  image.src = `data:image/png;base64,${source}`;
  await image.decode();
  const canvas = new OffscreenCanvas(width, Math.round(image.height * width / image.width));
  const context = canvas.getContext("2d");
  context.imageSmoothingQuality = "high";
  context.drawImage(image, 0, 0, canvas.width, canvas.height);
  const blob = await canvas.convertToBlob({ type: "image/webp", quality: 0.82 });
  const bytes = new Uint8Array(await blob.arrayBuffer());
  return btoa(Array.from(bytes, (byte) => String.fromCharCode(byte)).join(""));
}"""


@dataclass
class Camera:
    """A browser that knows the site's address and its users' sessions (cookie values by name)."""

    browser: Browser
    base: str
    sessions: dict[str, str]
    too_wide: list[str] = field(default_factory=list)
    """Pages that scroll sideways."""
    _pages: dict[tuple[str, str], Page] = field(default_factory=dict)

    def open(self, shot: Shot, variant: Variant, parts: dict[str, str]) -> Page:
        """Open a page as its user, in a variant, and act on it."""
        page = self._page(shot.who, variant)
        page.set_viewport_size({"width": variant.width, "height": HEIGHT})
        page.goto(shot.path.format(**parts))
        if shot.act:
            shot.act(page)
        return page

    def take(self, page: Page, file: Path, what: str) -> None:
        """Write a picture of a whole page; note when it scrolls sideways, here or at a width of MEASURED.

        The window grows to the height of the page: what is outside of it, Chromium does not always paint.
        """
        file.parent.mkdir(parents=True, exist_ok=True)
        width = (page.viewport_size or {"width": 0})["width"]
        for seen in (*MEASURED, width) if width > NARROW else (width,):
            page.set_viewport_size({"width": seen, "height": HEIGHT})
            if page.evaluate("document.documentElement.scrollWidth > innerWidth"):
                self.too_wide.append(f"{what} at {seen} px")
        tall = page.evaluate("document.documentElement.scrollHeight")
        page.set_viewport_size({"width": width, "height": max(HEIGHT, min(TALLEST, tall))})
        if page.locator("canvas, iframe").count():
            page.wait_for_timeout(300)
        page.screenshot(path=file, type="jpeg", quality=80)

    def write_document_picture(self, page: Page, file: Path) -> None:
        """Write the first screen of a page as a small WebP picture."""
        file.parent.mkdir(parents=True, exist_ok=True)
        width = (page.viewport_size or {"width": 0})["width"]
        width = width if width < NARROW else 1100
        page.set_viewport_size({"width": width, "height": 760})
        page.wait_for_timeout(250)
        source = base64.b64encode(page.screenshot()).decode()
        blank = self.browser.new_page()
        file.write_bytes(base64.b64decode(blank.evaluate(TO_WEBP, [source, width])))
        blank.close()

    def write_indexed_png(self, page: Page, file: Path, *, full_page: bool) -> None:
        """Write a picture as a PNG with 256 colours, a third of Chromium's."""
        source = base64.b64encode(page.screenshot(full_page=full_page)).decode()
        blank = self.browser.new_page()
        found = blank.evaluate(TO_INDEXED, source)
        blank.close()
        pixels, width = base64.b64decode(found["pixels"]), found["width"]
        rows = b"".join(b"\0" + pixels[start : start + width] for start in range(0, len(pixels), width))
        head = struct.pack(">IIBBBBB", width, found["height"], 8, 3, 0, 0, 0)
        chunks = (
            (b"IHDR", head),
            (b"PLTE", bytes(found["palette"])),
            (b"IDAT", zlib.compress(rows, 9)),
            (b"IEND", b""),
        )
        file.write_bytes(b"\x89PNG\r\n\x1a\n" + b"".join(_chunk(name, data) for name, data in chunks))

    def _page(self, who: str, variant: Variant) -> Page:
        key = (who, str(variant))
        if key not in self._pages:
            context = self.browser.new_context(
                locale=variant.language,
                color_scheme=variant.scheme,  # type: ignore[arg-type]
                viewport={"width": variant.width, "height": HEIGHT},
                reduced_motion="reduce",
                base_url=self.base,
            )
            if who:
                context.add_cookies([{"name": "sessionid", "value": self.sessions[who], "url": self.base}])
            self._pages[key] = context.new_page()
        return self._pages[key]


def _chunk(name: bytes, data: bytes) -> bytes:
    return struct.pack(">I", len(data)) + name + data + struct.pack(">I", zlib.crc32(name + data))
