#!/usr/bin/env python3
"""The generator of docs/dependencies.md: every package of requirements*.in, with the one reason to have it.

usage: scripts/dependencies.py          write docs/dependencies.md
       scripts/dependencies.py --check  fail when it is not up to date

The reasons are kept in the document itself, and survive a new run. A new package gets a row with an empty reason,
which --check and the tests refuse.
"""

import re
import sys
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
DOCUMENT = ROOT / "docs" / "dependencies.md"
PACKAGE = re.compile(r"^([a-z][\w-]*)(?:\[[\w,-]+\])?[^\n]*$", re.MULTILINE)
ROW = re.compile(r"^\| (\S+) \| (.*) \|$", re.MULTILINE)
INTRODUCTION = """# Dependencies

Every package that the project installs, and the reason to have it. `requirements*.in` names the packages, and
`requirements*.txt` pins them with hashes (`make lock`). `scripts/dependencies.py` writes this page from those files;
a reason is edited here. A test checks that every package has one.
"""
SECTIONS = {
    "requirements.in": "The site",
    "requirements-sqs.in": "For `Q_BROKER=sqs`",
    "requirements-anymail.in": "For the HTTP interface and the webhooks of a mail service",
    "requirements-otel.in": "For `OTEL_EXPORTER_OTLP_ENDPOINT`",
    "requirements-sentry.in": "For `SENTRY_DSN`",
    "requirements-dev.in": "Tests and checks",
    "requirements-bench.in": "`make bench`, in `.venv-bench`",
}


def packages(file: str) -> list[str]:
    """Return the packages that a requirements file names, in its order."""
    return PACKAGE.findall((ROOT / file).read_text())


def rows(document: str, file: str) -> dict[str, str]:
    """Return package and reason for each row of the section of a requirements file."""
    section = document.partition(f"(`{file}`)\n")[2].partition("\n## ")[0]
    reasons = dict(ROW.findall(section))
    return {name: reason for name, reason in reasons.items() if not name.startswith("package")}


def render(document: str) -> str:
    """Return the document with a row for each package, and the reasons that it has now."""
    parts = [INTRODUCTION]
    for file, title in SECTIONS.items():
        known = rows(document, file)
        lines = [f"| {name} | {known.get(name, '')} |" for name in packages(file)]
        parts.append("\n".join([f"## {title} (`{file}`)\n", "| package | reason |", "|---|---|", *lines, ""]))
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
