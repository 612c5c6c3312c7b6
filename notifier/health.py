"""/healthz: this process answers. /readyz: the site can do its work, and if not, why."""

from collections.abc import Callable
from datetime import timedelta

import structlog
from django.conf import settings
from django.db import Error, connection
from django.db.migrations.executor import MigrationExecutor
from django.db.models.functions import Now
from django.http import HttpRequest, JsonResponse
from django.views.decorators.http import require_safe

from jobs import clusters, pauses
from jobs.counters import Counter
from jobs.models import JobLog

log = structlog.get_logger("notifier.health")

OK = "ok"
STILL = timedelta(seconds=clusters.SILENT_SECONDS)
_migrated = False  # once seen, it stays so: looking costs 20 ms and more


@require_safe
def healthz(request: HttpRequest) -> JsonResponse:
    """200 whenever this process can answer; it asks nobody."""
    return JsonResponse({"status": OK}, headers={"Cache-Control": "no-store"})


@require_safe
def readyz(request: HttpRequest) -> JsonResponse:
    """200 when all is well, else 503; each check with "ok" or what is wrong, and the job types that are held.

    A held type is no failure: the web goes on taking jobs, and none is lost.
    """
    found: dict[str, str] = {}
    for name, check in CHECKS.items():
        try:
            found[name] = check()
        except Error as away:
            log.warning("readiness check failed", check=name, error=str(away))
            found[name] = "the database cannot be reached"
            break
    ready = set(found.values()) == {OK}
    return JsonResponse(
        {"status": "ready" if ready else "not ready", "checks": found, "held": _held()},
        status=200 if ready else 503,
        headers={"Cache-Control": "no-store"},
    )


def _database() -> str:
    with connection.cursor() as cursor:
        cursor.execute("SELECT 1")
    return OK


def missing_migrations() -> int:
    """How many are not applied."""
    executor = MigrationExecutor(connection)
    return len(executor.migration_plan(executor.loader.graph.leaf_nodes()))


def _migrations() -> str:
    global _migrated
    if not _migrated:
        if missing := missing_migrations():
            return f"{missing} migrations are missing: manage.py migrate"
        _migrated = True
    return OK


def _worker() -> str:
    return (
        OK if clusters.alive().exists() else f"no worker has beaten for {clusters.SILENT_SECONDS} s: manage.py qcluster"
    )


def _queue() -> str:
    return standing() or OK


def standing() -> str:
    """Why the queue counts as standing still, if it does: a due job that nobody takes.

    Either too long, or shorter while nothing else was settled, which is what a wedged worker looks like. Jobs of a
    type that an operator paused wait on purpose; those of an open breaker get the long limit.
    """
    paused = pauses.held().filter(paused_at__isnull=False).values("job_type")
    due = JobLog.objects.due().exclude(job_type__in=paused)
    if due.filter(run_at__lt=Now() - timedelta(seconds=settings.READY_WAIT_SECONDS)).exists():
        return f"a due job has been waiting for more than {settings.READY_WAIT_SECONDS} s"
    moved = Counter.objects.filter(name="attempts", at__gt=Now() - STILL)
    waiting = due.filter(run_at__lt=Now() - STILL).exclude(job_type__in=pauses.held().values("job_type"))
    if waiting.exists() and not moved.exists():
        return f"a due job has been waiting for {clusters.SILENT_SECONDS} s, and no attempt has ended in that time"
    return ""


def _held() -> dict[str, str]:
    """What keeps mails back and is no reason to take this process out of service."""
    try:
        return {
            state.job_type: "the breaker is open" if state.breaker_opened_at else "paused by an operator"
            for state in pauses.held()
        }
    except Error:
        return {}


CHECKS: dict[str, Callable[[], str]] = {
    "database": _database,
    "migrations": _migrations,
    "worker": _worker,
    "queue": _queue,
}
