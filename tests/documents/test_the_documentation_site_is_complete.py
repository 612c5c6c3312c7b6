"""The documentation site (mkdocs.yml) has every document, its links lead somewhere, and no page needs another host."""

import json
import os
import re
import subprocess
from html.parser import HTMLParser
from pathlib import Path

import pytest
import yaml

from notifier.api.app import api
from scripts.documentation import api_reference, pages
from tests.support.site import ROOT

CONFIGURATION = yaml.safe_load(Path(ROOT, "mkdocs.yml").read_text())
DOCUMENTS = sorted(pages.documents())
MKDOCS = ROOT / ".venv-docs" / "bin" / "mkdocs"


def in_nav(entry) -> list[str]:
    """The pages of a part of `nav`."""
    if isinstance(entry, str):
        return [entry]
    return [page for value in (entry.values() if isinstance(entry, dict) else entry) for page in in_nav(value)]


def anchors(path: str) -> set[str]:
    """The anchors of the headings of a document, as GitHub makes them."""
    text = re.sub(r"^( *)(```|~~~).*?^\1\2", "", Path(ROOT, path).read_text(), flags=re.MULTILINE | re.DOTALL)
    headings = re.findall(r"^#{1,6} (.+)$", text, re.MULTILINE)
    return {pages.slug(re.sub(r"\[([^\]]*)\]\([^)]*\)", r"\1", heading).replace("`", "")) for heading in headings}


def test_every_document_is_in_the_navigation_once():
    listed = in_nav(CONFIGURATION["nav"])
    assert sorted(listed) == sorted([*pages.documents().values(), pages.API_REFERENCE])


def test_the_four_kinds_of_documentation_are_parts_of_the_site():
    parts = [next(iter(entry)) for entry in CONFIGURATION["nav"]]
    assert parts[1:5] == ["Tutorial", "How-to", "Reference", "Explanation"]


@pytest.mark.parametrize("document", DOCUMENTS)
def test_every_relative_link_leads_to_a_file_and_every_anchor_to_a_heading(document):
    wrong = []
    for link in pages.links(Path(ROOT, document).read_text()):
        target = pages.target_of(document, link)
        if not pages.exists(target):
            wrong.append(link[0])
        elif link["anchor"] and target.endswith(".md") and link["anchor"][1:] not in anchors(target):
            wrong.append(link["anchor"])
    assert wrong == []


def test_a_wrong_link_would_be_found():
    text = "See [this](nowhere.md#there) and `[not](this.md)`.\n\n```\n[nor](that.md)\n```\n"
    assert [link["path"] for link in pages.links(text)] == ["nowhere.md"]
    assert not pages.exists("docs/nowhere.md")
    assert "no-such-heading" not in anchors("docs/index.md")


def test_links_lead_from_page_to_page_of_the_site():
    text = "[a](../README.md#what-it-promises), [b](api.md), [c](../deploy/prometheus/alerts.yml), [d](https://x.mn)"
    assert pages.prepare(text, "docs/guide.md") == (
        "[a](project/overview.md#what-it-promises), [b](api.md), [c](files/deploy/prometheus/alerts.yml.md), [d](https://x.mn)"
    )
    assert pages.prepare("[a](docs/api.md)", "README.md") == "[a](../api.md)"


def test_a_list_after_a_paragraph_is_a_list():
    assert pages.prepare("For users\n- one\n  more\n- two\n\nEnd", "CHANGELOG.md") == (
        "For users\n\n- one\n  more\n- two\n\nEnd"
    )


def test_nothing_of_the_site_is_fetched_from_elsewhere_by_its_configuration():
    theme = CONFIGURATION["theme"]
    assert (theme["name"], theme["font"]) == ("material", False)
    assert CONFIGURATION["strict"] is True
    assert not {"extra_javascript", "extra_css", "repo_url"} & set(CONFIGURATION)
    assert CONFIGURATION["plugins"] == ["search"]


def test_the_reference_of_the_api_has_every_call_field_and_problem():
    schema = json.loads(json.dumps(api.get_openapi_schema()))
    page = api_reference.render(json.dumps(schema))
    for path, methods in schema["paths"].items():
        for method, call in methods.items():
            assert f"### {call['summary']}\n\n`{method.upper()} {path}`" in page
    for name, found in schema["components"]["schemas"].items():
        section = page.partition(f"### {name}\n")[2].partition("\n### ")[0]
        assert all(f"| `{field}` |" in section for field in found.get("properties", {})), name
    assert set(re.findall(r"urn:notifier:problem:[\w-]+", json.dumps(schema))) == set(
        re.findall(r"urn:notifier:problem:[\w-]+", page)
    )


class Fetched(HTMLParser):
    """What a browser fetches for a page without being asked: scripts, styles, images."""

    def __init__(self) -> None:
        super().__init__()
        self.urls: list[str] = []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        given = dict(attrs)
        self.urls += [value for name in ("src", "srcset") if (value := given.get(name))]
        if tag == "link" and given.get("rel") in ("stylesheet", "preconnect", "icon", "preload"):
            self.urls.append(given.get("href") or "")


@pytest.mark.slow
@pytest.mark.skipif(not MKDOCS.exists(), reason="make docs installs MkDocs into .venv-docs")
def test_the_site_is_built_strictly_and_no_page_fetches_anything_from_another_host(tmp_path):
    command = [MKDOCS, "build", "--quiet", "--strict", "--site-dir", tmp_path]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, env={"PATH": os.environ["PATH"]})
    assert done.returncode == 0, done.stdout + done.stderr
    built = {str(page.relative_to(tmp_path)) for page in tmp_path.rglob("*.html")}
    assert {name.replace(".md", ".html") for name in in_nav(CONFIGURATION["nav"])} <= built
    fetched = Fetched()
    for page in tmp_path.rglob("*.html"):
        fetched.feed(page.read_text())
    assert fetched.urls
    assert [url for url in fetched.urls if re.match(r"(https?:)?//", url)] == []
    assert (tmp_path / "search" / "search_index.json").stat().st_size > 100_000
