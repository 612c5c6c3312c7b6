"""The real thing for end-to-end tests: a site with a database, folder and ports of its own, as production has it."""

import os
import shutil
import signal
import subprocess
import sys
import tempfile
import urllib.error
import urllib.request
from email import message_from_bytes, policy
from email.message import EmailMessage
from pathlib import Path
from types import TracebackType
from typing import Self

import psycopg

from tests.support.machine import HERE, eventually
from tests.support.ports import free_port
from tests.support.postgres import die_with_parent
from tests.support.templates import MANAGE, ROOT, collected_static, drop_database, new_database

START_SECONDS = 90  # that a program may take to load on a busy machine


class Site:
    """gunicorn, qcluster and a mail catcher, each started, stopped and killed by its name: web, worker, mail.

        with Site(JOB_LEASE_SECONDS="6") as site:
            site.start("mail", "web", "worker")

    settings: further environment. EMAIL_PORT: of a mail server of the test's own; then "mail" must not be started.
    """

    def __init__(self, **settings: str) -> None:
        self.folder = Path(tempfile.mkdtemp(prefix="site-", dir=os.environ["NOTIFIER_TESTS"]))
        self.port, self.email_port = free_port(), int(settings.get("EMAIL_PORT", free_port()))
        self.url = f"http://{HERE}:{self.port}"
        self.processes: dict[str, subprocess.Popen[bytes]] = {}
        self.environment = {
            **os.environ,
            "VAR_DIR": str(self.folder),
            "DATABASE_URL": new_database(self.folder),
            "PORT": str(self.port),
            "SITE_URL": self.url,
            "ALLOWED_HOSTS": f"localhost,{HERE}",
            "EMAIL_PORT": str(self.email_port),
            "PYTHONUNBUFFERED": "1",
            "PYTHONWARNINGS": "error::PendingDeprecationWarning",  # what Django's next versions remove
            **settings,
        }
        (self.folder / "static").symlink_to(collected_static())

    def start(self, *names: str) -> None:
        """Starts programs and waits until they answer."""
        for name in names:
            with self._log(name).open("ab") as log:
                self.processes[name] = subprocess.Popen(
                    self._command(name),
                    cwd=ROOT,
                    env=self.environment,
                    stdin=subprocess.DEVNULL,
                    stdout=log,
                    stderr=subprocess.STDOUT,
                    start_new_session=True,
                    preexec_fn=die_with_parent,
                )
        if "web" in names:
            eventually(lambda: self._running("web") and self.get("/accounts/login/")[0] == 200, START_SECONDS)
        if "worker" in names:
            eventually(lambda: self._running("worker") and "cluster started" in self.log("worker"), START_SECONDS)
        if "mail" in names:
            eventually(lambda: self._running("mail") and "catching mail" in self.log("mail"), START_SECONDS)

    def stop(self, *names: str) -> dict[str, int]:
        """SIGTERM to programs; their exit codes, by name."""
        for name in names:
            self.processes[name].terminate()
        return {name: self.processes.pop(name).wait(60) for name in names}

    def kill(self, name: str) -> None:
        """SIGKILL to a program's main process."""
        self.processes[name].kill()
        self.processes.pop(name).wait(10)

    def manage(self, *arguments: str, check: bool = True) -> str:
        """What `manage.py` prints, errors included; fails when it fails, unless `check` is off."""
        done = subprocess.run(
            [*MANAGE, *arguments], cwd=ROOT, env=self.environment, capture_output=True, text=True, timeout=120
        )
        assert not (check and done.returncode), done.stdout + done.stderr
        return done.stdout + done.stderr

    def sql(self, statement: str, *values: object) -> list[tuple[object, ...]]:
        """The rows of one statement (PostgreSQL), committed."""
        url = self.environment["DATABASE_URL"].partition("?")[0]
        with psycopg.connect(url, autocommit=True) as connection:
            cursor = connection.execute(statement.encode(), values)
            return cursor.fetchall() if cursor.description else []

    def mails(self) -> list[EmailMessage]:
        """What the catcher has caught, oldest first."""
        files = sorted((self.folder / "mailbox").glob("*.eml"))
        return [message_from_bytes(file.read_bytes(), policy=policy.default) for file in files]

    def get(self, path: str) -> tuple[int, str]:
        """Status and body of a GET; 0 while no server answers."""
        try:
            with urllib.request.urlopen(self.url + path, timeout=10) as answer:
                return answer.status, answer.read().decode()
        except urllib.error.HTTPError as refused:
            with refused:
                return refused.code, refused.read().decode()
        except OSError:
            return 0, ""

    def log(self, name: str) -> str:
        """All that a program has printed."""
        return self._log(name).read_text() if self._log(name).exists() else ""

    def remove(self) -> None:
        """Stops everything immediately, and drops the database."""
        for process in self.processes.values():
            process.send_signal(signal.SIGTERM)
        for process in self.processes.values():
            try:
                process.wait(30)
            except subprocess.TimeoutExpired:
                process.kill()
                process.wait()
        drop_database(self.environment["DATABASE_URL"])
        shutil.rmtree(self.folder, ignore_errors=True)

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, exc: BaseException | None, trace: TracebackType | None
    ) -> None:
        if exc:
            for name in ("web", "worker", "mail"):
                print(f"--- {name}\n{self.log(name)[-5000:]}")  # noqa: T201  (pytest shows it with the failure)
        self.remove()

    def _command(self, name: str) -> list[str]:
        return {
            "web": [sys.executable, "-m", "gunicorn", "notifier.wsgi"],
            "worker": [*MANAGE, "qcluster"],
            "mail": [
                *[sys.executable, "-m", "notifier.dev.catcher"],
                *["--port", str(self.email_port), "--folder", str(self.folder / "mailbox")],
            ],
        }[name]

    def _log(self, name: str) -> Path:
        return self.folder / f"{name}.log"

    def _running(self, name: str) -> bool:
        assert self.processes[name].poll() is None, f"{name} ended:\n{self.log(name)}"
        return True
