"""`make run` installs requirements.txt, `make test` requirements-dev.txt: one environment serves both."""

import re
from importlib.metadata import requires
from pathlib import Path

import pytest
from packaging.requirements import Requirement

from tests.support.site import ROOT


def pins(file):
    return dict(re.findall(r"^([\w.-]+)(?:\[[\w, -]+\])?==(\S+)", Path(ROOT, file).read_text(), re.MULTILINE))


@pytest.mark.parametrize("file", ["requirements-dev.txt", "requirements-bench.txt"])
def test_what_runs_the_site_is_tested_and_compared_in_the_same_versions(file):
    assert pins("requirements.txt").items() <= pins(file).items()


@pytest.mark.parametrize("file", ["requirements-sqs.txt", "requirements-anymail.txt"])
def test_an_extra_changes_no_version_of_the_site_and_is_tested_as_it_is_installed(file):
    site, dev = pins("requirements.txt"), pins("requirements-dev.txt")
    assert pins(file).items() <= dev.items()
    assert all(site.get(name, version) == version for name, version in pins(file).items())


@pytest.mark.parametrize(
    "file",
    [
        "requirements.txt",
        "requirements-dev.txt",
        "requirements-sqs.txt",
        "requirements-anymail.txt",
        "requirements-bench.txt",
    ],
)
def test_every_package_is_pinned_with_its_hashes(file):
    blocks = re.split(r"^(?=[\w])", Path(ROOT, file).read_text(), flags=re.MULTILINE)[1:]
    assert all("==" in block and "--hash=sha256:" in block for block in blocks)


def test_every_package_that_is_asked_for_is_pinned():
    asked = re.findall(r"^([\w.-]+)", Path(ROOT, "requirements.in").read_text(), re.MULTILINE)
    assert {name.lower() for name in asked} <= set(pins("requirements.txt")), "make lock"


def test_every_extra_that_a_package_asks_for_is_pinned_with_it():
    """Else pip 23 takes the newest release for `coverage[toml]`, and refuses it because it has no hash."""
    pinned = [line.split(" \\")[0] for line in Path(ROOT, "requirements-dev.txt").read_text().splitlines()]
    extras = {req.name: req.extras for req in map(Requirement, filter(re.compile(r"[\w.-]+(\[.*\])?==").match, pinned))}
    needed = [need for name in extras for need in map(Requirement, requires(name) or ()) if need.extras]
    active = [need for need in needed if need.marker is None or need.marker.evaluate({"extra": ""})]
    missing = [str(need) for need in active if not need.extras <= extras.get(need.name, set())]
    assert not missing, "make lock (with --no-strip-extras)"
