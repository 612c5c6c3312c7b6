"""The belt to the courier's braces: it looks for jobs that nobody will wake, and wakes them.

1. Leases that have lapsed: the worker died; a message for the next attempt.
2. Due jobs without a message: it was lost, or dropped while the type was held.
3. Held by the breaker: a probe; when it succeeds the type runs again.
4. Dead because the server was unreachable: when the probe succeeds they are replayed, once.
5. What other apps asked for (`registry.register_sweep`).

Every cluster asks with its heartbeat whether there is any of it (`due`); one host at a time does it.
"""

from collections.abc import Callable
from datetime import datetime, timedelta
from typing import Any

import structlog
from django.db import models, transaction
from django.db.models.functions import Now
from django.utils import timezone

from jobs import broker, clusters, pauses, queue, registry
from jobs.errors import ErrorClass
from jobs.models import WAITING, JobLog, JobQuerySet, Reason

log = structlog.get_logger("jobs.reconciler")

SLACK = timedelta(seconds=8)  # a message just fetched is on its way to a worker
CHUNK = 500


class Turn(models.Model):
    """Whose turn it is: the host that moves `taken_at` on has it."""

    name = models.CharField(max_length=32, primary_key=True)
    taken_at = models.DateTimeField(db_default=Now())


def take_turn(name: str, every: float) -> bool:
    """True for one caller in `every` seconds, across all hosts."""
    late = Now() - timedelta(seconds=every)
    if Turn.objects.filter(name=name, taken_at__lte=late).update(taken_at=Now()):
        return True
    return Turn.objects.get_or_create(name=name)[1]


def database_time() -> datetime:
    """The database's clock. A turn must have been taken before."""
    return Turn.objects.values_list(Now(), flat=True)[0]


def due() -> list[models.QuerySet[Any]]:
    """What each step of a sweep would find, each in the order of an index; all empty when there is nothing to do."""
    return [
        _lapsed(),
        _forgotten(Now() - SLACK),
        _broken(),
        _unreachable().order_by("processed_at"),
        *(sweep.due() for sweep in registry.sweeps()),
        clusters.old(),
    ]


def sweep() -> None:
    """One round of everything; a step that fails is logged and does not keep the others from running."""
    steps: list[Callable[[], object]] = [wake_lapsed, wake_forgotten, probe_held, replay_unreachable]
    for step in [*steps, *(sweep.work for sweep in registry.sweeps()), clusters.forget_old]:
        try:
            step()
        except Exception:
            log.exception("a step of the reconciler failed", step=step.__name__)


def wake_lapsed() -> int:
    """A message for each running job whose lease has lapsed; how many. The claim counts the lost attempt."""
    lapsed = list(_lapsed().values_list("pk", "attempt_count")[:CHUNK])
    broker.send_many([(pk, attempt + 1) for pk, attempt in lapsed])
    if lapsed:
        log.warning("leases lapsed, jobs taken back", jobs=len(lapsed))
    return len(lapsed)


def wake_forgotten(slack: timedelta = SLACK) -> int:
    """A message for each job that was due before the oldest visible message: its own is gone; how many.

    Its due time becomes now, in step with the message, so that it is not found again while it waits its turn.
    """
    before = (broker.waiting_since() or timezone.now()) - slack
    woken = 0
    while True:
        with transaction.atomic():
            rows = list(_forgotten(before).select_for_update(skip_locked=True)[:CHUNK])
            JobLog.objects.filter(pk__in=[job.pk for job in rows], status__in=WAITING).update(run_at=Now())
            broker.send_many([(job.pk, job.attempt_count + 1) for job in rows])
        woken += len(rows)
        if len(rows) < CHUNK:
            break
    if woken:
        log.warning("jobs without a message woken", jobs=woken)
    return woken


def probe_held() -> None:
    """Closes the breaker of each type whose probe succeeds; its jobs are then woken at once."""
    for state in _broken():
        pauses.JobTypeState.objects.filter(pk=state.pk).update(probed_at=Now())
        if answers(state.job_type) and pauses.close_breaker(state.job_type):
            wake_forgotten(slack=timedelta(0))


def replay_unreachable() -> int:
    """Replays the dead letters that only an unreachable server made, when it answers again; each once; how many."""
    replayed = 0
    for kind in registry.all_types():
        mine = _unreachable().filter(job_type=kind.name).order_by("pk")
        if not mine.exists() or not answers(kind.name):
            continue
        while chunk := list(mine[:CHUNK]):
            replayed += queue.replay_many(chunk, by_itself=True)
    if replayed:
        log.info("server answers again, dead letters replayed", jobs=replayed)
    return replayed


def _lapsed() -> JobQuerySet:
    return JobLog.objects.lapsed().order_by("lease_until")


def _forgotten(before: Any) -> JobQuerySet:
    """Jobs of types that are not held, due before a moment, which may be an expression."""
    due_before = JobLog.objects.due().filter(run_at__lt=before)
    return due_before.exclude(job_type__in=pauses.held().values("job_type")).order_by("run_at")


def _broken() -> models.QuerySet[pauses.JobTypeState]:
    return pauses.JobTypeState.objects.filter(breaker_opened_at__isnull=False)


def _unreachable() -> JobQuerySet:
    return JobLog.objects.dead().filter(
        dlq_reason=Reason.EXHAUSTED, error_class=ErrorClass.UNREACHABLE, auto_replayed=False
    )


def answers(job_type: str) -> bool:
    """Whether the probe of a job type succeeds. One without a probe answers; one not known to this version does not."""
    try:
        probe = registry.get(job_type).probe
        if probe is not None:
            probe()
    except LookupError:
        return False
    except Exception as exc:  # whatever the outside world says
        log.info("probe failed", job_type=job_type, error=type(exc.__cause__ or exc).__name__)
        return False
    return True
