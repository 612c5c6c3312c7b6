"""TCP ports for the servers of tests. Each is given once in a run, so that no other test's server is taken for it."""

import fcntl
import os
import random
import socket
import tempfile
from pathlib import Path

PORTS = range(20_000, 32_000)  # below those that the kernel gives to outgoing connections


def free_port(*, beside: int = 0) -> int:
    """A TCP port of 127.0.0.1 on which no process listens now, and which no other call of this run returns.

    beside: how many of the ports after it are its caller's too.
    """
    while True:
        port = _next_ports(1 + beside)
        if all(_is_free(each) for each in range(port, port + 1 + beside)):
            return port


def _next_ports(count: int) -> int:
    """The first of the `count` ports after those that any process of this run was given last."""
    given = Path(os.environ.get("NOTIFIER_TESTS", tempfile.gettempdir()), "notifier-ports")
    with given.open("a+") as file:
        fcntl.flock(file, fcntl.LOCK_EX)
        file.seek(0)
        next_one = int(file.read() or random.choice(PORTS)) + 1
        port = next_one if next_one + count <= PORTS.stop else PORTS.start
        file.truncate(0)
        file.write(str(port + count - 1))
    return port


def _is_free(port: int) -> bool:
    with socket.socket() as probe:
        try:
            probe.bind(("127.0.0.1", port))
        except OSError:
            return False
    return True
