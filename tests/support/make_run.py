"""`make run` as a person starts it: in a process group of its own, with nothing in its environment."""

import os
import re
import shutil
import signal
import subprocess
import sys
import tempfile
from pathlib import Path
from types import TracebackType
from typing import Self

from tests.support.machine import HERE, eventually
from tests.support.ports import free_port
from tests.support.postgres import die_with_parent
from tests.support.templates import ROOT, migrated_file


class MakeRun:
    """One `make run` (or another target of the Makefile) in a folder of its own, or in that of an earlier one.

    fresh: there is no database yet; else there is one without a row, which saves the time of its migrations.
    """

    def __init__(
        self, target: str = "run", folder: Path | None = None, *, fresh: bool = False, **environment: str
    ) -> None:
        self.folder = folder or Path(tempfile.mkdtemp(prefix="run-", dir=os.environ["NOTIFIER_TESTS"]))
        if not fresh and folder is None:
            shutil.copy(migrated_file(), self.folder / "notifier.sqlite3")
        self.port = int(environment.get("PORT") or free_port(beside=1))
        self.url = f"http://{HERE}:{self.port}"
        self.environment = {
            "PATH": os.environ["PATH"],
            "HOME": str(self.folder),
            "LANG": "C.UTF-8",
            "ENV_FILE": os.devnull,
            "VAR_DIR": str(self.folder),
            "SPT_NOENV": "1",  # setproctitle leaves the environment readable: `processes` looks there
            "PORT": str(self.port),
            **environment,
        }
        self.output = self.folder / "output"
        with self.output.open("wb") as output:
            self.process = subprocess.Popen(
                ["make", target, "BOOTSTRAP=true", f"VENV={sys.prefix}"],
                cwd=ROOT,
                env=self.environment,
                stdin=subprocess.DEVNULL,
                stdout=output,
                stderr=subprocess.STDOUT,
                start_new_session=True,
                preexec_fn=die_with_parent,
            )

    def ready(self) -> Self:
        """Waits until the site says where it is."""
        eventually(lambda: self.ended() or "Ctrl-C stops it" in self.said(), 60)
        assert not self.ended(), self.said()
        return self

    def ended(self) -> bool:
        return self.process.poll() is not None

    def said(self) -> str:
        """All it has printed."""
        return self.output.read_text()

    def passwords(self) -> dict[str, str]:
        """The passwords it printed, by user name."""
        return dict(re.findall(r"user name (\w+) +password (\S+)", self.said()))

    def processes(self) -> dict[int, str]:
        """Every living process of it, however it was started: pid and command line."""
        found = {}
        for entry in Path("/proc").glob("[0-9]*"):
            try:
                if f"VAR_DIR={self.folder}\0".encode() in (entry / "environ").read_bytes():
                    found[int(entry.name)] = (entry / "cmdline").read_bytes().replace(b"\0", b" ").decode().strip()
            except (FileNotFoundError, ProcessLookupError, PermissionError):
                continue
        return {pid: command for pid, command in found.items() if command}

    def main(self, part: str) -> int:
        """The pid of the oldest process whose command line has `part` in it."""
        return min(pid for pid, command in self.processes().items() if part in command)

    def ctrl_c(self) -> None:
        """SIGINT to the whole foreground group, as a terminal sends it."""
        os.killpg(self.process.pid, signal.SIGINT)

    def wait(self) -> int:
        """The exit code, once it has ended."""
        return self.process.wait(60)

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, exc: BaseException | None, trace: TracebackType | None
    ) -> None:
        if exc:
            print(self.said()[-8000:])  # noqa: T201  (pytest shows it with the failure)
        for pid in self.processes():
            try:
                os.kill(pid, signal.SIGKILL)
            except ProcessLookupError:
                continue
        self.process.wait(10)
