"""Colours and dates are written once, and docs/design.md shows what they are."""

import re
import subprocess
from pathlib import Path

import pytest
from django.contrib import admin

from jobs import design
from tests.screenshots.pages import DOCUMENTED
from tests.support.design import PAIRS, least_contrast, table
from tests.support.site import ROOT

DJANGO = Path(admin.__file__).parent / "static" / "admin" / "css"
TOKENS = design.FILE.relative_to(ROOT)
DOCUMENT = (ROOT / "docs" / "design.md").read_text()
LITERAL = re.compile(
    r"#[0-9a-f]{3,8}\b|\b(?:rgba?|hsla?|oklch|color-mix)\(|:[^;{}]*\b(?:white|black|red|gr[ae]y|yellow|blue|green)\b",
    re.I,
)
IN_MARKUP = re.compile(r"#[0-9a-f]{6}\b|\brgba?\(", re.I)
MODULES = ("accounts/*.py", "notifier/*.py", "jobs/*.py")
SAMPLE = "#0055aa"
"""The accent colour of an invented site, in texts that ask for one."""

DATE = re.compile(r"""\|date:(["'])(?!c\1|[A-Z_]+_FORMAT\1)""")


def files(*patterns: str) -> list[Path]:
    """Return the versioned files of the product with these names, without those of others."""
    listed = subprocess.check_output(["git", "ls-files", *patterns], cwd=ROOT, text=True).splitlines()
    kept = [
        Path(name) for name in listed if not name.startswith(("tests/", "docs/", "deploy/", "benchmarks/", "clients/"))
    ]
    return [path for path in kept if "vendor" not in path.parts and (ROOT / path).exists()]


def text_of(path: Path) -> str:
    return design.COMMENT.sub("", (ROOT / path).read_text())


@pytest.mark.parametrize("path", [path for path in files("*.css") if path != TOKENS], ids=str)
def test_a_style_sheet_has_no_colour_of_its_own(path):
    assert LITERAL.findall(text_of(path)) == []


def test_neither_has_a_template_or_a_module():
    found = {str(path): set(IN_MARKUP.findall(text_of(path))) - {SAMPLE} for path in files("*.html", *MODULES)}
    assert {path: colours for path, colours in found.items() if colours} == {}


@pytest.mark.parametrize("path", files("*.svg"), ids=str)
def test_a_picture_has_colours_of_the_tokens(path):
    known = {value for modes in design.PALETTES.values() for palette in modes.values() for value in palette.values()}
    assert set(re.findall(r"#[0-9a-f]{3,8}\b", text_of(path))) <= known


@pytest.mark.parametrize("path", files("*.css"), ids=str)
def test_a_style_sheet_uses_what_is_defined(path):
    django = {name for file in DJANGO.glob("*.css") for name in defined(file.read_text())}
    known = set(defined(design.FILE.read_text())) | set(defined(text_of(path))) | django
    assert set(re.findall(r"var\(--([\w-]+)", text_of(path))) - known == set()


def defined(styles: str) -> list[str]:
    return re.findall(r"(?<![\w-])--([\w-]+)\s*:", styles)


def test_both_rules_for_the_dark_are_equal_and_every_colour_has_both_modes():
    rules = [(selector, tokens) for selector, _dark, tokens in design.read_tokens()]
    assert len(rules) == 6
    (_sizes, light, dark, switched, neutral, neutral_dark) = [tokens for _selector, tokens in rules]
    assert dark == switched
    assert set(light) == set(dark)
    assert set(neutral) == set(neutral_dark)


@pytest.mark.parametrize("own", [True, False], ids=["this site", "other sites"])
@pytest.mark.parametrize("mode", ["light", "dark"])
@pytest.mark.parametrize("token", PAIRS)
def test_what_is_written_can_be_read_on_every_background(token, mode, own):
    ratio, background = least_contrast(token, mode, own=own)
    assert ratio >= PAIRS[token][2], f"{token} on {background}"


def test_the_document_shows_the_tokens():
    assert table() in DOCUMENT, f"docs/design.md needs this table:\n{table()}"


def test_the_document_shows_the_twelve_pages_in_small_pictures():
    shown = re.findall(r"images/design/([\w-]+)\.webp", DOCUMENT)
    assert sorted(shown) == sorted(DOCUMENTED)
    sizes = {path.name: path.stat().st_size for path in (ROOT / "docs" / "images" / "design").iterdir()}
    assert {name for name, size in sizes.items() if size > 80_000} == set()
    assert sorted(sizes) == sorted(f"{name}.webp" for name in DOCUMENTED)


def test_a_date_has_the_format_of_the_language():
    found = {str(path) for path in files("*.html", "*.txt") if DATE.search((ROOT / path).read_text())}
    assert found == set(), "use the filters of job_dates: second, minute, short_clock"


def test_the_tokens_are_loaded_before_what_uses_them():
    sheets = {str(path): re.findall(r"static '([\w/.-]+\.css)'", text_of(path)) for path in files("*.html")}
    using = {path: names for path, names in sheets.items() if {*names} & {"site.css", "dev.css", "admin_jobs/jobs.css"}}
    assert len(using) >= 6
    assert {path for path, names in using.items() if names[0] != "admin_jobs/tokens.css"} == set()
