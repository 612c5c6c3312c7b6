"""TCP ports for the servers of tests. Each is given once in a run, so that no other test's server is taken for it."""

import fcntl
import os
import random
import socket
import tempfile
from pathlib import Path

PORTS = range(20_000, 32_000)  # below those that the kernel gives to outgoing connections


def free_port() -> int:
    """A TCP port of 127.0.0.1 on which no process listens now, and which no other call of this run returns."""
    while not _is_free(port := _next_port()):
        pass
    return port


def _next_port() -> int:
    """The port after the one that any process of this run was given last."""
    given = Path(os.environ.get("NOTIFIER_TESTS", tempfile.gettempdir()), "notifier-ports")
    with given.open("a+") as file:
        fcntl.flock(file, fcntl.LOCK_EX)
        file.seek(0)
        last = int(file.read() or random.choice(PORTS))
        port = PORTS[(PORTS.index(last) + 1) % len(PORTS)]
        file.truncate(0)
        file.write(str(port))
    return port


def _is_free(port: int) -> bool:
    with socket.socket() as probe:
        try:
            probe.bind(("127.0.0.1", port))
        except OSError:
            return False
    return True
