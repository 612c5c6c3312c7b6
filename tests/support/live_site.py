"""The site as real processes on the database of a test: gunicorn, and the worker when it is asked for."""

import http.client
import json
import os
import signal
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from types import TracebackType
from typing import Any, NamedTuple, Self

from django.db import connection

from tests.support.ports import free_port
from tests.support.postgres import die_with_parent

ROOT = Path(__file__).resolve().parents[2]


class Answer(NamedTuple):
    status: int
    headers: http.client.HTTPMessage
    raw: bytes

    @property
    def body(self) -> Any:
        return json.loads(self.raw)


def database_url() -> str:
    """The DATABASE_URL of the database this test has."""
    at = connection.settings_dict
    if connection.vendor == "sqlite":
        return f"sqlite:///{at['NAME']}"
    password = f":{at['PASSWORD']}" if at["PASSWORD"] else ""
    return f"postgres://{at['USER']}{password}@{at['HOST'] or '127.0.0.1'}:{at['PORT'] or 5432}/{at['NAME']}"


class LiveSite:
    """gunicorn on a free port, ready to answer; a context manager. environment: what differs from the tests' own."""

    def __init__(self, *, worker: bool = False, workers: int = 2, threads: int = 4, **environment: str) -> None:
        self.port = free_port()
        self.url = f"http://127.0.0.1:{self.port}"
        self.environment = {**os.environ, "DATABASE_URL": database_url(), "SITE_URL": self.url, **environment}
        gunicorn = ["-m", "gunicorn", "notifier.wsgi", "--bind", f"127.0.0.1:{self.port}"]
        self.commands = [[*gunicorn, "--workers", str(workers), "--threads", str(threads)]]
        if worker:
            self.commands.append(["manage.py", "qcluster"])
        self.processes: list[subprocess.Popen[bytes]] = []

    def __enter__(self) -> Self:
        self.output = tempfile.TemporaryFile()
        for command in self.commands:
            self.processes.append(
                subprocess.Popen(
                    [sys.executable, *command],
                    cwd=ROOT,
                    env=self.environment,
                    stdout=self.output,
                    stderr=self.output,
                    start_new_session=True,
                    preexec_fn=die_with_parent,
                )
            )
        self._wait()
        return self

    def __exit__(self, kind: type[BaseException] | None, _: Any, trace: TracebackType | None) -> None:
        for process in self.processes:
            process.send_signal(signal.SIGTERM)
        for process in self.processes:
            process.wait(40)
        self.output.close()

    @property
    def log(self) -> str:
        """All that the processes have said."""
        self.output.flush()
        return os.pread(self.output.fileno(), 50_000_000, 0).decode("utf-8", "replace")

    def call(self, method: str, path: str, body: Any = None, key: str | None = None, **headers: str) -> Answer:
        """One request on a connection of its own. body: bytes as they are, or what becomes JSON."""
        headers = {name.replace("_", "-"): value for name, value in headers.items()}
        if key:
            headers["Authorization"] = f"Bearer {key}"
        if body is not None and not isinstance(body, bytes):
            body = json.dumps(body).encode()
        if body is not None:
            headers.setdefault("Content-Type", "application/json")
        client = http.client.HTTPConnection("127.0.0.1", self.port, timeout=30)
        try:
            client.request(method, path, body, headers)
            answer = client.getresponse()
            return Answer(answer.status, answer.headers, answer.read())
        finally:
            client.close()

    def _wait(self) -> None:
        until = time.monotonic() + 60
        while time.monotonic() < until and all(process.poll() is None for process in self.processes):
            try:
                if self.call("GET", "/healthz").status == 200:
                    return
            except OSError:
                time.sleep(0.1)
        raise RuntimeError(f"the site did not start:\n{self.log[-3000:]}")
