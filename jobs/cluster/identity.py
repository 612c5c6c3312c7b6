"""Identities of processes: whether the process of another cluster on this machine has certainly ended.

A process id alone proves nothing: it is used again, and each container counts its own. With the kernel's boot, the
process-id namespace and the start of the process it identifies one process uniquely. Linux only; elsewhere nothing is
certain, and a cluster counts as dead when its heartbeats stop.
"""

import os
import socket
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

STATE, START_TICKS = 0, 19  # fields of /proc/<pid>/stat after the name: fields 3 and 22 of proc(5)
ENDED, UNREADABLE = 0, -1


@dataclass(frozen=True)
class Identity:
    """A process that no other process is ever taken for."""

    host: str
    pid: int
    kernel: str
    """The boot of the machine and the namespace that counts the process ids; "" where unknown."""
    started: int
    """Its start in the kernel's ticks; 0 where unknown."""

    @property
    def name(self) -> str:
        """The name of this process's cluster, which no other cluster has had."""
        return f"{self.host}:{self.pid}:{self.started:x}" if self.started else f"{self.host}:{self.pid}"

    def has_certainly_ended(self) -> bool:
        """Return whether this machine can tell that the process has ended."""
        if not self.kernel or self.kernel != _this_kernel():
            return False
        return _started(self.pid) not in (self.started, UNREADABLE)


def this_process() -> Identity:
    """Return the identity of this process."""
    pid = os.getpid()
    return Identity(socket.gethostname(), pid, _this_kernel(), max(0, _started(pid)))


def _this_kernel() -> str:
    """Return the boot and the namespace of process ids, "" without /proc."""
    with suppress(OSError):
        boot = Path("/proc/sys/kernel/random/boot_id").read_text().strip()
        return f"{boot} {Path('/proc/self/ns/pid').readlink()}"
    return ""


def _started(pid: int) -> int:
    """Return the start of a running process in ticks; ENDED when there is none, or it only waits for its parent."""
    try:
        fields = Path(f"/proc/{pid}/stat").read_bytes().rpartition(b")")[2].split()
    except OSError:  # /proc may hide the processes of other users
        return UNREADABLE if _exists(pid) else ENDED
    return ENDED if fields[STATE] == b"Z" else int(fields[START_TICKS])


def _exists(pid: int) -> bool:
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    except OSError:  # it belongs to another user
        return True
    return True
