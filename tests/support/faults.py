"""Faults of servers and networks that a test or the chaos run causes and ends: each is a context manager.

    with stopped(server.process): ...                silent, but alive (SIGSTOP of the whole process tree)
    with locked_table(server.url("site"), "job_logs"): ...
    with read_only(server): ...                      every transaction is read-only (SQLSTATE 25006)
    with connections_taken(server): ...              no connection is left (53300)
    with standby_of(server) as standby: ...          a real hot standby; `standby.promote()`
    with Switch(server.port) as switch: ...          one address for two servers; `switch.point_to(standby.port)`
    with own_network(), packets_dropped(port): ...   packets vanish, in a network namespace of this thread's own

`own_network` and `packets_dropped` need root, Linux and iptables.
"""

import ctypes
import fcntl
import os
import shutil
import signal
import socket
import struct
import subprocess
import threading
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from types import TracebackType
from typing import Self

import psutil
import psycopg
import redis

from tests.support.postgres import Postgres, connect

CLONE_NEWNET = 0x40000000
SIOCSIFFLAGS, IFF_UP = 0x8914, 0x1
REPLICATION = {"wal_level": "replica", "max_wal_senders": "5", "hot_standby": "on"}
"""Options of a `Postgres` that is to have a standby; PostgreSQL's defaults, but for nothing to depend on them."""


@contextmanager
def stopped(process: "subprocess.Popen[bytes] | psutil.Process | int") -> Iterator[None]:
    """SIGSTOP a process and all of its descendants, parents first; SIGCONT at the end."""
    pid = process if isinstance(process, int) else process.pid
    halted: list[int] = []
    try:
        _stop_tree(pid, halted)
        yield
    finally:
        for one in reversed(halted):
            with suppress(ProcessLookupError):
                os.kill(one, signal.SIGCONT)


def _stop_tree(pid: int, halted: list[int]) -> None:
    """Stop a process before its children are listed: a stopped parent forks no more."""
    with suppress(ProcessLookupError, psutil.NoSuchProcess):
        os.kill(pid, signal.SIGSTOP)
        halted.append(pid)
        for child in psutil.Process(pid).children():
            _stop_tree(child.pid, halted)


def redis_pid(url: str) -> int:
    """The process id of the Redis at `url`, for `stopped`."""
    with redis.Redis.from_url(url) as client:
        return int(client.info("server")["process_id"])


@contextmanager
def locked_table(url: str, *tables: str) -> Iterator[None]:
    """Hold an ACCESS EXCLUSIVE lock, as ALTER TABLE and VACUUM FULL do. url: of the database."""
    with connect(url) as connection, connection.transaction(force_rollback=True):
        connection.execute(f"LOCK TABLE {', '.join(tables)} IN ACCESS EXCLUSIVE MODE".encode())
        yield


@contextmanager
def read_only(server: Postgres) -> Iterator[None]:
    """Make every transaction of the server read-only, those of open connections included."""
    server.execute("ALTER SYSTEM SET default_transaction_read_only = on")
    server.execute("SELECT pg_reload_conf()")
    try:
        yield
    finally:
        server.execute("ALTER SYSTEM RESET default_transaction_read_only")
        server.execute("SELECT pg_reload_conf()")


@contextmanager
def connections_taken(server: Postgres) -> Iterator[None]:
    """End all connections of other clients and take every one that the server has."""
    taken: list[psycopg.Connection] = []
    try:
        first = connect(server.url())
        taken.append(first)
        for _ in range(3):  # a client may be quicker than we are
            _take_all(server, taken)
            ours = [connection.info.backend_pid for connection in taken]
            first.execute(
                "SELECT pg_terminate_backend(pid) FROM pg_stat_activity"
                " WHERE backend_type = 'client backend' AND NOT pid = ANY(%s)",
                [ours],
            )
        _take_all(server, taken)
        yield
    finally:
        for connection in taken:
            connection.close()


def _take_all(server: Postgres, taken: list[psycopg.Connection]) -> None:
    with suppress(psycopg.OperationalError):
        while True:
            taken.append(psycopg.connect(server.url(), autocommit=True, connect_timeout=5))


class Standby(Postgres):
    """A hot standby of a running server, by pg_basebackup and streaming replication. `start` makes it answer reads."""

    def __init__(self, primary: Postgres, **options: str) -> None:
        self.primary = primary
        super().__init__(**{**primary.options, **options})

    def promote(self) -> None:
        """Make it a primary; returns when it accepts writes."""
        self.execute("SELECT pg_promote(true, 60)")

    def replayed(self) -> bool:
        """Whether it has replayed all that the primary has written."""
        with psycopg.connect(self.primary.url()) as primary, psycopg.connect(self.url()) as own:
            written = primary.execute("SELECT pg_current_wal_insert_lsn()::text").fetchone()
            behind = own.execute("SELECT pg_wal_lsn_diff(%s, pg_last_wal_replay_lsn()) <= 0", written).fetchone()
            return behind == (True,)

    def create_data(self) -> None:
        self.bin = self._reachable(self.primary.bin)
        if self.user:
            shutil.chown(self.folder, self.user)
        source = f"host=127.0.0.1 port={self.primary.port} user=postgres"
        self._run("pg_basebackup", "-D", str(self.data), "-d", source, "-R", "-X", "stream", "-c", "fast")


