"""The queues that run the same tasks: apps, settings and two worker processes each. This module works without Django.

To add one, write its module below benchmarks/tasks/peers (`enqueue(kind, number)`) and a `Contender` here.
"""

import sys
from dataclasses import dataclass, field
from importlib.util import find_spec
from typing import Any

from benchmarks.contenders import BIN, MANAGE

PEERS = "benchmarks.tasks.peers"
KINDS = ("empty", "row", "busy")


@dataclass(frozen=True)
class Contender:
    """A queue that is measured."""

    name: str  # for ONLY=
    title: str  # in the tables
    module: str  # below benchmarks/tasks/peers
    commands: tuple[tuple[str, ...], ...]  # its workers
    recovers: str  # when it runs a task of a dead worker again, from its documentation
    in_database: bool = True  # whether its messages are in the project's database
    apps: tuple[str, ...] = ()
    settings: dict[str, Any] = field(default_factory=dict)
    package: str = "django"  # without it the queue is left out
    left_out: str = ""  # why it may be missing


def backend(path: str) -> dict[str, Any]:
    """Return the settings of a backend of Django's Tasks interface."""
    return {"TASKS": {"default": {"BACKEND": path}}}


def huey(storage: str) -> tuple[tuple[str, ...], ...]:
    """Return the command of huey's consumer."""
    return ((str(BIN / "huey_consumer"), f"{PEERS}.huey.{storage}", "-w", "2", "-k", "process", "-q"),)


CELERY = ("worker", "--pool", "prefork", "--concurrency", "2", "--loglevel", "WARNING")
OURS = Contender(
    "ours",
    "Notifier",
    "standard",
    ((*MANAGE, "qcluster"),),
    "when its cluster starts again, else after JOB_LEASE_SECONDS (45)",
    apps=("jobs", "django_q", "django_tasks"),
    settings=backend("jobs.tasks.Backend"),
)
ALL = (
    OURS,
    Contender(
        "ox",
        "django-ox",
        "standard",
        ((*MANAGE, "ox_worker", "--processes", "2"),),
        "after LOCK_TIMEOUT (300 s)",
        apps=("django_ox", "django_tasks"),
        settings=backend("django_ox.backend.OxBackend"),
        package="django_ox",
        left_out="it needs Python 3.12",
    ),
    Contender(
        "tasks-db",
        "django-tasks-db",
        "standard",
        ((*MANAGE, "db_worker"),) * 2,
        "never",
        apps=("django_tasks", "django_tasks_db"),
        settings=backend("django_tasks_db.DatabaseBackend"),
    ),
    Contender(
        "procrastinate",
        "Procrastinate, 2 x 4 threads",
        "procrastinate",
        ((*MANAGE, "procrastinate", "worker", "--concurrency", "4"),) * 2,
        "never, unless a task of the project's own looks for stalled jobs",
        apps=("procrastinate.contrib.django",),
        settings={"PROCRASTINATE_IMPORT_PATHS": [f"{PEERS}.procrastinate"]},
    ),
    Contender("huey-postgres", "Huey (PostgreSQL)", "huey", huey("postgres"), "never"),
    Contender("huey-redis", "Huey (Redis)", "huey", huey("redis"), "never", in_database=False),
    Contender(
        "celery",
        "Celery (Redis), prefork",
        "celery",
        ((str(BIN / "celery"), "-A", f"{PEERS}.celery", *CELERY),),
        "never those it has begun; those it has fetched after visibility_timeout (1 h)",
        in_database=False,
    ),
)


def available() -> list[Contender]:
    """Return the contenders whose packages are installed."""
    return [contender for contender in ALL if find_spec(contender.package)]


def missing() -> list[str]:
    """Return a line for each contender that is left out."""
    version = f"{sys.version_info.major}.{sys.version_info.minor}"
    return [
        f"{contender.title} was not measured: {contender.left_out}, and this was Python {version}."
        for contender in ALL
        if not find_spec(contender.package)
    ]


def named(name: str) -> Contender:
    """Return the contender of that name. Raises LookupError with the known names."""
    for contender in ALL:
        if contender.name == name:
            return contender
    raise LookupError(f"no contender {name!r}: {', '.join(each.name for each in ALL)}")
