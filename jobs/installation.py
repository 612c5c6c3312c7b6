"""The system check of a project that installs the queue: what is missing or in the wrong order, and what to write."""

from collections.abc import Iterator
from itertools import chain
from pathlib import Path
from typing import Any

from django.conf import settings
from django.core.checks import CheckMessage, Error, Warning, register
from django.db import connections, router
from django_q.conf import Conf

import jobs
from jobs.conf import conf
from jobs.core.job import JobLog
from jobs.core.job_types import all_types
from jobs.core.sql import engines

BACKEND = "jobs.tasks.Backend"
SQLITE_OPTIONS = '{"transaction_mode": "IMMEDIATE", "timeout": 20, "init_command": "PRAGMA journal_mode=WAL;"}'


@register("jobs")
def check_installation(**_: Any) -> list[CheckMessage]:
    """Check what the queue needs from a project (jobs.E011 to jobs.E014, jobs.W002 and jobs.W003)."""
    parts = (_order, _database, _time_zones, _other_package, _use)
    return list(chain.from_iterable(part() for part in parts))


def _order() -> Iterator[CheckMessage]:
    """Yield E011 when django-q2 read Q_CLUSTER before this app completed it, or when its `qcluster` hides ours."""
    names = [str(name) for name in settings.INSTALLED_APPS]
    ours = next((at for at, name in enumerate(names) if name.split(".")[0] == "jobs"), -1)
    theirs = next((at for at, name in enumerate(names) if name.split(".")[0] == "django_q"), -1)
    if ours > theirs or conf.cluster["broker_class"] != Conf.BROKER_CLASS:
        yield Error(
            "django-q2 was loaded before the queue: it would use its own broker, and its own command qcluster.",
            hint='Write "jobs" before "django_q" in INSTALLED_APPS, and import django_q in no module of settings.',
            id="jobs.E011",
        )


def _database() -> Iterator[CheckMessage]:
    """Yield E012 for a database that cannot hold jobs, W003 for a SQLite whose writers disturb each other."""
    alias = router.db_for_write(JobLog)
    default = connections["default"]
    if alias != "default":
        yield Error(
            f"DATABASE_ROUTERS sends jobs to the database {alias!r}.",
            hint='Let the router return "default" for the apps "jobs" and "django_q": a job is written in the '
            "transaction of the request that enqueues it.",
            id="jobs.E012",
        )
    elif not engines.is_supported(default):
        yield Error(
            f"The database {default.settings_dict['ENGINE']} has not what the queue needs.",
            hint='Set DATABASES["default"]["ENGINE"] = "django.db.backends.postgresql"; SQLite serves development.',
            id="jobs.E012",
        )
    elif engines.has_deferred_transactions(default):
        yield Warning(
            'Transactions of this SQLite fail with "database is locked" while a worker writes.',
            hint=f'Set DATABASES["default"]["OPTIONS"] = {SQLITE_OPTIONS}',
            id="jobs.W003",
        )


def _time_zones() -> Iterator[CheckMessage]:
    """Yield E013 without USE_TZ: an hour that a clock repeats in autumn would have jobs that are due in the past."""
    if not settings.USE_TZ:
        yield Error(
            "USE_TZ is False, and the times of jobs need a time zone.", hint="Set USE_TZ = True.", id="jobs.E013"
        )


def _other_package() -> Iterator[CheckMessage]:
    """Yield E014 for a package `jobs` of the project's own: which one is imported depends on how a process starts."""
    own, ours = conf.base_dir / "jobs", Path(jobs.__path__[0])
    if (own / "__init__.py").exists() and not own.samefile(ours):
        yield Error(
            f"The project has a package {own}, which is called like that of the queue, {ours}.",
            hint="Rename the project's package; one of the two hides the other.",
            id="jobs.E014",
        )


def _use() -> Iterator[CheckMessage]:
    """Yield W002 when nothing can be enqueued."""
    backends = [backend.get("BACKEND") for backend in getattr(settings, "TASKS", {}).values()]
    if BACKEND not in backends and not all_types():
        yield Warning(
            "No task runs in the queue: TASKS does not name its backend.",
            hint=f'Set TASKS = {{"default": {{"BACKEND": "{BACKEND}"}}}}',
            id="jobs.W002",
        )
