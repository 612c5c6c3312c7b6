"""docs/performance.md: each benchmark writes between its two marks; the rest is written by hand."""

from benchmarks.contenders import ROOT

PAGE = ROOT / "docs" / "performance.md"


def replace_section(name: str, text: str) -> None:
    """Replace the text between the marks of `name`. Raises ValueError when the page has no such marks."""
    page = PAGE.read_text()
    begin, end = f"<!-- {name}:begin -->\n", f"<!-- {name}:end -->"
    before, found, rest = page.partition(begin)
    _, closed, after = rest.partition(end)
    if not found or not closed:
        raise ValueError(f"{PAGE} has no {begin.strip()} and {end}")
    PAGE.write_text(f"{before}{begin}{text.strip()}\n{closed}{after}")
