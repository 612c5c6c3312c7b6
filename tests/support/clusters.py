"""A qcluster from outside: its processes by their part, so that a test can kill any one of them."""

import os
import signal
import subprocess
from collections import Counter
from collections.abc import Sequence
from pathlib import Path

import psutil

from tests.support.machine import eventually
from tests.support.postgres import die_with_parent
from tests.support.site import MANAGE, ROOT, START_SECONDS

PARTS = ("worker", "idle worker", "busy worker", "pusher", "monitor", "sentinel", "main", "watchdog", "supervisor")


class Qcluster:
    """One `manage.py qcluster`, started with `environment`; what it prints goes to `log`."""

    def __init__(
        self, environment: dict[str, str], log: Path, *arguments: str, manage: Sequence[str | Path] = MANAGE
    ) -> None:
        with log.open("ab") as out:
            self.process = subprocess.Popen(
                [*manage, "qcluster", *arguments],
                cwd=ROOT,
                env=environment,
                stdin=subprocess.DEVNULL,
                stdout=out,
                stderr=subprocess.STDOUT,
                start_new_session=True,
                preexec_fn=die_with_parent,
            )
        self.log = log

    @property
    def pid(self) -> int:
        return self.process.pid

    def processes(self) -> list[psutil.Process]:
        """Every process of it that lives."""
        try:
            supervisor = psutil.Process(self.pid)
            return [supervisor, *supervisor.children(recursive=True)]
        except psutil.NoSuchProcess:
            return []

    def find(self, part: str) -> list[int]:
        """The pids of a part (PARTS), oldest first."""
        return [process.pid for process in self.processes() if part in self._parts(process)]

    def _parts(self, process: psutil.Process) -> set[str]:
        try:
            title, parent = " ".join(process.cmdline()).strip(), process.ppid()
            group = os.getpgid(process.pid)
        except (psutil.NoSuchProcess, psutil.ZombieProcess, ProcessLookupError):
            return set()
        if process.pid == self.pid:
            return {"supervisor"}
        if parent == self.pid:
            return {"main"} if " watchdog" not in title else {"watchdog"}
        if parent == group:
            return {"sentinel"}
        ends = {" idle": {"worker", "idle worker"}, " pusher": {"pusher"}, " monitor": {"monitor"}}
        for end, parts in ends.items():
            if title.endswith(end):
                return parts
        return {"worker", "busy worker"} if " processing " in title else set()

    def ready(self, workers: int = 2) -> None:
        """Waits until all of its processes are there: with two workers or more, also the reserved one."""
        all_workers = workers + (workers > 1)
        eventually(lambda: self._is_whole(all_workers), START_SECONDS, pause=0.3)  # a look reads every process here

    def _is_whole(self, workers: int) -> bool:
        found = Counter(part for process in self.processes() for part in self._parts(process))
        return found["worker"] == workers and bool(found["pusher"] and found["monitor"])

    def kill(self, part: str, signum: int = signal.SIGKILL) -> int:
        """Signals every process of a part; how many there were."""
        found = self.find(part)
        for pid in found:
            try:
                os.kill(pid, signum)
            except ProcessLookupError:
                continue
        return len(found)

    def kill_everything(self) -> None:
        """SIGKILL to all of it together, as the kernel out of memory or a lost machine would."""
        for process in self.processes():
            try:
                process.kill()
            except psutil.NoSuchProcess:
                continue
        self.process.wait(10)

    def end(self, seconds: float = 60) -> int:
        """SIGTERM; its exit code."""
        self.process.terminate()
        return self.process.wait(seconds)
