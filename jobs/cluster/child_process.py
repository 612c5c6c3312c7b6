"""Child processes that a parent supervises: each in a process group of its own, and dead when its parent is.

A parent signals a child alone, never its group: a child stops its own children in order (django-q2 issue #346).
Only SIGKILL goes to the group.
"""

import contextlib
import ctypes
import os
import signal
import sys
import time
import traceback
from collections.abc import Callable
from types import FrameType
from typing import ClassVar, Protocol

PR_SET_PDEATHSIG = 1  # linux/prctl.h
TICK = 0.1  # seconds between two looks at a child
KILL_SECONDS = 5.0  # after SIGKILL

_prctl = ctypes.CDLL(None, use_errno=True).prctl if sys.platform.startswith("linux") else None


class StopRequests:
    """Counts the signals that ask this process to stop: the second one ends every grace time."""

    def __init__(self) -> None:
        self.count = 0

    def __bool__(self) -> bool:
        return self.count > 0

    def count_signals(self, *signums: signal.Signals) -> None:
        """Handle these signals from now on, to the end of this process."""
        for signum in signums:
            signal.signal(signum, self._count)

    def _count(self, _signum: int, _frame: FrameType | None) -> None:
        self.count += 1


class Process(Protocol):
    """A child process, as `subprocess.Popen` has it."""

    pid: int

    def poll(self) -> int | None:
        """Return its exit code; None while it is running."""


class ForkedProcess:
    """A forked child process that calls a function and exits.

    multiprocessing does not do: it leaks four files with each refused fork, waits for its children when the parent
    exits, and knows nothing of the children that PID 1 inherits. Raises OSError when the kernel refuses the fork.
    """

    _exit_codes: ClassVar[dict[int, int]] = {}
    """Of the children of this process that have ended."""

    def __init__(self, target: Callable[[], None]) -> None:
        sys.stdout.flush()
        sys.stderr.flush()
        self.pid = os.fork()
        if self.pid == 0:
            _exit_after(target)
        self._exit_codes.pop(self.pid, None)  # of an earlier process with this id

    def poll(self) -> int | None:
        """Return its exit code; negative for a signal, None while it is running."""
        if self.pid not in self._exit_codes:
            self._exit_codes.update(_reap(self.pid))
        return self._exit_codes.get(self.pid)


def _exit_after(target: Callable[[], None]) -> None:
    """Call `target` in a forked child, and end the child."""
    code = 1
    try:
        target()
        code = 0
    except SystemExit as ended:
        code = ended.code if isinstance(ended.code, int) else 1
    except BaseException:
        traceback.print_exc()
    finally:
        with contextlib.suppress(OSError, ValueError):
            sys.stdout.flush()
            sys.stderr.flush()
        os._exit(code)


def _reap(pid: int) -> dict[int, int]:
    """Return the exit codes of children that have ended, by pid.

    As PID 1, a container's first process, those are also the processes that others left behind; else `pid` alone.
    """
    found = {}
    with contextlib.suppress(ChildProcessError):  # there is none
        while (ended := os.waitpid(-1 if os.getpid() == 1 else pid, os.WNOHANG))[0]:
            found[ended[0]] = os.waitstatus_to_exitcode(ended[1])
    return found


class Child:
    """A child process that leads a process group."""

    def __init__(self, process: Process) -> None:
        self._process = process
        self.pid = process.pid

    @property
    def running(self) -> bool:
        return self.exit_code is None

    @property
    def exit_code(self) -> int | None:
        """The exit code; negative for a signal, None while the process is running."""
        return self._process.poll()

    def stop(self, grace: float, requests: StopRequests, wait: Callable[[float], bool]) -> bool:
        """Ask the process to end, and wait for it.

        Returns False when it must be killed. grace: seconds that it has. requests: one more of them ends the grace
        time. wait: called with the seconds since the signal until the process has ended; takes about TICK; returns
        True when it need not be waited for.
        """
        self._signal(signal.SIGTERM)
        began, asked = time.monotonic(), max(1, requests.count)
        while self.running and (since := time.monotonic() - began) < grace and requests.count <= asked:
            if wait(since):
                return True
        return not self.running

    def kill_group(self) -> None:
        """Kill every process of the group, and wait for this one.

        Not for longer than KILL_SECONDS: the kernel cannot end a process that waits for a stuck disk.
        """
        with contextlib.suppress(ProcessLookupError, PermissionError):
            os.killpg(self.pid, signal.SIGKILL)
        self._signal(signal.SIGKILL)  # it may not lead a group yet
        until = time.monotonic() + KILL_SECONDS
        while self.running and time.monotonic() < until:
            time.sleep(TICK / 10)

    def _signal(self, signum: signal.Signals) -> None:
        if self.running:
            with contextlib.suppress(ProcessLookupError):
                os.kill(self.pid, signum)


def wait_tick(_since: float) -> bool:
    """Wait for TICK: for `Child.stop`."""
    time.sleep(TICK)
    return False


def set_parent_death_signal(signum: signal.Signals) -> None:
    """Have the kernel send `signum` to this process when its parent dies. Linux only."""
    if _prctl is not None:
        _prctl(PR_SET_PDEATHSIG, signum)


def follow_parent(parent: int, signum: signal.Signals) -> None:
    """Have the kernel send `signum` to this process when its parent dies.

    Ends this process now if `parent` is dead already. Linux only.
    """
    set_parent_death_signal(signum)
    if sys.platform.startswith("linux") and os.getppid() != parent:  # it died before we asked
        os._exit(1)


def kill_forks_with_parent() -> None:
    """Have every process below this one killed when its parent dies.

    Applies to processes that are forked from now on. Linux only.
    """
    parent = 0

    def remember_parent() -> None:
        nonlocal parent
        parent = os.getpid()

    os.register_at_fork(before=remember_parent, after_in_child=lambda: follow_parent(parent, signal.SIGKILL))


def living_members(group: int) -> list[int] | None:
    """Return the living processes of a group; None where /proc cannot be asked."""
    found = []
    try:
        entries = [*os.scandir("/proc/self/..")]
    except OSError:  # another system than Linux, or no file is left
        return None
    for entry in entries:
        if not entry.name.isdigit():
            continue
        try:
            with open(f"/proc/{entry.name}/stat", "rb") as stat:  # noqa: PTH123
                state, _parent, its_group = stat.read().rpartition(b")")[2].split()[:3]
        except OSError:
            continue
        if int(its_group) == group and state != b"Z":
            found.append(int(entry.name))
    return found
