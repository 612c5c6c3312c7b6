"""The reconciler: requeues jobs whose message was lost or whose worker died.

1. Expired leases: the worker died. Sends a message for the next attempt.
2. Orphans, due jobs without a message: it was lost, or dropped while the type was suspended. Sends one.
3. Open breakers: probes. When a probe succeeds, the type runs again.
4. Dead letters of an unreachable server: when the probe succeeds, replays them, once.
5. Pauses whose end has come: forgets them. Their jobs are orphans now.
6. The sweeps of other modules (`job_types.register_sweep`).

Every cluster asks with its heartbeat whether there is anything to do (`due`). One host at a time does it.
"""

from collections.abc import Callable
from datetime import datetime, timedelta
from typing import Any

import structlog
from django.db import models, transaction
from django.db.models.functions import Now

from jobs.brokers import messages
from jobs.core import errors, job_types, pauses, sql
from jobs.core.errors import ErrorClass
from jobs.core.job import WAITING, JobLog, JobQuerySet, Reason
from jobs.core.pauses import Lane
from jobs.maintenance.faults import Faults, step_name
from jobs.queue import actions

log = structlog.get_logger("jobs.maintenance.reconciler")

SLACK = timedelta(seconds=8)  # a message just fetched is on its way to a worker
SWEEP_CHUNK = 500  # jobs a transaction
MANY_SOURCES = 50  # of a lane: with more, the oldest message of the lane stands for all
REPETITION = timedelta(seconds=60)  # within it, the same refusal of three recipients is about us


def due(faults: Faults | None = None) -> list[models.QuerySet[Any]]:
    """Return a query for each step, in the order of an index; none of a sweep that raises.

    None finds a row when there is nothing to do. faults: notes the sweeps that raise.
    """
    faults = Faults() if faults is None else faults
    queries = [
        _expired_leases(),
        _orphans(models.Q(run_at__lt=Now() - SLACK)),
        _open_breakers(),
        _unreachable().order_by("processed_at"),
    ]
    queries += pauses.ended_pauses()
    for sweep in job_types.sweeps():
        with faults.caught(f"{step_name(sweep.work)} (due)"):
            queries.append(sweep.due())
    return queries


def sweep(faults: Faults | None = None) -> None:
    """Run every step once. A step that fails is logged and noted in `faults`, and the others still run."""
    faults = Faults() if faults is None else faults
    steps: list[Callable[[], object]] = [pauses.end_pauses, rescue_expired_leases, requeue_orphans]
    steps += [probe_suspended, replay_unreachable]
    for step in [*steps, *(sweep.work for sweep in job_types.sweeps())]:
        with faults.caught(step_name(step)):
            step()


def rescue_expired_leases() -> int:
    """Send a message for each running job whose lease expired; return how many.

    The claim counts the lost attempt.
    """
    expired = list(_expired_leases().only("attempt_count", "lane", "source", "lease_until")[:SWEEP_CHUNK])
    messages.send_many([messages.to(job, job.attempt_count + 1) for job in expired])
    if expired:
        log.warning("leases expired, jobs requeued", jobs=len(expired))
    return len(expired)


def requeue_orphans(slack: timedelta = SLACK) -> int:
    """Send a message for each job due before the oldest visible one of its lane and source; return how many.

    A message is visible from the due time of its job until it is fetched, so such a job's own message is lost. The job
    is now due when its new message is, so that it is not found again while it waits.
    """
    since, now = messages.waiting_since(), sql.now()
    requeued = sum(_requeue_orphans_of(lane, _before(since.get(lane, {}), now, slack)) for lane in Lane.values)
    if requeued:
        log.warning("jobs without a message requeued", jobs=requeued)
    return requeued


def _before(since: dict[str | None, datetime], now: datetime, slack: timedelta) -> models.Q:
    """Match the jobs of a lane that are due before the oldest message of their source, or now where there is none.

    since: when those messages became visible, by source; None: of every source that is not listed.
    """
    if len(since) > MANY_SOURCES:
        return models.Q(run_at__lt=min(since.values()) - slack)
    listed = {source: at for source, at in since.items() if source is not None}
    before = models.Q(run_at__lt=since.get(None, now) - slack) & ~models.Q(source__in=listed)
    for source, at in listed.items():
        before |= models.Q(source=source, run_at__lt=at - slack)
    return before


def _requeue_orphans_of(lane: str, before: models.Q) -> int:
    requeued = 0
    while True:
        with transaction.atomic():
            orphans = _orphans(before).filter(lane=lane).order_by("run_at")
            rows = list(orphans.select_for_update(skip_locked=True)[:SWEEP_CHUNK])
            JobLog.objects.filter(pk__in=[job.pk for job in rows], status__in=WAITING).update(run_at=Now())
            messages.send_many([messages.to(job, job.attempt_count + 1) for job in rows])
        requeued += len(rows)
        if len(rows) < SWEEP_CHUNK:
            return requeued


def probe_suspended() -> None:
    """Close the breaker of each type whose probe succeeds, and requeue its jobs."""
    for state in _open_breakers():
        pauses.JobTypeState.objects.filter(pk=state.pk).update(probed_at=Now())
        if probe_succeeds(state.job_type) and pauses.close_breaker(state.job_type):
            requeue_orphans(slack=timedelta(0))
            replay_first_refused(state)


def replay_first_refused(state: pauses.JobTypeState | pauses.ProviderState) -> None:
    """Replay, once, the jobs that died of a refusal before it was judged to concern every email (`smtp_errors`)."""
    before = (state.breaker_opened_at or Now()) - REPETITION
    dead = JobLog.objects.dead().filter(dlq_reason=Reason.PERMANENT, replayed_automatically=False)
    refused = errors.gist(state.breaker_error)
    first = [job for job in dead.filter(processed_at__gte=before)[:SWEEP_CHUNK] if errors.gist(job.error) == refused]
    actions.replay_many(first, automatic=True)


def replay_unreachable() -> int:
    """Replay dead letters of an unreachable server that answers again, each once; return how many."""
    replayed = 0
    for kind in job_types.all_types():
        mine = _unreachable().filter(job_type=kind.name).order_by("pk")
        if not mine.exists() or not probe_succeeds(kind.name):
            continue
        while chunk := list(mine[:SWEEP_CHUNK]):
            replayed += actions.replay_many(chunk, automatic=True)
    if replayed:
        log.info("server answers again, dead letters replayed", jobs=replayed)
    return replayed


def _expired_leases() -> JobQuerySet:
    return JobLog.objects.lease_expired().exclude(pauses.held()).order_by("lease_until")


def _orphans(before: models.Q) -> JobQuerySet:
    """Return due jobs that no suspension holds; before: when they were due."""
    return JobLog.objects.runnable().filter(before).order_by("lane", "run_at")


def _open_breakers() -> models.QuerySet[pauses.JobTypeState]:
    return pauses.JobTypeState.objects.filter(breaker_opened_at__isnull=False)


def _unreachable() -> JobQuerySet:
    return JobLog.objects.dead().filter(
        dlq_reason=Reason.EXHAUSTED, error_class=ErrorClass.UNREACHABLE, replayed_automatically=False
    )


def probe_succeeds(job_type: str) -> bool:
    """Return whether a type's probe succeeds.

    True for a type without a probe, False for an unknown type.
    """
    try:
        probe = job_types.get(job_type).execution.probe
        if probe is not None:
            probe()
    except LookupError:
        return False
    except Exception as exc:  # a probe may raise anything
        log.info("probe failed", job_type=job_type, error=type(exc.__cause__ or exc).__name__)
        return False
    return True
