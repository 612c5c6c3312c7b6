"""README.md and the other documents: every file, command and package that they name exists, and none is left out."""

import re
import tomllib
from pathlib import Path

import pytest

from scripts import dependencies
from tests.support.site import ROOT

PAGES = [ROOT / name for name in ("README.md", "CHANGELOG.md", "CONTRIBUTING.md", "SECURITY.md")]
PAGES += sorted(ROOT.glob("d*/**/*.md")) + sorted(ROOT.glob("clients/*/README.md"))
README = Path(ROOT, "README.md").read_text()
DEPENDENCIES = Path(ROOT, "docs/dependencies.md").read_text()


def targets():
    return set(re.findall(r"^([a-z-]+):", Path(ROOT, "Makefile").read_text(), re.MULTILINE))


@pytest.mark.parametrize("section", dependencies.SECTIONS)
def test_every_package_has_a_line_with_its_reason(section):
    reasons = dependencies.rows(DEPENDENCIES, section)
    assert set(reasons) == set(dependencies.packages(section))
    assert all(reasons.values())


def test_every_list_of_packages_has_a_section():
    described = tomllib.loads(Path(ROOT, "pyproject.toml").read_text())
    lists = {f"extra {name}" for name in described["project"]["optional-dependencies"]}
    lists |= {f"group {name}" for name in described["dependency-groups"]}
    assert set(dependencies.SECTIONS) == {"dependencies", *lists}


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
