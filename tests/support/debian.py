"""Programs of Debian's packages, unpacked next to a test and never installed: no user, no init script."""

import os
import platform
import shutil
import subprocess
from pathlib import Path

import pytest

from tests.support.machine import missing


class Unpacked:
    """A program with the libraries that came with it, in one folder of this run of the tests."""

    def __init__(self, program: str, *packages: str) -> None:
        installed = shutil.which(program)
        self.root = Path("/") if installed else unpack(*packages)
        self.program = Path(installed) if installed else next(self.root.glob(f"usr/*bin/{program}"))

    @property
    def environment(self) -> dict[str, str]:
        """The environment in which the program finds its libraries."""
        return {**os.environ, "LD_LIBRARY_PATH": library_path(self.root / "usr")}


def require_root() -> None:
    """Skip the test where it does not run as root: mail servers change their user."""
    if os.geteuid() != 0:
        pytest.skip("a mail server changes its user: needs root")


def library_path(usr: Path) -> str:
    """Return LD_LIBRARY_PATH for the libraries in `usr`."""
    return str(usr / "lib" / f"{platform.machine()}-linux-gnu")


def unpack(*packages: str) -> Path:
    """Return the folder in which the packages are unpacked. Skips the test where they cannot be had, outside CI."""
    folder = Path(os.environ["NOTIFIER_TESTS"], f"{packages[0]}{os.environ.get('PYTEST_XDIST_WORKER', '')}")
    if (folder / "root").exists():
        return folder / "root"
    folder.mkdir(exist_ok=True)
    fetched = shutil.which("apt-get") and subprocess.run(
        ["apt-get", "download", *packages], cwd=folder, capture_output=True, text=True, timeout=100
    )
    if not fetched or fetched.returncode:
        missing(packages[0], packages[0])
    for package in folder.glob("*.deb"):
        subprocess.run(["dpkg", "-x", package, folder / "root"], check=True)
    folder.parent.chmod(0o755)  # for programs that change their user
    return folder / "root"
