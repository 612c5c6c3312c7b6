"""A description of the machine that the measurements come from."""

import os
import platform
import subprocess
import sys
from collections.abc import Iterable
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path

import psutil

from benchmarks.contenders import ROOT
from benchmarks.services import Services

PACKAGES = (
    *("django", "django-q2", "psycopg", "celery", "dramatiq", "rq", "huey", "procrastinate"),
    *("django-tasks-db", "django-post-office"),
)


def describe(running: Services, packages: Iterable[str] = PACKAGES) -> str:
    """Return a paragraph with processor, memory, versions (of the packages that are installed) and commit."""
    (postgres,) = running.sql("SHOW server_version")[0]
    redis = running.redis.info("server")["redis_version"]
    versions = ", ".join(found for name in packages if (found := _version(name)))
    return (
        f"{os.cpu_count()} cores ({_processor()}), {psutil.virtual_memory().total / 2**30:.0f} GB; "
        f"Python {platform.python_version()}, PostgreSQL {str(postgres).split()[0]} (fsync and synchronous_commit on), "
        f"Redis {redis}; {versions}; commit {commit()}; load before the run {os.getloadavg()[0]:.1f}."
    )


def _version(name: str) -> str:
    try:
        return f"{name} {version(name)}"
    except PackageNotFoundError:
        return ""


def _processor() -> str:
    if not sys.platform.startswith("linux"):
        return platform.processor()
    lines = Path("/proc/cpuinfo").read_text().splitlines()
    return next((line.partition(": ")[2] for line in lines if line.startswith("model name")), "unknown")


def commit() -> str:
    """Return the short name of the commit that is checked out, and whether files differ from it."""
    done = subprocess.run(
        ["git", "describe", "--always", "--dirty"],  # noqa: S607
        cwd=ROOT,
        capture_output=True,
        text=True,
        check=False,
    )
    return done.stdout.strip() or "unknown"
