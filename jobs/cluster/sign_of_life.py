"""The sign of life of a supervisor: systemd's watchdog and a file for probes, both without a database and HTTP."""

import socket
import time
from contextlib import suppress
from pathlib import Path

SECONDS = 1.0  # between two signs


class SignOfLife:
    """Says that the supervisor's loop is running, at most once in SECONDS. A sign that cannot be given is skipped.

    file: holds time.monotonic() of the last sign, which all processes of a machine share; "" for none. notify_socket:
    that of systemd (sd_notify), whose WatchdogSec ends a supervisor without signs; "" outside systemd.
    """

    def __init__(self, file: str, notify_socket: str) -> None:
        self._file, self._socket = file, notify_socket
        self._next = 0.0

    def __call__(self) -> None:
        """Give the sign if it is due."""
        now = time.monotonic()
        if now < self._next:
            return
        self._next = now + SECONDS
        with suppress(OSError):
            if self._file:
                Path(self._file).write_text(f"{now:.1f}\n")
        with suppress(OSError):
            if self._socket:
                self._notify(b"READY=1\nWATCHDOG=1")

    def _notify(self, state: bytes) -> None:
        address = "\0" + self._socket[1:] if self._socket.startswith("@") else self._socket
        with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM | socket.SOCK_CLOEXEC) as sender:
            sender.setblocking(False)
            sender.sendto(state, address)
