#!/usr/bin/env python3
"""Checks that a version can be released, then tags it: `make release`, or `make release DRY=1` without the tag.

Each check is named with its result, and a failure stops no other. Nothing outside of var/ changes: what writes files
runs in a copy of the last commit. `ONLY=lock,packages` runs some checks and tags nothing.
"""

import os
import re
import shutil
import subprocess
import sys
import tarfile
import tempfile
import time
import zipfile
from collections.abc import Callable
from pathlib import Path

from scripts.version import ROOT, places, version

LOCKED = ("requirements", "docs/dependencies.md")
CLIENT = "clients/python/src/notifier_client/"


class Wrong(Exception):
    """A check that found something; its text says what and what to do."""


def run(*command: str | Path, folder: Path = ROOT) -> str:
    """Return what a command prints; Wrong with its last lines when it fails."""
    done = subprocess.run(command, cwd=folder, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True)  # noqa: S603
    if done.returncode:
        raise Wrong("\n".join(done.stdout.splitlines()[-25:]) or f"{command[0]} failed")
    return done.stdout


def make(target: str) -> Callable[[Path], None]:
    """Return the check that a target of the Makefile passes."""

    def check(_copy: Path) -> None:
        run("make", target)

    return check


def check_tree(_copy: Path) -> None:
    """Check that everything is committed."""
    if changed := run("git", "status", "--porcelain"):
        raise Wrong(f"commit or remove these first:\n{changed}")


def check_version(_copy: Path) -> None:
    """Check that every file names the same version, and that no tag has it yet."""
    wrong = [f"{path} names {named or 'no version'}, not {version()}" for path, named in places() if named != version()]
    if run("git", "tag", "--list", f"v{version()}"):
        wrong.append(f"there is a tag v{version()}: choose the next version with scripts/version.py")
    if wrong:
        raise Wrong("\n".join(wrong))


def check_changelog(_copy: Path) -> None:
    """Check that the changelog begins with this version, and that its release notes exist."""
    first = re.search(r"^## (\S+)", (ROOT / "CHANGELOG.md").read_text(), re.MULTILINE)
    if not first or first[1] != version():
        raise Wrong(f"CHANGELOG.md begins with {first[1] if first else 'no version'}, not with {version()}")
    notes = ROOT / "docs" / "releases" / f"{version()}.md"
    if not notes.exists():
        raise Wrong(f"write {notes.relative_to(ROOT)}")


def check_lock(copy: Path) -> None:
    """Check that the pinned packages are those of pyproject.toml."""
    run("make", "lock", folder=copy)
    changed = [path for path in run("git", "diff", "--name-only", folder=copy).split() if path.startswith(LOCKED)]
    if changed:
        raise Wrong(f"make lock changes {', '.join(changed)}")


def check_openapi(copy: Path) -> None:
    """Check that docs/openapi.json is the API's description."""
    run("make", "openapi", folder=copy)
    if run("git", "diff", "--name-only", "docs/openapi.json", folder=copy):
        raise Wrong("make openapi changes docs/openapi.json")


def check_messages(copy: Path) -> None:
    """Check that the catalogues have every text of the code; `make check` looks for missing translations in them."""
    if not shutil.which("xgettext"):
        raise Wrong("xgettext is missing: apt-get install gettext")
    run("make", "messages", folder=copy)
    if changed := run("git", "diff", "--stat", "-I", "^.POT-Creation-Date", "--", "*.po", folder=copy):
        raise Wrong(f"make messages changes the catalogues:\n{changed}")


def check_packages(copy: Path) -> None:
    """Check that the packages for Python can be built, from source too, and hold every file of theirs."""
    out, python = copy / "var" / "dist", copy / ".venv" / "bin" / "python"
    run(python, "-m", "pip", "install", "--quiet", "--disable-pip-version-check", "uv")
    for folder in (copy, copy / "clients" / "python"):
        run(python, "-m", "uv", "build", "--quiet", "--out-dir", out, folder=folder)
    queue = run("git", "ls-files", "jobs", "notifier_check.py").split()
    client = [path.removeprefix("clients/python/src/") for path in run("git", "ls-files", CLIENT).split()]
    for name, files in (("notifier", queue), ("notifier_client", client)):
        _check_files(out / f"{name}-{version()}-py3-none-any.whl", set(files), f"{name}-{version()}.dist-info/METADATA")
        with tarfile.open(out / f"{name}-{version()}.tar.gz") as archive:
            held = {member.name.partition("/")[2] for member in archive.getmembers()}
        if missing := {"pyproject.toml", "README.md", "LICENSE"} - held:
            raise Wrong(f"the source package of {name} has no {', '.join(sorted(missing))}")


def _check_files(wheel: Path, files: set[str], metadata: str) -> None:
    if not wheel.exists():
        raise Wrong(f"{wheel.name} was not built: {sorted(path.name for path in wheel.parent.iterdir())}")
    with zipfile.ZipFile(wheel) as archive:
        if missing := sorted(files - set(archive.namelist())):
            raise Wrong(f"{wheel.name} has no {', '.join(missing[:10])}")
        if f"\nVersion: {version()}\n" not in archive.read(metadata).decode():
            raise Wrong(f"{wheel.name} names another version")


CHECKS: dict[str, Callable[[Path], None]] = {
    "tree": check_tree,
    "version": check_version,
    "changelog": check_changelog,
    "check": make("check"),
    "lock": check_lock,
    "openapi": check_openapi,
    "messages": check_messages,
    "packages": check_packages,
    "docs": make("docs"),
    "upgrade": make("upgrade-test"),
}
"""What must be true of a release, in the order in which it is checked."""


def main() -> int:
    """Run the checks, and tag the version when all pass and neither DRY nor ONLY is set; return the exit code."""
    chosen = [name for name in os.environ.get("ONLY", "").split(",") if name] or list(CHECKS)
    if unknown := set(chosen) - set(CHECKS):
        print(f"ONLY names {', '.join(sorted(unknown))}; the checks are {', '.join(CHECKS)}")
        return 2
    with tempfile.TemporaryDirectory(prefix="release-") as folder:
        failed = [name for name in CHECKS if name in chosen and not passes(name, copy_of_head(Path(folder)))]
    if failed:
        print(f"{version()} cannot be released: {', '.join(failed)}")
        return 1
    if os.environ.get("DRY") or chosen != list(CHECKS):
        print(f"{version()}: these checks pass; nothing was tagged")
        return 0
    run("git", "tag", "--annotate", f"v{version()}", "--message", f"Notifier {version()}")
    print(f"tagged v{version()}; publish it: git push origin v{version()}")
    return 0


def copy_of_head(folder: Path) -> Path:
    """Return a clone of the last commit that uses the virtual environment of this checkout; made once."""
    copy = folder / "copy"
    if not copy.exists():
        run("git", "clone", "--quiet", "--shared", ROOT, copy)
        (copy / ".venv").symlink_to((ROOT / os.environ.get("VENV", ".venv")).resolve())
        (copy / "var").mkdir()
    return copy


def passes(name: str, copy: Path) -> bool:
    """Run a check and print its result."""
    began = time.monotonic()
    try:
        CHECKS[name](copy)
    except Wrong as wrong:
        print(f"FAILED  {name}\n        " + str(wrong).strip().replace("\n", "\n        "), flush=True)
        return False
    print(f"ok      {name} ({time.monotonic() - began:.0f} s)", flush=True)
    return True


if __name__ == "__main__":
    sys.exit(main())
