"""The measured programs: each has its own session, is measured with all its children, and is stopped completely."""

import contextlib
import subprocess
import time
from collections.abc import Iterable, Sequence
from pathlib import Path

import psutil

from benchmarks.contenders import ROOT
from tests.support.postgres import die_with_parent

GRACE_SECONDS = 10.0


class Programs:
    """The programs of one contender, as a context manager. Their output goes to `log`."""

    def __init__(self, commands: Iterable[Sequence[str]], environment: dict[str, str], log: Path) -> None:
        self.commands, self.environment, self.log = list(commands), environment, log
        self.processes: list[subprocess.Popen[bytes]] = []

    def __enter__(self) -> "Programs":
        with self.log.open("ab") as out:
            for command in self.commands:
                self.processes.append(
                    subprocess.Popen(
                        command,
                        cwd=ROOT,
                        env=self.environment,
                        stdin=subprocess.DEVNULL,
                        stdout=out,
                        stderr=out,
                        start_new_session=True,
                        preexec_fn=die_with_parent,
                    )
                )
        return self

    def __exit__(self, *_: object) -> None:
        """Send SIGTERM to each main process, and kill the rest after GRACE_SECONDS."""
        running = tree(self.pids)
        for process in self.processes:
            process.terminate()
        until = time.monotonic() + GRACE_SECONDS
        for process in self.processes:
            with contextlib.suppress(subprocess.TimeoutExpired):
                process.wait(max(0.1, until - time.monotonic()))
        for left in running:
            with contextlib.suppress(psutil.NoSuchProcess):
                left.kill()
        for process in self.processes:
            process.wait()

    @property
    def pids(self) -> list[int]:
        return [process.pid for process in self.processes]

    @property
    def alive(self) -> bool:
        return all(process.poll() is None for process in self.processes)


def tree(pids: Iterable[int]) -> list[psutil.Process]:
    """Return these processes and all their descendants."""
    found: list[psutil.Process] = []
    for pid in pids:
        with contextlib.suppress(psutil.NoSuchProcess):
            main = psutil.Process(pid)
            found += [main, *main.children(recursive=True)]
    return found


def cpu_seconds(pids: Iterable[int]) -> float:
    """Return the CPU time of these trees so far, including that of children that have ended."""
    total = 0.0
    for process in tree(pids):
        with contextlib.suppress(psutil.NoSuchProcess):
            total += sum(process.cpu_times()[:4])
    return total


def pss_mb(pids: Iterable[int]) -> float:
    """Return the memory of these trees. Pages that processes share are counted once."""
    total = 0
    for process in tree(pids):
        with contextlib.suppress(psutil.NoSuchProcess, psutil.AccessDenied):
            total += process.memory_full_info().pss
    return total / 2**20
