"""The contenders: how each one's two worker processes are started, and its additions to the site's settings.

The code of a peer is in benchmarks/peers/MODULE.py: `enqueue(reference, payload)` and the task that its workers call.
To add a peer, write that module and a `Contender` here. This module works without Django.
"""

import sys
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

ROOT = Path(__file__).resolve().parent.parent
BIN = Path(sys.executable).parent
MANAGE = (sys.executable, str(ROOT / "manage.py"))
PEERS = "benchmarks.peers"


@dataclass(frozen=True)
class Contender:
    """A queue that is measured."""

    name: str  # for ONLY=
    title: str  # in the table
    module: str  # below benchmarks/peers
    commands: tuple[tuple[str, ...], ...]  # its workers
    apps: tuple[str, ...] = ()  # installed before the site's
    settings: dict[str, Any] = field(default_factory=dict)  # override the site's
    engine: str = ""  # of its connections, when it cannot use the site's
    share: tuple[float, float] = (1.0, 0.2)  # its jobs at 0 and 50 ms, relative to JOBS: enough to last for seconds
    # SQL: the number of jobs whose end the ledger has not recorded
    unfinished: str = "SELECT count(*) FROM bench_ledger WHERE status <> 'completed'"


def script(name: str, *arguments: str) -> tuple[str, ...]:
    """Return the command of a program of the virtual environment."""
    return (str(BIN / name), *arguments)


def celery(pool: str, size: int, name: str) -> tuple[str, ...]:
    """Return the command of a Celery worker."""
    options = ("worker", "--pool", pool, "--concurrency", str(size), "-n", f"{name}@%h", "--loglevel", "WARNING")
    return script("celery", "-A", f"{PEERS}.celery", *options)


QCLUSTER = ((*MANAGE, "qcluster", "--skip-checks"),)  # its checks are about our settings
OURS = Contender(
    "ours",
    "Notifier",
    "ours",
    ((*MANAGE, "qcluster", "--workers", "2"),),
    share=(4.0, 2.0),
    unfinished="SELECT count(*) FROM job_logs WHERE status <> 'completed'",
)
STOCK = {"name": "bench", "orm": "default", "workers": 2}
TUNED = {**STOCK, "save_limit": -1, "bulk": 25, "queue_limit": 50, "poll": 0.05, "ack_failures": True}
RQ = script("rq", "worker", "--worker-class", "rq.SimpleWorker", "--quiet")
POST_OFFICE = {"BATCH_SIZE": 500, "THREADS_PER_PROCESS": 8}

ALL = (
    OURS,
    Contender("stock", "django-q2, its defaults", "django_q", QCLUSTER, ("django_q",), {"Q_CLUSTER": STOCK}),
    Contender("tuned", "django-q2, tuned", "django_q", QCLUSTER, ("django_q",), {"Q_CLUSTER": TUNED}),
    Contender("celery", "Celery (Redis), prefork", "celery", (celery("prefork", 2, "w"),)),
    Contender(
        "celery-threads",
        "Celery (Redis), 2 x 8 threads",
        "celery",
        (celery("threads", 8, "w1"), celery("threads", 8, "w2")),
        share=(1.0, 0.6),
    ),
    Contender(
        "dramatiq",
        "Dramatiq (Redis), 2 x 8 threads",
        "dramatiq",
        (script("dramatiq", f"{PEERS}.dramatiq", "--processes", "2", "--threads", "8"),),
        share=(1.0, 1.0),
    ),
    Contender("rq", "RQ (Redis), SimpleWorker", "rq", (RQ, RQ)),
    Contender(
        "huey",
        "Huey (Redis)",
        "huey",
        (script("huey_consumer", f"{PEERS}.huey.huey", "-w", "2", "-k", "process", "-q"),),
    ),
    Contender(
        "procrastinate",
        "Procrastinate, 2 x 4 threads",
        "procrastinate",
        ((*MANAGE, "procrastinate", "worker", "--concurrency", "4"),) * 2,
        ("procrastinate.contrib.django",),
        {"PROCRASTINATE_IMPORT_PATHS": [f"{PEERS}.procrastinate"]},
        engine="django.db.backends.postgresql",
        share=(1.0, 0.4),
    ),
    Contender(
        "tasks-db",
        "django-tasks-db",
        "tasks_db",
        ((*MANAGE, "db_worker"),) * 2,
        ("django_tasks", "django_tasks_db"),
        {"TASKS": {"default": {"BACKEND": "django_tasks_db.DatabaseBackend"}}},
    ),
    Contender(
        "post-office",
        "django-post-office, 2 x 8 threads",
        "post_office",
        ((*MANAGE, "shell", "-c", f"from {PEERS}.post_office import main; main()"),),
        ("post_office",),
        {"POST_OFFICE": POST_OFFICE},
        share=(1.0, 1.0),
        unfinished="SELECT count(*) FROM post_office_email WHERE status <> 0",
    ),
)


def named(name: str) -> Contender:
    """Return the contender of that name. Raises LookupError with the known names."""
    for contender in ALL:
        if contender.name == name:
            return contender
    raise LookupError(f"no contender {name!r}: {', '.join(each.name for each in ALL)}")
