"""/healthz (the process responds) and /readyz (the site can do its work, or why it cannot)."""

from collections.abc import Callable
from datetime import timedelta

import structlog
from django.conf import settings
from django.db import Error, connection
from django.db.migrations.executor import MigrationExecutor
from django.db.models import Q
from django.db.models.functions import Now
from django.http import HttpRequest, JsonResponse
from django.utils import timezone
from django.views.decorators.http import require_safe

from jobs.cluster import clusters
from jobs.core import pauses, sql
from jobs.core.counters import Counter
from jobs.core.job import JobLog
from notifier.ops import static_files

log = structlog.get_logger("notifier.ops.health")

OK = "ok"
STALLED_AFTER = timedelta(seconds=clusters.SILENT_SECONDS)
MAX_CLOCK_SKEW = 60.0  # seconds; above it, times on pages and in emails are visibly wrong
_migrated = False  # stays True once it is: the check costs 20 ms and more


@require_safe
def healthz(request: HttpRequest) -> JsonResponse:
    """Respond 200 while this process works, without a query."""
    return JsonResponse({"status": OK}, headers={"Cache-Control": "no-store"})


@require_safe
def readyz(request: HttpRequest) -> JsonResponse:
    """Respond 200 when every check passes, else 503, with the result of each check.

    Suspended job types and failing maintenance are named and are no failure: the site goes on accepting jobs, and none
    is lost.
    """
    results: dict[str, str] = {}
    for name, check in CHECKS.items():
        try:
            results[name] = check()
        except Error as away:
            log.warning("readiness check failed", check=name, error=str(away))
            results[name] = "the database cannot be reached"
            connection.close()
            break
    ready = set(results.values()) == {OK}
    reached = len(results) == len(CHECKS)
    return JsonResponse(
        {
            "status": "ready" if ready else "not ready",
            "checks": results,
            "held": _suspended_types() if reached else {},
            "failing": _failing_maintenance() if reached else {},
            "oldestDueSeconds": _oldest_waits() if reached else {},
        },
        status=200 if ready else 503,
        headers={"Cache-Control": "no-store"},
    )


def _database() -> str:
    return database_problem() or OK


def database_problem() -> str:
    """Return why the database cannot be used, or an empty text. Raises django.db.Error when it does not respond."""
    state = sql.server_state()
    if state.in_recovery:
        return "the database is a standby: it is read-only until it is promoted"
    if state.read_only:
        return "the database is read-only"
    if state.encoding != "UTF8":
        return f"the database's encoding is {state.encoding}, which cannot hold every name: it must be UTF8"
    return ""


def clock_skew() -> float:
    """Return by how many seconds this machine's clock is ahead of the database's."""
    return (timezone.now() - sql.now()).total_seconds()


def _clock() -> str:
    skew = abs(clock_skew())
    if skew > MAX_CLOCK_SKEW:
        return f"this machine's clock and the database's differ by {skew:.0f} s"
    return OK


def missing_migrations() -> int:
    """Return the number of migrations that are not applied."""
    executor = MigrationExecutor(connection)
    return len(executor.migration_plan(executor.loader.graph.leaf_nodes()))


def _migrations() -> str:
    global _migrated
    if not _migrated:
        if missing := missing_migrations():
            return f"{missing} migrations are not applied: run manage.py migrate"
        _migrated = True
    return OK


def _static_files() -> str:
    missing = static_files.count_missing()
    return f"{static_files.describe_missing(missing)}: run manage.py collectstatic" if missing else OK


def _worker() -> str:
    if clusters.alive().exists():
        return OK
    return f"no worker has sent a heartbeat for {clusters.SILENT_SECONDS} s: start manage.py qcluster"


def _queue() -> str:
    return queue_problem() or OK


def queue_problem() -> str:
    """Return why the queue counts as stalled, or an empty text.

    It is stalled when a due job has waited for READY_WAIT_SECONDS, or for less while no attempt has ended, as with a
    wedged worker. Jobs of a type or lane that an operator paused do not count. Jobs behind an open breaker count
    only after READY_WAIT_SECONDS.
    """
    paused = Q(job_type__in=pauses.paused_types().values("job_type")) | Q(lane__in=pauses.paused_lanes().values("lane"))
    due = JobLog.objects.due().exclude(paused)
    if due.filter(run_at__lt=Now() - timedelta(seconds=settings.READY_WAIT_SECONDS)).exists():
        return f"a due job has been waiting for more than {settings.READY_WAIT_SECONDS} s"
    ended_attempts = Counter.objects.filter(name="attempts", at__gt=Now() - STALLED_AFTER)
    waiting = due.filter(run_at__lt=Now() - STALLED_AFTER).exclude(pauses.held())
    if waiting.exists() and not ended_attempts.exists():
        return f"a due job has been waiting for {clusters.SILENT_SECONDS} s, and no attempt has ended in that time"
    return ""


def _suspended_types() -> dict[str, str]:
    """Return the suspended job types and lanes, and the reason of each; empty when the database is away."""
    try:
        types = {
            state.job_type: "the breaker is open" if state.breaker_opened_at else "paused by an operator"
            for state in pauses.suspended()
        }
        return types | {str(state): "paused by an operator" for state in pauses.paused_lanes()}
    except Error:
        return {}


def _oldest_waits() -> dict[str, float]:
    """Return for how many seconds the oldest due job of each lane has waited; empty when the database is away.

    Jobs of suspended types and lanes are not counted.
    """
    try:
        waits = JobLog.objects.runnable().oldest_waits()
        return {lane: round(seconds, 1) for lane, seconds in waits.items()}
    except Error:
        return {}


def _failing_maintenance() -> list[str]:
    """Return the maintenance steps that fail, by name; empty when the database is away."""
    try:
        return clusters.failing_maintenance()
    except Error:
        return []


CHECKS: dict[str, Callable[[], str]] = {
    "database": _database,
    "migrations": _migrations,
    "worker": _worker,
    "queue": _queue,
    "clock": _clock,
    "static": _static_files,
}
