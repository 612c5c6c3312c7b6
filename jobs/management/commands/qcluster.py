"""`manage.py qcluster`: the worker. It precedes django-q2's command because `jobs` precedes it in INSTALLED_APPS."""

import gc
import os
import shutil
import subprocess
import sys
import time
from argparse import ArgumentParser
from collections.abc import Callable
from pathlib import Path
from typing import Any

from django.core.management.base import BaseCommand, CommandError
from django.db import connections
from django.utils.autoreload import iter_all_python_module_files
from django.utils.module_loading import import_string

from jobs.brokers import django_q, messages
from jobs.cluster import maintenance
from jobs.cluster.child_process import TICK, ForkedProcess
from jobs.cluster.identity import this_process
from jobs.cluster.sign_of_life import SignOfLife
from jobs.cluster.supervisor import Supervisor
from jobs.conf import conf
from jobs.core import job_types
from jobs.core.sql import engines

KEEP_SECONDS, SQLITE_WAIT_SECONDS = 60, 20
GARBAGE = 20_000  # new objects between two collections: an email leaves hundreds, and none in a cycle


class Command(BaseCommand):
    help = (
        "Runs a cluster of workers under a supervisor, which replaces a cluster that is stuck or killed. "
        "SIGTERM (or Ctrl-C) lets work in flight end and exits 0; a second one, or the end of the grace time, kills. "
        "SIGHUP lets work in flight end and starts again with the code that is then installed."
    )

    def add_arguments(self, parser: ArgumentParser) -> None:
        parser.add_argument(
            "--workers", type=int, default=django_q.workers(), help="processes that run jobs (Q_WORKERS)"
        )
        parser.add_argument(
            "--grace", type=float, default=conf.JOB_TIMEOUT_SECONDS, help="seconds for work in flight to end"
        )
        parser.add_argument("--reload", action="store_true", help="start again when the code changes (development)")

    def check(self, *arguments: Any, **options: Any) -> None:
        """Run the system checks in a process of their own: they import every page of the site, and a worker has none.

        Raises SystemExit when one fails. Where the kernel refuses or kills the process, they run in this one.
        """

        def run() -> None:
            try:
                BaseCommand.check(self, *arguments, **options)
            except CommandError as error:
                self.stderr.write(str(error), lambda text: text)
                raise SystemExit(error.returncode) from None

        try:
            code = wait_for(ForkedProcess(run))
        except OSError:
            code = -1
        if code < 0:
            run()
        elif code:
            raise SystemExit(code)

    def handle(self, **options: Any) -> None:
        workers, grace, environment = options["workers"], options["grace"], initial_environment()
        if workers < 1:
            raise CommandError("--workers must be 1 or more")
        if grace < 0:
            raise CommandError("--grace must be 0 seconds or more")
        django_q.set_workers(workers, conf.JOB_BATCH_SIZE)
        keep_connections()
        import_string(messages.RUN)  # here, so that the workers share its modules
        connections.close_all()
        for kind in job_types.all_types():
            kind.execution.preload()
        maintenance.preload()
        gc.collect()
        gc.freeze()  # the collector would write into every page that the forked processes share
        gc.set_threshold(GARBAGE)
        supervisor = Supervisor(
            this_process(),
            django_q.run_cluster,
            workers=workers,
            version=version(),
            grace=grace,
            changed=code_changes() if options["reload"] else (lambda: False),
            restart=lambda: os.execve(sys.executable, [sys.executable, *sys.argv], environment),  # noqa: S606
            alive=SignOfLife(conf.WORKER_ALIVE_FILE, conf.NOTIFY_SOCKET),
        )
        raise SystemExit(supervisor.run())


def wait_for(child: ForkedProcess) -> int:
    """Wait for the end of a child process, and return its exit code; negative for a signal."""
    while (code := child.poll()) is None:
        time.sleep(TICK / 10)
    return code


def keep_connections() -> None:
    """Prepare the database settings of this process and its workers: a connection stays open between two jobs.

    With Django's default (CONN_MAX_AGE=0) each look at the queue would connect again. A transaction of SQLite takes the
    lock when it begins: one that takes it later fails when another process has written meanwhile.
    """
    default = connections["default"]
    if default.settings_dict["CONN_MAX_AGE"] == 0:
        default.settings_dict |= {"CONN_MAX_AGE": KEEP_SECONDS, "CONN_HEALTH_CHECKS": True}
    engines.make_transactions_immediate(default, SQLITE_WAIT_SECONDS)


def initial_environment() -> dict[bytes, bytes]:
    """Return the environment that this process was started with: without `.env`, which a new process reads again.

    Where there is no /proc, returns the present one. To be called before setproctitle overwrites it.
    """
    try:
        lines = Path("/proc/self/environ").read_bytes().split(b"\0")
    except OSError:
        return dict(os.environb)
    return dict(line.split(b"=", 1) for line in lines if b"=" in line)


def version() -> str:
    """Return the commit that runs.

    Returns "" outside a checkout or without git. The checkout may belong to root.
    """
    git = shutil.which("git")
    if git is None:
        return ""
    described = subprocess.run(  # noqa: S603
        [git, "-c", f"safe.directory={conf.base_dir}", "describe", "--always", "--dirty"],
        cwd=conf.base_dir,
        capture_output=True,
        text=True,
        check=False,
    )
    return described.stdout.strip()[:64]


def code_changes() -> Callable[[], bool]:
    """Return a function that checks whether a loaded Python file has changed."""
    files = [path for path in iter_all_python_module_files() if conf.base_dir in path.parents]
    before = {path: _modified_at(path) for path in files if not {".venv", "site-packages"} & set(path.parts)}

    return lambda: any(_modified_at(path) != at for path, at in before.items())


def _modified_at(path: Path) -> float:
    return path.stat().st_mtime if path.exists() else 0.0
