"""`manage.py run`, behind `make run`: the whole site on this machine, until Ctrl-C."""

import http.client
import socket
import sys
from argparse import ArgumentParser
from typing import Any

from django.conf import settings
from django.core.management import call_command
from django.core.management.base import BaseCommand, CommandError
from django.db import OperationalError, connections

from notifier.processes import Processes, Program

HERE = "127.0.0.1"


class Command(BaseCommand):
    help = (
        "Runs the site (gunicorn), its worker (qcluster) and, with DEBUG and no EMAIL_HOST, a local mail catcher. "
        "Migrates first. Ctrl-C or SIGTERM stops all of it in order."
    )
    requires_system_checks: list[str] = []  # the programs check for themselves

    def add_arguments(self, parser: ArgumentParser) -> None:
        parser.add_argument("--reload", action="store_true", help="start again when the code changes")

    def handle(self, **options: Any) -> None:
        for port in [settings.PORT, settings.EMAIL_PORT] if settings.MAIL_IS_CAUGHT else [settings.PORT]:
            refuse_if_taken(port)
        self._prepare()
        connections.close_all()
        sys.stdout.flush()
        processes = Processes(programs(options["reload"]), sys.stdout.buffer)
        processes.tick = Greeting(processes)
        raise SystemExit(processes.run())

    def _prepare(self) -> None:
        try:
            call_command("migrate", verbosity=0, interactive=False)
        except OperationalError as away:
            raise CommandError(f"The database cannot be used (DATABASE_URL): {away}") from None
        if settings.DEBUG:
            call_command("demo")
        else:
            call_command("collectstatic", verbosity=0, interactive=False)


def refuse_if_taken(port: int) -> None:
    """CommandError, with what to do, when somebody listens on `port` already."""
    with socket.socket() as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind((HERE, port))
        except (OSError, OverflowError) as taken:
            raise CommandError(
                f"Port {port} cannot be used ({taken}); nothing was started. "
                "Take another: PORT=8123 make run (the mail catcher takes the port after it)."
            ) from None


def programs(reload: bool) -> list[Program]:
    """What is to run, in the order of its start: whoever needs another comes after it."""
    again = ["--reload"] if reload else []
    manage = [sys.executable, str(settings.BASE_DIR / "manage.py")]
    catcher = ["-m", "notifier.dev.catcher", "--port", str(settings.EMAIL_PORT), "--folder", str(settings.MAILBOX_DIR)]
    mail = Program("mail", [sys.executable, *catcher], grace=5)
    worker = Program("worker", [*manage, "qcluster", *again], grace=settings.JOB_TIMEOUT_SECONDS + 10)
    web = Program("web", [sys.executable, "-m", "gunicorn", "notifier.wsgi", *again], grace=15)
    return [mail, worker, web] if settings.MAIL_IS_CAUGHT else [worker, web]


class Greeting:
    """Called again and again: says once, when the site answers, where it is."""

    def __init__(self, processes: Processes) -> None:
        self.processes, self.said = processes, False

    def __call__(self) -> None:
        if self.said or not answers():
            return
        self.said = True
        self.processes.say(f"{settings.SITE_NAME} is at {settings.SITE_URL}/ and its administration at /admin/")
        if settings.DEBUG:
            where = "is read" if settings.MAIL_IS_CAUGHT else f"goes to {settings.EMAIL_HOST}, which is told"
            self.processes.say(f"Its mail {where} at {settings.SITE_URL}/dev/mailbox/")
        self.processes.say("Ctrl-C stops it")


def answers() -> bool:
    """Whether the site answers HTTP, whatever it says."""
    asked = http.client.HTTPConnection(HERE, settings.PORT, timeout=0.5)
    try:
        asked.request("GET", "/accounts/login/")
        return bool(asked.getresponse().status)
    except (OSError, http.client.HTTPException):
        return False
    finally:
        asked.close()
