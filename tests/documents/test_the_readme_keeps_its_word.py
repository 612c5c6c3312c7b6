"""README.md and the other documents: every file, command and package that they name exists, and none is left out."""

import re
from pathlib import Path

import pytest

from tests.support.site import ROOT

PAGES = [ROOT / name for name in ("README.md", "CHANGELOG.md", "CONTRIBUTING.md", "SECURITY.md")]
PAGES += sorted(ROOT.glob("d*/**/*.md")) + sorted(ROOT.glob("clients/*/README.md"))
README = Path(ROOT, "README.md").read_text()
DEPENDENCIES = Path(ROOT, "docs/dependencies.md").read_text()
PACKAGE = re.compile(r"^([a-z][\w-]*)(?:\[[\w,-]+\])?[^\n]*$", re.MULTILINE)


def targets():
    return set(re.findall(r"^([a-z-]+):", Path(ROOT, "Makefile").read_text(), re.MULTILINE))


def table_below(file):
    """The packages of the table in docs/dependencies.md whose heading names the requirements file."""
    table = DEPENDENCIES.partition(f"(`{file}`)")[2].partition("|---|---|")[2].partition("\n\n")[0]
    return dict(re.findall(r"^\| (\S+) \| (.+) \|$", table, re.MULTILINE))


@pytest.mark.parametrize(
    "file",
    [
        "requirements.in",
        "requirements-dev.in",
        "requirements-sqs.in",
        "requirements-anymail.in",
        "requirements-bench.in",
    ],
)
def test_every_package_has_a_line_with_its_reason(file):
    reasons = table_below(file)
    assert set(reasons) == set(PACKAGE.findall(Path(ROOT, file).read_text()))
    assert all(reasons.values())


@pytest.mark.parametrize("page", PAGES, ids=[str(page.relative_to(ROOT)) for page in PAGES])
def test_every_file_that_a_page_links_to_or_names_is_there(page):
    text = page.read_text()
    linked = {page.parent / link for link in re.findall(r'(?:\]\(|src=")(?!https?:)([^)#"\s]+)', text)}
    named = {ROOT / name for name in re.findall(r"`((?:tests|scripts|deploy|docs)/[\w./-]+\w)`", text)}
    assert {str(path) for path in linked | named if not path.exists()} == set()


@pytest.mark.parametrize("page", PAGES, ids=[str(page.relative_to(ROOT)) for page in PAGES])
def test_every_make_target_that_a_page_names_is_there(page):
    assert set(re.findall(r"`(?:\w+=\S+ )*make ([a-z-]+)", page.read_text())) <= targets()


def test_the_readme_names_every_make_target():
    assert set(re.findall(r"\bmake ([a-z-]+)", README)) >= targets() - {"help"}


def test_each_promise_names_tests_that_name_it_or_its_substance():
    rows = re.findall(r"^\| (P\d) \| .+ \| (.+) \|$", README, re.MULTILINE)
    assert [name for name, _ in rows] == [f"P{number}" for number in range(1, 10)]
    assert all(re.search(r"\]\(tests/\w+/test_", tests) for _, tests in rows)


def test_the_readme_is_short_and_its_first_screen_says_what_it_is_and_how_to_start():
    lines = README.splitlines()
    assert len(lines) <= 140
    first = "\n".join(lines[:26])
    assert all(text in first for text in ("emails you", "It is for", "docs/images/mail.png", "make run", "make test"))
