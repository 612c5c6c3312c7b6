"""`manage.py run`, used by `make run`: the whole site on this machine, until Ctrl-C."""

import contextlib
import http.client
import os
import re
import secrets
import socket
import sys
from argparse import ArgumentParser
from importlib.util import find_spec
from pathlib import Path
from typing import Any

from django.conf import settings
from django.core.management import call_command
from django.core.management.base import BaseCommand, CommandError
from django.db import Error, connections

from accounts.mail.providers.configured import configured
from jobs.conf import conf
from jobs.core import sql
from notifier.dev import accounts
from notifier.ops.processes import Processes, Program

HERE = "127.0.0.1"
RULE = 64 * "-"
REQUEST_LOGGERS = (b"notifier.request_logging", b"django.request")
STATUS = re.compile(rb'status[=":\s]+(\d{3})')
DEVELOPMENT_ENV = """\
# Written by `make run` for development on this machine; a server needs the settings of .env.example instead.
DEBUG=1
SECRET_KEY={secret_key}
"""


class Command(BaseCommand):
    help = (
        "Runs the site (gunicorn), its worker (qcluster) and, with DEBUG and no EMAIL_HOST, a local mail catcher. "
        "It migrates first. Ctrl-C or SIGTERM stops everything in order."
    )
    requires_system_checks: list[str] = []  # the programs run the checks

    def add_arguments(self, parser: ArgumentParser) -> None:
        parser.add_argument("--reload", action="store_true", help="restart when the code changes")
        parser.add_argument("--quiet", action="store_true", help="hide the line of each request that did not fail")

    def handle(self, **options: Any) -> None:
        refuse_without_catcher()
        for port in [settings.PORT, configured()[0].port] if settings.MAIL_IS_CAUGHT else [settings.PORT]:
            refuse_if_taken(port)
        if settings.DEBUG and "ENV_FILE" not in os.environ:
            write_env_file(settings.BASE_DIR / ".env")
        passwords = self._prepare()
        connections.close_all()
        sys.stdout.flush()
        hides = is_request_line if options["quiet"] else None
        processes = Processes(programs(options["reload"]), sys.stdout.buffer, hides=hides)
        processes.tick = Greeting(processes, passwords, quiet=options["quiet"])
        raise SystemExit(processes.run())

    def _prepare(self) -> dict[str, str]:
        """Migrate, and return the new passwords of the demo accounts."""
        try:
            call_command("migrate", verbosity=0, interactive=False)
        except Error as away:
            if not sql.is_away(away):
                raise
            raise CommandError(f"The database cannot be used (DATABASE_URL): {away}") from None
        if settings.DEBUG:
            return accounts.create_missing()
        call_command("collectstatic", verbosity=0, interactive=False)
        return {}


def write_env_file(path: Path) -> None:
    """Create a `.env` with which every `manage.py` command works in this folder. An existing file stays as it is."""
    with contextlib.suppress(OSError), path.open("x") as file:
        path.chmod(0o600)
        file.write(DEVELOPMENT_ENV.format(secret_key=secrets.token_urlsafe(50)))


def refuse_without_catcher() -> None:
    """Raise CommandError, with what to do, when the mail catcher is needed and its package is not installed."""
    if settings.MAIL_IS_CAUGHT and find_spec("aiosmtpd") is None:
        raise CommandError(
            "The local mail catcher needs aiosmtpd, which is not installed; nothing was started. "
            "Install it: scripts/bootstrap requirements-local.txt (make run does so), or set EMAIL_HOST."
        )


def refuse_if_taken(port: int) -> None:
    """Raise CommandError, with what to do, when another program listens on `port`."""
    with socket.socket() as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind((HERE, port))
        except (OSError, OverflowError) as taken:
            raise CommandError(
                f"Port {port} cannot be used ({taken}); nothing was started. "
                "Use another one: PORT=8123 make run (the mail catcher uses the port after it)."
            ) from None


def programs(reload: bool) -> list[Program]:
    """Return the programs in the order of their start: a program comes after those it needs."""
    again = ["--reload"] if reload else []
    manage = [sys.executable, str(settings.BASE_DIR / "manage.py")]
    mail_port = str(configured()[0].port)
    catcher = ["-m", "notifier.dev.catcher", "--port", mail_port, "--folder", str(settings.MAILBOX_DIR)]
    mail = Program("mail", [sys.executable, *catcher], grace=5)
    worker = Program("worker", [*manage, "qcluster", *again], grace=conf.JOB_TIMEOUT_SECONDS + 10)
    web = Program("web", [sys.executable, "-m", "gunicorn", "notifier.wsgi", *again], grace=15)
    return [mail, worker, web] if settings.MAIL_IS_CAUGHT else [worker, web]


def is_request_line(name: str, line: bytes) -> bool:
    """Return whether a program's line reports a request that did not fail on our side."""
    if name != "web" or not any(logger in line for logger in REQUEST_LOGGERS):
        return False
    status = STATUS.search(line)
    return b"error" not in line and (status is None or not status[1].startswith(b"5"))


class Greeting:
    """Prints one block once, as soon as the site responds: addresses, user names, passwords. Called repeatedly.

    passwords: the new ones of the demo accounts, by user name. quiet: whether the lines of requests are hidden.
    """

    def __init__(self, processes: Processes, passwords: dict[str, str], *, quiet: bool) -> None:
        self.processes, self.passwords, self.quiet, self.printed = processes, passwords, quiet, False

    def __call__(self) -> None:
        if self.printed or not site_responds():
            return
        self.printed = True
        for line in ["", *self._lines(), ""]:
            self.processes.say(line)

    def _lines(self) -> list[str]:
        url = settings.SITE_URL
        lines = [RULE, f"{settings.SITE_NAME} runs", RULE]
        lines += [f"site            {url}/", f"administration  {url}/admin/", f"developers      {url}/developers/"]
        if settings.DEBUG:
            destination = "" if settings.MAIL_IS_CAUGHT else f" (none: email goes to {configured()[0].name})"
            lines += [f"emails          {url}/dev/mailbox/{destination}", *accounts.describe(self.passwords)]
        if self.quiet:
            lines.append("Requests are not shown; `make run ARGS=` shows them.")
        return [*lines, "Ctrl-C stops it", RULE]


def site_responds() -> bool:
    """Return whether the site responds to HTTP, with any status."""
    connection = http.client.HTTPConnection(HERE, settings.PORT, timeout=0.5)
    try:
        connection.request("GET", "/accounts/login/")
        return bool(connection.getresponse().status)
    except (OSError, http.client.HTTPException):
        return False
    finally:
        connection.close()
