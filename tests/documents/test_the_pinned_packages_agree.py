"""`make run` installs requirements.txt, `make test` requirements-dev.txt: one environment serves both."""

import re
import sys
import tomllib
from importlib import import_module
from importlib.metadata import PackageNotFoundError, requires
from itertools import chain
from pathlib import Path

import pytest
from packaging.requirements import Requirement
from packaging.utils import canonicalize_name

from tests.support.site import ROOT

PYPROJECT = tomllib.loads(Path(ROOT, "pyproject.toml").read_text())
QUEUE = PYPROJECT["project"]["dependencies"]
EXTRAS, GROUPS = PYPROJECT["project"]["optional-dependencies"], PYPROJECT["dependency-groups"]


def pins(file):
    return dict(re.findall(r"^([\w.-]+)(?:\[[\w, -]+\])?==(\S+)", Path(ROOT, file).read_text(), re.MULTILINE))


@pytest.mark.parametrize("file", ["requirements-dev.txt", "requirements-bench.txt"])
def test_what_runs_the_site_is_tested_and_compared_in_the_same_versions(file):
    assert pins("requirements.txt").items() <= pins(file).items()


@pytest.mark.parametrize("file", ["requirements-sqs.txt", "requirements-anymail.txt", "requirements-local.txt"])
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
        "requirements-docs.txt",
        "requirements-local.txt",
    ],
)
def test_every_package_is_pinned_with_its_hashes(file):
    blocks = re.split(r"^(?=[\w])", Path(ROOT, file).read_text(), flags=re.MULTILINE)[1:]
    assert all("==" in block and "--hash=sha256:" in block for block in blocks)


@pytest.mark.parametrize(
    ("file", "lists"),
    [
        ("requirements.txt", [QUEUE, GROUPS["site"]]),
        ("requirements-dev.txt", [QUEUE, GROUPS["site"], GROUPS["dev"]]),
        ("requirements-local.txt", [GROUPS["local"]]),
        ("requirements-anymail.txt", [GROUPS["anymail"]]),
        ("requirements-sqs.txt", [EXTRAS["sqs"]]),
        ("requirements-docs.txt", [GROUPS["docs"]]),
        ("requirements-bench.txt", [QUEUE, GROUPS["bench"]]),
    ],
)
def test_every_package_that_is_asked_for_is_pinned_in_a_version_that_is_asked_for(file, lists):
    pinned = pins(file)
    for asked in (Requirement(line) for line in chain(*lists) if isinstance(line, str)):
        assert asked.specifier.contains(pinned[canonicalize_name(asked.name)]), f"{asked}: make lock"


def test_the_queue_asks_for_what_its_modules_import_and_for_nothing_else():
    imported = {
        name.partition(".")[0]
        for path in Path(ROOT, "jobs").rglob("*.py")
        for name in re.findall(r"^\s*(?:from|import) ([\w.]+)", path.read_text(), re.MULTILINE)
    }
    foreign = imported - set(sys.stdlib_module_names) - {"jobs"}
    declared = {Requirement(line).name.replace("-", "_") for line in chain(QUEUE, *EXTRAS.values())}
    declared = {{"django_q2": "django_q"}.get(name, name) for name in declared}
    assert foreign - {"botocore", "pytest"} <= declared  # a part of boto3; jobs/testing is loaded by pytest
    assert declared - foreign <= {"psycopg", "tzdata"}  # Django imports both


def test_what_only_development_needs_is_not_in_production():
    kept = set(pins("requirements.txt"))
    assert not kept & {"aiosmtpd", "pytest", "dj-email-url", "django-cache-url"}
    copied = Path(ROOT, "deploy/docker/Dockerfile").read_text()
    assert "requirements-local" not in copied
    assert "requirements-dev" not in copied


def test_the_description_of_the_project_is_complete_and_true():
    project = PYPROJECT["project"]
    assert (project["name"], project["license"], project["readme"]) == ("notifier", "MIT", "README.md")
    assert Path(ROOT, "LICENSE").read_text().startswith("MIT License")
    assert project["requires-python"] == f">={PYPROJECT['tool']['mypy']['python_version']}"
    assert set(EXTRAS) >= {"redis", "sqs"}
    module, _, function = project["scripts"]["notifier-check"].partition(":")
    assert callable(getattr(import_module(module), function))


def test_the_pins_are_for_every_python():
    heads = [Path(ROOT, file).read_text()[:400] for file in ("requirements.txt", "requirements-dev.txt")]
    assert all("--universal" in head and "--python-version 3.11" in head for head in heads)


def requirements_of(name):
    """What an installed package asks for; nothing of one that this machine does not need."""
    try:
        return requires(name) or ()
    except PackageNotFoundError:
        return ()


def test_every_extra_that_a_package_asks_for_is_pinned_with_it():
    """Else pip 23 takes the newest release for `coverage[toml]`, and refuses it because it has no hash."""
    pinned = [line.split(" \\")[0] for line in Path(ROOT, "requirements-dev.txt").read_text().splitlines()]
    extras = {req.name: req.extras for req in map(Requirement, filter(re.compile(r"[\w.-]+(\[.*\])?==").match, pinned))}
    needed = [need for name in extras for need in map(Requirement, requirements_of(name)) if need.extras]
    active = [need for need in needed if need.marker is None or need.marker.evaluate({"extra": ""})]
    missing = [str(need) for need in active if not need.extras <= extras.get(need.name, set())]
    assert not missing, "make lock (with --no-strip-extras)"
