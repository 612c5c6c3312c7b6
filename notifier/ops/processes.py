"""Several programs run as one: started in order, their output in one stream, stopped in reverse order.

Each has a session of its own, so that a terminal's Ctrl-C reaches this process alone and it can stop them in order. A
program that ends unexpectedly is started again; one that keeps ending stops everything. If this process is killed, the
kernel signals the programs (Linux).
"""

import contextlib
import os
import selectors
import signal
import subprocess
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from functools import partial
from typing import IO

from jobs.cluster.child_process import TICK, Child, StopRequests, follow_parent

MAX_DEATHS, DEATHS_SECONDS = 3, 60.0  # a program that ended so often in so many seconds is not started again


@dataclass
class Program:
    """A program to run."""

    name: str
    """Printed before each of its lines."""
    command: Sequence[str]
    """The program and its arguments."""
    grace: float
    """Seconds that it has to end after SIGTERM."""
    child: Child | None = None
    output: IO[bytes] | None = None
    """The pipe from which its lines are read."""
    unfinished: bytes = b""
    """The start of a line that is not complete."""
    deaths: list[float] = field(default_factory=list)
    """time.monotonic() of the times that it ended unexpectedly."""

    @property
    def running(self) -> bool:
        return self.child is not None and self.child.running


def shown_lines(name: str, lines: Sequence[bytes], hides: Callable[[str, bytes], bool] | None) -> list[bytes]:
    """Return the lines of the named program that are printed. hides: see `Processes`."""
    return [line for line in lines if hides is None or not hides(name, line)]


class Processes:
    """Runs programs until SIGINT, SIGTERM or SIGHUP; a second signal, or the end of a program's grace time, kills.

    out: receives their lines. tick: called about ten times a second while they run. hides: returns whether a line of
    the named program is left out.
    """

    def __init__(
        self,
        programs: Sequence[Program],
        out: IO[bytes],
        tick: Callable[[], None] = lambda: None,
        hides: Callable[[str, bytes], bool] | None = None,
    ) -> None:
        self.programs, self.out, self.tick, self.hides = programs, out, tick, hides
        self.width = max(len(program.name) for program in programs)
        self.selector = selectors.DefaultSelector()
        self.stop_requests = StopRequests()
        self.failed = False

    def run(self) -> int:
        """Run the programs.

        Returns the exit code: 0 when all ended in order, 1 when one kept ending or had to be killed.
        """
        self.stop_requests.count_signals(signal.SIGINT, signal.SIGTERM, signal.SIGHUP)
        try:
            for program in self.programs:
                self._start(program)
            while not self.stop_requests and not self.failed:
                self._forward_output()
                self._restart_ended()
                self.tick()
        finally:
            for program in reversed(self.programs):
                self._stop(program)
        return int(self.failed)

    def say(self, text: str) -> None:
        """Print a line of this process between those of the programs."""
        self._write("run", text.encode())

    def _start(self, program: Program) -> None:
        process = subprocess.Popen(  # noqa: S603
            program.command,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            env={**os.environ, "PYTHONUNBUFFERED": "1"},
            start_new_session=True,
            preexec_fn=partial(follow_parent, os.getpid(), signal.SIGTERM),
        )
        assert process.stdout  # noqa: S101
        program.child, program.output = Child(process), process.stdout
        os.set_blocking(process.stdout.fileno(), False)
        self.selector.register(process.stdout, selectors.EVENT_READ, program)

    def _restart_ended(self) -> None:
        for program in self.programs:
            if program.running or self.failed or self.stop_requests:
                continue
            self._clean_up(program)
            now = time.monotonic()
            program.deaths = [at for at in program.deaths if now - at < DEATHS_SECONDS] + [now]
            how = f"{program.name} ended unexpectedly (exit code {program.child and program.child.exit_code})"
            if len(program.deaths) >= MAX_DEATHS:
                self.failed = True
                self.say(f"{how} {MAX_DEATHS} times in a minute: stopping everything. Its last lines above say why.")
            else:
                self.say(f"{how}: starting it again")
                time.sleep(1)
                self._start(program)

    def _stop(self, program: Program) -> None:
        """End a program in order, or kill it when its grace time is over.

        SIGTERM goes to its main process alone, SIGKILL to its group.
        """
        if program.child and program.running:
            self.say(f"stopping {program.name}")
            if not program.child.stop(program.grace, self.stop_requests, self._forward_while_stopping):
                self.failed = True
                self.say(f"{program.name} did not end in time: killed")
        self._clean_up(program)

    def _forward_while_stopping(self, _since: float) -> bool:
        self._forward_output()
        return False

    def _clean_up(self, program: Program) -> None:
        """Kill what is left of a program's group, and print its last lines."""
        if program.child is None or program.output is None:
            return
        program.child.kill_group()
        self._read(program)
        self.selector.unregister(program.output)
        program.output.close()
        program.output = None

    def _forward_output(self) -> None:
        ready = self.selector.select(TICK)
        for key, _ in ready:
            if not self._read(key.data):
                time.sleep(TICK / 10)  # it closed its output and will have ended soon

    def _read(self, program: Program) -> bool:
        """Print the lines that a program has written.

        Returns False at the end of its output.
        """
        if program.output is None:
            return False
        written = b""
        with contextlib.suppress(BlockingIOError):
            written = os.read(program.output.fileno(), 65536)
        *lines, program.unfinished = (program.unfinished + written).split(b"\n")
        for line in shown_lines(program.name, lines, self.hides):
            self._write(program.name, line)
        return bool(written)

    def _write(self, name: str, line: bytes) -> None:
        with contextlib.suppress(OSError):  # the terminal is closed: go on, and stop in order
            self.out.write(f"{name:<{self.width}} | ".encode() + line.rstrip(b"\r") + b"\n")
            self.out.flush()
