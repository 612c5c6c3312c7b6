"""npm and Node.js, which the tests of the TypeScript client need."""

import os
import shutil
import subprocess
from pathlib import Path

from tests.support.machine import missing
from tests.support.site import ROOT

CLIENT = ROOT / "clients" / "typescript"
QUIET = ("--no-audit", "--no-fund", "--loglevel=error")


def copied_client(folder: Path) -> Path:
    """Copy the TypeScript client, without what npm and tsc made there; return the copy."""
    copy = folder / "typescript"
    shutil.copytree(CLIENT, copy, ignore=shutil.ignore_patterns("node_modules", "dist", "build", "*.tgz"))
    return copy


def npm(folder: Path, *arguments: str, seconds: int = 300, **environment: str) -> str:
    """Run npm in a folder; return its output. Fail the test with the output when npm fails."""
    return _run(_program("npm"), folder, *arguments, seconds=seconds, **environment)


def node(folder: Path, *arguments: str, **environment: str) -> str:
    """Run Node.js in a folder; return its output. Fail the test with the output when the program fails."""
    return _run(_program("node"), folder, *arguments, seconds=300, **environment)


def _program(name: str) -> str:
    return shutil.which(name) or missing(name, "nodejs npm")


def _run(program: str, folder: Path, *arguments: str, seconds: int, **environment: str) -> str:
    given = {**os.environ, "NO_COLOR": "1", "NEXT_TELEMETRY_DISABLED": "1", **environment}
    command = [program, *arguments]
    done = subprocess.run(command, cwd=folder, env=given, capture_output=True, text=True, timeout=seconds)
    assert done.returncode == 0, f"{' '.join(command)}\n{done.stdout[-6000:]}{done.stderr[-6000:]}"
    return done.stdout
