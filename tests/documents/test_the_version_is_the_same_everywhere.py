"""The version of pyproject.toml is that of every file that names one; the changelog and the release notes have it."""

import re
from pathlib import Path

import pytest

import jobs
from notifier.api.app import api
from scripts import release, version
from tests.support.site import ROOT

CHANGELOG = Path(ROOT, "CHANGELOG.md").read_text()
READERS = ("users", "operators", "administrators", "developers of other sites", "developers of Django code")


def test_every_file_names_the_version_of_the_project():
    assert {path: named for path, named in version.places() if named != version.version()} == {}


def test_the_running_code_and_its_api_have_the_version():
    assert jobs.__version__ == version.version() == api.get_openapi_schema()["info"]["version"]


def test_every_place_that_names_a_version_is_known():
    """A new file with the tag of the image or the name of the job must be added to scripts/version.py."""
    known = {path for path, _ in (*version.PLACES, *((path, "") for path in version.WITH_HYPHENS))}
    files = [path for folder in ("deploy", ".github") for path in Path(ROOT, folder).rglob("*") if path.is_file()]
    pattern = re.compile(r"notifier:\d+\.\d+\.\d+|notifier-migrate-\d")
    named = {str(path.relative_to(ROOT)) for path in files if pattern.search(path.read_text())}
    assert named - known == set()


@pytest.fixture
def copy(tmp_path, monkeypatch):
    """The files that name the version, in a folder in which they may be changed."""
    for path in {path for path, _ in version.PLACES} | set(version.WITH_HYPHENS):
        (tmp_path / path).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / path).write_text((ROOT / path).read_text())
    monkeypatch.setattr(version, "ROOT", tmp_path)
    return tmp_path


def test_a_new_version_is_written_everywhere_and_one_that_is_left_behind_is_found(copy):
    version.write("7.8.9")
    assert {named for _, named in version.places()} == {"7.8.9"}
    assert "notifier-migrate-7-8-9" in (copy / "deploy/kubernetes/base/migrate.yaml").read_text()
    (copy / "clients/typescript/package.json").write_text('{\n  "version": "1.2.3",\n}\n')
    assert [named for _, named in version.places() if named != version.version()] == ["1.2.3"]


def test_the_changelog_begins_with_the_version_and_is_sorted_by_its_readers():
    section = CHANGELOG.partition("\n## ")[2].partition("\n## ")[0]
    assert section.splitlines()[0] == version.version()
    assert re.findall(r"^For (.+)$", section, re.MULTILINE) == list(READERS)
    assert Path(ROOT, "docs", "releases", f"{version.version()}.md").exists()


def test_a_release_is_refused_without_notes_or_with_a_wrong_version(copy, monkeypatch):
    monkeypatch.setattr(release, "ROOT", copy)
    (copy / "CHANGELOG.md").write_text("# Changelog\n\n## Unreleased\n")
    with pytest.raises(release.Wrong, match="not with"):
        release.check_changelog(copy)
    (copy / "CHANGELOG.md").write_text(f"# Changelog\n\n## {version.version()}\n")
    with pytest.raises(release.Wrong, match="docs/releases/"):
        release.check_changelog(copy)
    monkeypatch.setattr(release, "run", lambda *_, **__: "")
    release.check_version(copy)
    (copy / "jobs/__init__.py").write_text('__version__ = "0.0.1"\n')
    with pytest.raises(release.Wrong, match=r"jobs/__init__.py names 0\.0\.1"):
        release.check_version(copy)


def test_each_check_of_a_release_passes_or_names_what_is_wrong(capsys, monkeypatch):
    def find(_copy: Path) -> None:
        raise release.Wrong("one\ntwo")

    monkeypatch.setitem(release.CHECKS, "tree", find)
    assert not release.passes("tree", ROOT)
    assert capsys.readouterr().out == "FAILED  tree\n        one\n        two\n"
    monkeypatch.setitem(release.CHECKS, "tree", lambda _copy: None)
    assert release.passes("tree", ROOT)
