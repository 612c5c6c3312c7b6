"""Several programs run as one: started in order, their output in one stream, stopped in the reverse order.

Each has a session of its own, so that a terminal's Ctrl-C reaches this process alone and it can stop them in order.
A program that ends by itself is started again; one that keeps ending ends everything. Should this process be killed,
Linux tells its programs to stop (PR_SET_PDEATHSIG).
"""

import contextlib
import ctypes
import os
import selectors
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from types import FrameType
from typing import IO

PR_SET_PDEATHSIG = 1  # linux/prctl.h
TICK = 0.1
DEATHS, WITHIN = 3, 60.0  # so many in so many seconds, and starting it again is no use


@dataclass
class Program:
    """name: shown before each of its lines. command: program and arguments. grace: seconds it has to end in."""

    name: str
    command: Sequence[str]
    grace: float
    process: subprocess.Popen[bytes] | None = None
    deaths: list[float] = field(default_factory=list)
    unfinished: bytes = b""

    @property
    def running(self) -> bool:
        return self.process is not None and self.process.poll() is None


class Processes:
    """Runs programs until SIGINT, SIGTERM or SIGHUP; a second signal, or the end of a program's grace time, kills.

    out: where their lines go. tick: called about ten times a second while they run.
    """

    def __init__(self, programs: Sequence[Program], out: IO[bytes], tick: Callable[[], None] = lambda: None) -> None:
        self.programs, self.out, self.tick = programs, out, tick
        self.width = max(len(program.name) for program in programs)
        self.selector = selectors.DefaultSelector()
        self.asked_to_stop = 0
        self.failed = False

    def run(self) -> int:
        """The exit code: 0 when all ended in good order, 1 when one kept dying or had to be killed."""
        before = {signum: signal.signal(signum, self._ask_to_stop) for signum in (signal.SIGINT, signal.SIGTERM)}
        before[signal.SIGHUP] = signal.signal(signal.SIGHUP, self._ask_to_stop)
        try:
            for program in self.programs:
                self._start(program)
            while not self.asked_to_stop and not self.failed:
                self._pass_on_output()
                self._replace_the_dead()
                self.tick()
        finally:
            for program in reversed(self.programs):
                self._stop(program)
            for signum, handler in before.items():
                signal.signal(signum, handler)
        return int(self.failed)

    def say(self, text: str) -> None:
        """A line of this process's own among those of the programs."""
        self._write("run", text.encode())

    def _ask_to_stop(self, _signum: int, _frame: FrameType | None) -> None:
        self.asked_to_stop += 1

    def _start(self, program: Program) -> None:
        program.process = subprocess.Popen(  # noqa: S603
            program.command,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            env={**os.environ, "PYTHONUNBUFFERED": "1"},
            start_new_session=True,
            preexec_fn=_end_with(os.getpid()),
        )
        assert program.process.stdout  # noqa: S101
        os.set_blocking(program.process.stdout.fileno(), False)
        self.selector.register(program.process.stdout, selectors.EVENT_READ, program)

    def _replace_the_dead(self) -> None:
        for program in self.programs:
            if program.running or self.failed or self.asked_to_stop:
                continue
            self._forget(program)
            now = time.monotonic()
            program.deaths = [at for at in program.deaths if now - at < WITHIN] + [now]
            how = f"{program.name} ended by itself (exit code {program.process and program.process.returncode})"
            if len(program.deaths) >= DEATHS:
                self.failed = True
                self.say(f"{how} {DEATHS} times in a minute: stopping everything. Its last lines above say why.")
            else:
                self.say(f"{how}: starting it again")
                time.sleep(1)
                self._start(program)

    def _stop(self, program: Program) -> None:
        """SIGTERM to its main process alone; SIGKILL to all of its group when it does not end."""
        if program.running:
            self.say(f"stopping {program.name}")
            self._signal(program, signal.SIGTERM)
            asked, until = self.asked_to_stop, time.monotonic() + program.grace
            while program.running and time.monotonic() < until and self.asked_to_stop <= max(1, asked):
                self._pass_on_output()
            if program.running:
                self.failed = True
                self.say(f"{program.name} did not end in time: killed")
        self._forget(program)

    def _forget(self, program: Program) -> None:
        """Kills what is left of its group and passes its last lines on."""
        stream = program.process.stdout if program.process else None
        if program.process is None or stream is None or stream.closed:
            return
        with contextlib.suppress(ProcessLookupError, PermissionError):
            os.killpg(program.process.pid, signal.SIGKILL)
        program.process.wait()
        self._read(program)
        self.selector.unregister(stream)
        stream.close()

    def _signal(self, program: Program, signum: int) -> None:
        with contextlib.suppress(ProcessLookupError):
            os.kill(program.process.pid if program.process else 0, signum)

    def _pass_on_output(self) -> None:
        ready = self.selector.select(TICK)
        for key, _ in ready:
            if not self._read(key.data):
                time.sleep(TICK / 10)  # it closed its output; its end is seen in a moment

    def _read(self, program: Program) -> bool:
        """Passes on what the program has said; False at the end of its output."""
        stream = program.process.stdout if program.process else None
        if stream is None:
            return False
        said = b""
        with contextlib.suppress(BlockingIOError):
            said = os.read(stream.fileno(), 65536)
        *lines, program.unfinished = (program.unfinished + said).split(b"\n")
        for line in lines:
            self._write(program.name, line)
        return bool(said)

    def _write(self, name: str, line: bytes) -> None:
        with contextlib.suppress(OSError):  # the terminal is gone: go on, and stop in order
            self.out.write(f"{name:<{self.width}} | ".encode() + line.rstrip(b"\r") + b"\n")
            self.out.flush()


def _end_with(parent: int) -> Callable[[], None] | None:
    """For `preexec_fn`: the new process is told to stop when process `parent` dies. Linux; elsewhere nothing."""
    if not sys.platform.startswith("linux"):
        return None
    prctl = ctypes.CDLL(None).prctl

    def follow() -> None:
        prctl(PR_SET_PDEATHSIG, signal.SIGTERM)
        if os.getppid() != parent:
            os._exit(1)

    return follow
