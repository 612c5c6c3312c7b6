"""`manage.py qcluster`: the worker. Ours, found before django-q2's by its place in INSTALLED_APPS."""

import gc
import os
import shutil
import socket
import subprocess
from argparse import ArgumentParser
from collections.abc import Callable
from pathlib import Path
from typing import Any

from django.conf import settings
from django.core.management.base import BaseCommand, CommandError
from django.db import connections
from django.utils.autoreload import iter_all_python_module_files
from django_q.cluster import Cluster
from django_q.conf import Conf

from jobs import registry, worker
from jobs.supervisor import Supervisor

GARBAGE = 20_000  # new objects between two collections: a mail leaves hundreds and none in a cycle


class Command(BaseCommand):
    help = (
        "Runs a cluster of workers that do the jobs, supervised: a cluster that is stuck or killed is replaced. "
        "SIGTERM (or Ctrl-C) lets work in flight end and exits 0; a second one, or the grace time's end, kills."
    )

    def add_arguments(self, parser: ArgumentParser) -> None:
        parser.add_argument(
            "--workers", type=int, default=settings.Q_WORKERS, help="processes that do jobs (Q_WORKERS)"
        )
        parser.add_argument(
            "--grace", type=float, default=settings.JOB_TIMEOUT_SECONDS, help="seconds for work in flight to end"
        )
        parser.add_argument("--reload", action="store_true", help="start again when the code changes (development)")

    def handle(self, **options: Any) -> None:
        workers, grace = options["workers"], options["grace"]
        if workers < 1:
            raise CommandError("--workers must be 1 or more")
        if grace < 0:
            raise CommandError("--grace must be 0 seconds or more")
        Conf.WORKERS, Conf.QUEUE_LIMIT, Conf.BULK = workers, workers, workers * settings.JOB_BATCH_SIZE
        worker.cluster = f"{socket.gethostname()}:{os.getpid()}"
        connections.close_all()
        for kind in registry.all_types():
            kind.warm()
        gc.collect()
        gc.freeze()  # the collector would write into every page that the forked processes share
        gc.set_threshold(GARBAGE)
        supervisor = Supervisor(
            worker.cluster,
            lambda: Cluster().start(),
            workers=workers,
            version=version(),
            grace=grace,
            changed=code_changes() if options["reload"] else (lambda: False),
        )
        raise SystemExit(supervisor.run())


def version() -> str:
    """The commit that runs, or "" outside a checkout and where there is no git. The checkout may be root's."""
    git = shutil.which("git")
    if git is None:
        return ""
    told = subprocess.run(  # noqa: S603
        [git, "-c", f"safe.directory={settings.BASE_DIR}", "describe", "--always", "--dirty"],
        cwd=settings.BASE_DIR,
        capture_output=True,
        text=True,
        check=False,
    )
    return told.stdout.strip()[:64]


def code_changes() -> Callable[[], bool]:
    """A function that says whether a Python file that is loaded now has changed since."""
    files = [path for path in iter_all_python_module_files() if settings.BASE_DIR in path.parents]
    before = {path: _written(path) for path in files if ".venv" not in path.parts}

    return lambda: any(_written(path) != at for path, at in before.items())


def _written(path: Path) -> float:
    return path.stat().st_mtime if path.exists() else 0.0
