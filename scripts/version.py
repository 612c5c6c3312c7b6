#!/usr/bin/env python3
"""The version of Notifier. pyproject.toml has it; the other files that name it are compared with it, or written.

usage: scripts/version.py            print it
       scripts/version.py --check    fail when a file names another one
       scripts/version.py 1.2.3      write it everywhere
"""

import re
import sys
from collections.abc import Iterator
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
SOURCE = ("pyproject.toml", r'^version = "(.+?)"$')
PLACES = (
    SOURCE,
    ("jobs/__init__.py", r'^__version__ = "(.+?)"$'),
    ("docs/openapi.json", r'^    "version": "(.+?)",?$'),
    ("clients/python/pyproject.toml", r'^version = "(.+?)"$'),
    ("clients/python/src/notifier_client/__init__.py", r'^__version__ = "(.+?)"$'),
    ("clients/typescript/package.json", r'^  "version": "(.+?)",$'),
    ("clients/typescript/package-lock.json", r'"name": "@yellowbooks/notifier",\n +"version": "(.+?)",$'),
    ("deploy/kubernetes/base/migrate.yaml", r"notifier:(\d[\w.]+)$"),
    ("deploy/kubernetes/base/web.yaml", r"notifier:(\d[\w.]+)$"),
    ("deploy/kubernetes/base/worker.yaml", r"notifier:(\d[\w.]+)$"),
    ("deploy/kubernetes/overlays/example/kustomization.yaml", r"^ +newTag: (.+)$"),
)
"""Each file with a regular expression whose group is the version, every time that it matches."""

WITH_HYPHENS = ("deploy/kubernetes/base/migrate.yaml", "deploy/README.md", ".github/workflows/ci.yml")
"""Files with the name of the job that migrates, `notifier-migrate-1-0-0`."""

JOB = r"notifier-migrate-(\d+-\d+-\d+)"


def version() -> str:
    """Return the version of this checkout."""
    path, pattern = SOURCE
    found = re.search(pattern, (ROOT / path).read_text(), re.MULTILINE)
    assert found  # noqa: S101
    return found[1]


def places() -> Iterator[tuple[str, str]]:
    """Yield the path of each file that names the version, and the version that it names; "" when it names none."""
    for path, pattern in PLACES:
        found = re.findall(pattern, (ROOT / path).read_text(), re.MULTILINE)
        yield from ((path, each) for each in found or [""])
    for path in WITH_HYPHENS:
        found = re.findall(JOB, (ROOT / path).read_text())
        yield from ((path, each.replace("-", ".")) for each in found or [""])


def write(new: str) -> None:
    """Write a version into every place."""
    for path, pattern, value in [*((*place, new) for place in PLACES),
                                 *((path, JOB, new.replace(".", "-")) for path in WITH_HYPHENS)]:  # fmt: skip
        text, last, parts = (ROOT / path).read_text(), 0, []
        for found in re.finditer(pattern, text, re.MULTILINE):
            parts += [text[last : found.start(1)], value]
            last = found.end(1)
        (ROOT / path).write_text("".join([*parts, text[last:]]))


def main() -> int:
    """Print, compare or write the version; return the exit code."""
    if sys.argv[1:] == ["--check"]:
        wrong = [(path, named) for path, named in places() if named != version()]
        for path, named in wrong:
            print(f"{path} names {named or 'no version'}, not {version()}: scripts/version.py {version()}")
        return 1 if wrong else 0
    if sys.argv[1:]:
        if not re.fullmatch(r"\d+\.\d+\.\d+", sys.argv[1]):
            print("a version has three numbers: 1.2.3")
            return 2
        write(sys.argv[1])
        return 0
    print(version())
    return 0


if __name__ == "__main__":
    sys.exit(main())
