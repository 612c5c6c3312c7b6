#!/usr/bin/env python3
"""The generator of docs/dependencies.md: every package of pyproject.toml, with the one reason to have it.

usage: scripts/dependencies.py          write docs/dependencies.md
       scripts/dependencies.py --check  fail when it is not up to date

The reasons are kept in the document itself, and survive a new run. A new package gets a row with an empty reason,
which --check and the tests refuse.
"""

import re
import sys
import tomllib
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
DOCUMENT = ROOT / "docs" / "dependencies.md"
PACKAGE = re.compile(r"[a-z][\w-]*")
ROW = re.compile(r"^\| (\S+) \| (.*) \|$", re.MULTILINE)
INTRODUCTION = """# Dependencies

Every package that the project installs, and the reason to have it. `pyproject.toml` names the packages: those of the
queue, its extras (`pip install "notifier[redis]"`), and groups for the site and its development. `requirements*.txt`
pins them with hashes, for every Python from 3.11 (`make lock`). `scripts/dependencies.py` writes this page from
`pyproject.toml`; a reason is edited here. A test checks that every package has one.
"""
SECTIONS = {
    "dependencies": "The queue",
    "extra redis": 'For `Q_BROKER = "redis"`',
    "extra sqs": 'For `Q_BROKER = "sqs"`',
    "group site": "The site",
    "group local": "`make run`, in addition",
    "group anymail": "For the HTTP interface and the webhooks of a mail service",
    "group otel": "For `OTEL_EXPORTER_OTLP_ENDPOINT`",
    "group sentry": "For `SENTRY_DSN`",
    "group dev": "Tests and checks, in addition",
    "group docs": "`make docs`, in `.venv-docs`, in addition",
    "group bench": "`make bench`, in `.venv-bench`, in addition",
}


def packages(section: str) -> list[str]:
    """Return the packages that a section of pyproject.toml names itself, in its order."""
    described = tomllib.loads((ROOT / "pyproject.toml").read_text())
    kind, _, name = section.partition(" ")
    lists = {
        "dependencies": {"": described["project"]["dependencies"]},
        "extra": described["project"]["optional-dependencies"],
        "group": described["dependency-groups"],
    }
    return [found[0] for line in lists[kind][name] if isinstance(line, str) and (found := PACKAGE.match(line))]


def rows(document: str, name: str) -> dict[str, str]:
    """Return package and reason for each row of a section."""
    section = document.partition(f"(`{name}`)\n")[2].partition("\n## ")[0]
    reasons = dict(ROW.findall(section))
    return {name: reason for name, reason in reasons.items() if not name.startswith("package")}


def render(document: str) -> str:
    """Return the document with a row for each package, and the reasons that it has now."""
    parts = [INTRODUCTION]
    for section, title in SECTIONS.items():
        known = rows(document, section)
        lines = [f"| {name} | {known.get(name, '')} |" for name in packages(section)]
        parts.append("\n".join([f"## {title} (`{section}`)\n", "| package | reason |", "|---|---|", *lines, ""]))
    return "\n".join(parts)


def main() -> int:
    """Write the document, or with --check compare it."""
    before = DOCUMENT.read_text() if DOCUMENT.exists() else ""
    after = render(before)
    if "--check" not in sys.argv:
        DOCUMENT.write_text(after)
    elif before != after:
        print("docs/dependencies.md is out of date: run scripts/dependencies.py")
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())
