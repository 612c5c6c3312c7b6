"""The servers that the contenders use: PostgreSQL as in production, Redis and the mail sink, only for this run."""

import contextlib
import json
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any, TypeVar

import psycopg
import redis

from benchmarks.contenders import ROOT
from tests.support.ports import free_port
from tests.support.postgres import Postgres, die_with_parent

DURABLE = {"fsync": "on", "synchronous_commit": "on", "full_page_writes": "on"}
COUNTING = {"shared_preload_libraries": "pg_stat_statements", "pg_stat_statements.max": "10000"}
# Statements that open or close transactions are counted as commits.
STATEMENTS = """
SELECT coalesce(sum(calls), 0) FROM pg_stat_statements JOIN pg_database ON pg_database.oid = dbid
WHERE datname = %s AND query !~* '^\\s*(begin|commit|rollback|savepoint|release)'
"""
COMMITS = "SELECT xact_commit FROM pg_stat_database WHERE datname = %s"


class Sink:
    """benchmarks/sink.py as a process, and the connection to its control port."""

    def __init__(self) -> None:
        self.port, control = free_port(), free_port()
        command = [sys.executable, "-m", "benchmarks.sink", str(self.port), str(control)]
        self.process = subprocess.Popen(command, cwd=ROOT, preexec_fn=die_with_parent)
        self.control = eventually(lambda: _connected(control)).makefile("rw")

    def request(self, *message: object) -> Any:
        """Send a request to the sink and return its response."""
        self.control.write(json.dumps(message) + "\n")
        self.control.flush()
        return json.loads(self.control.readline())

    def close(self) -> None:
        self.control.close()
        self.process.kill()
        self.process.wait()


@dataclass
class Services:
    """The running servers."""

    postgres: Postgres
    redis: redis.Redis
    redis_url: str
    redis_pid: int
    sink: Sink
    folder: Path  # for logs and files, deleted at the end

    @property
    def pids(self) -> list[int]:
        """The servers whose work is a part of the cost of an email."""
        server = self.postgres.process
        return [self.redis_pid, *([server.pid] if server else [])]

    def sql(self, query: str, *values: object, database: str = "postgres") -> list[tuple[Any, ...]]:
        """Run one statement outside a transaction and return its rows."""
        with psycopg.connect(self.postgres.url(database), autocommit=True) as connection:
            cursor = connection.execute(query.encode(), values or None)
            return cursor.fetchall() if cursor.description else []

    def counts(self, database: str) -> dict[str, int]:
        """Return the counts of the database's statements and commits and of Redis's commands."""
        return {
            "statements": int(self.sql(STATEMENTS, database)[0][0]),
            "commits": int(self.sql(COMMITS, database)[0][0]),
            "commands": int(self.redis.info("stats")["total_commands_processed"]),
        }


@contextlib.contextmanager
def services() -> Iterator[Services]:
    """Start the servers, and stop all of them at the end or after SIGTERM."""
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(128 + signal.SIGTERM))
    with contextlib.ExitStack() as stack:
        folder = Path(tempfile.mkdtemp(prefix="bench-", dir="/tmp"))
        stack.callback(shutil.rmtree, folder, ignore_errors=True)
        postgres = stack.enter_context(Postgres(**DURABLE, **COUNTING))
        postgres.execute("CREATE EXTENSION pg_stat_statements")
        sink = Sink()
        stack.callback(sink.close)
        port = free_port()
        server = _redis(port)
        stack.callback(server.wait)
        stack.callback(server.terminate)
        url = f"redis://127.0.0.1:{port}/0"
        yield Services(postgres, redis.Redis.from_url(url), url, server.pid, sink, folder)


def _redis(port: int) -> subprocess.Popen[bytes]:
    program = shutil.which("redis-server")
    if program is None:
        raise FileNotFoundError("no Redis: apt-get install redis-server")
    command = [program, "--bind", "127.0.0.1", "--port", str(port), "--save", "", "--appendonly", "no", "--dir", "/tmp"]  # noqa: S108
    server = subprocess.Popen(command, stdout=subprocess.DEVNULL, preexec_fn=die_with_parent)
    eventually(lambda: _connected(port)).close()
    return server


def _connected(port: int) -> socket.socket | None:
    with contextlib.suppress(ConnectionRefusedError):
        return socket.create_connection(("127.0.0.1", port))
    return None


T = TypeVar("T")


def eventually(found: Callable[[], T | None], seconds: float = 30) -> T:
    """Call `found` until its result is true, and return that. Raises TimeoutError after `seconds`."""
    until = time.monotonic() + seconds
    while not (value := found()):
        if time.monotonic() > until:
            raise TimeoutError(f"still {value!r} after {seconds} s")
        time.sleep(0.02)
    return value