@contextmanager
def standby_of(primary: Postgres, **options: str) -> Iterator[Standby]:
    """A started standby of `primary`, which must be running; removed at the end."""
    with Standby(primary, **options) as standby:
        yield standby


class Switch:
    """A TCP address that forwards to a port: a virtual address that moves to another server.

    with Switch(server.port) as switch:
        url = f"postgres://postgres@127.0.0.1:{switch.port}/name"
        switch.point_to(standby.port)     # new connections go there; `cut=True` ends the open ones

    `silent()` keeps the connections and forwards nothing: not what a network without packets does, since the kernel
    still acknowledges them (`packets_dropped` does that).
    """

    def __init__(self, target: int) -> None:
        self.target = target
        self._listener = socket.create_server(("127.0.0.1", 0), backlog=128)
        self.port: int = self._listener.getsockname()[1]
        self._pairs: set[tuple[socket.socket, socket.socket]] = set()
        self._lock = threading.Lock()
        self._flowing = threading.Event()
        self._flowing.set()

    def point_to(self, target: int, *, cut: bool = True) -> None:
        """Forward new connections to another port."""
        self.target = target
        if cut:
            self.cut()

    def cut(self) -> None:
        """End every open connection."""
        with self._lock:
            pairs, self._pairs = self._pairs, set()
        for pair in pairs:
            _close(*pair)

    @contextmanager
    def silent(self) -> Iterator[None]:
        """Forward nothing."""
        self._flowing.clear()
        try:
            yield
        finally:
            self._flowing.set()

    def __enter__(self) -> Self:
        threading.Thread(target=self._accept, daemon=True).start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, exc: BaseException | None, trace: TracebackType | None
    ) -> None:
        _close(self._listener)
        self._flowing.set()
        self.cut()

    def _accept(self) -> None:
        with suppress(OSError):
            while True:
                client, _ = self._listener.accept()
                threading.Thread(target=self._serve, args=[client], daemon=True).start()

    def _serve(self, client: socket.socket) -> None:
        try:
            server = socket.create_connection(("127.0.0.1", self.target), 5)
        except OSError:
            _close(client)
            return
        server.settimeout(None)
        with self._lock:
            self._pairs.add((client, server))
        threading.Thread(target=self._forward, args=[server, client], daemon=True).start()
        self._forward(client, server)
        with self._lock:
            self._pairs.discard((client, server))

    def _forward(self, source: socket.socket, sink: socket.socket) -> None:
        with suppress(OSError):
            while data := source.recv(65536):
                self._flowing.wait()
                sink.sendall(data)
        _close(source, sink)


def _close(*sockets: socket.socket) -> None:
    for one in sockets:
        with suppress(OSError):
            one.shutdown(socket.SHUT_RDWR)
        one.close()


def can_drop_packets() -> bool:
    """Whether `own_network` and `packets_dropped` work here."""
    return os.geteuid() == 0 and shutil.which("iptables") is not None


@contextmanager
def own_network() -> Iterator[None]:
    """Put this thread into a new network namespace with a loopback of its own, and back at the end.

    What the thread starts meanwhile (processes, threads, sockets) is in it; what was open before stays outside. So
    make a Site before it and start its programs within it; start a Postgres within it.
    """
    libc = ctypes.CDLL(None, use_errno=True)
    before = os.open(f"/proc/self/task/{threading.get_native_id()}/ns/net", os.O_RDONLY | os.O_CLOEXEC)
    try:
        _check(libc.unshare(CLONE_NEWNET))
        with socket.socket() as any_socket:
            fcntl.ioctl(any_socket, SIOCSIFFLAGS, struct.pack("16sh14x", b"lo", IFF_UP))
        yield
        _check(libc.setns(before, CLONE_NEWNET))
    finally:
        libc.setns(before, CLONE_NEWNET)
        os.close(before)


@contextmanager
def packets_dropped(*ports: int) -> Iterator[None]:
    """Drop every packet to and from TCP ports of this network namespace, those of open connections included."""
    rules = [["INPUT", "-p", "tcp", side, str(port), "-j", "DROP"] for port in ports for side in ("--dport", "--sport")]
    added: list[list[str]] = []
    try:
        for rule in rules:
            _iptables("-I", *rule)
            added.append(rule)
        yield
    finally:
        for rule in added:
            _iptables("-D", *rule)


def _iptables(*arguments: str) -> None:
    subprocess.run(["iptables", "-w", *arguments], check=True, capture_output=True)


def _check(result: int) -> None:
    if result:
        number = ctypes.get_errno()
        raise OSError(number, os.strerror(number))
