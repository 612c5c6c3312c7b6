"""What operators do with jobs, job types and lanes; each action, its message and its audit row are one transaction.

`who` is the operator as the audit names them: a user name, "key:NAME" or "cli:USER". It is None when the queue acts
automatically (a bulk replay, the reconciler, retention), which writes no audit row here.
"""

from collections.abc import Callable
from datetime import datetime, timedelta

import structlog
from django.db import transaction
from django.db.models.functions import Now
from django.utils import timezone
from django.utils.dateparse import parse_datetime

from jobs.brokers import messages
from jobs.core import audit, job_types, pauses
from jobs.core.audit import AuditEntry
from jobs.core.job import WAITING, JobLog, JobQuerySet
from jobs.stats import job_counts

log = structlog.get_logger("jobs")

JobAction = Callable[..., bool]  # (job, *, who, why="")
ALL_MAIL = "all-mail"  # stands for every job type that sends an email
LANE_TARGETS = [f"{pauses.LANE_TARGET}:{lane}" for lane in pauses.Lane.values]
MOST_HOURS = 24 * 31
LONGEST_WHY = 200  # characters of a reason that are kept


def replay(job: JobLog, *, who: str | None, why: str = "") -> bool:
    """Replay a dead letter; False when it no longer is one."""
    with transaction.atomic():
        if not job.replay():
            return False
        messages.send(messages.to(job, job.attempt_count + 1))
        job_counts.count_moves("replayed", [job])
        _audit(who, AuditEntry.Act.REPLAY, job.job_id, why)
    log.info("job replayed", job_id=job.job_id, job_type=job.job_type, automatic=False)
    return True


def replay_many(jobs: list[JobLog], *, automatic: bool = False) -> int:
    """Replay those of `jobs` that are still dead letters; return how many.

    It wakes the clusters once, and writes no audit row: the bulk replay has one.
    automatic: whether the jobs are marked as replayed automatically, which happens once.
    """
    with transaction.atomic():
        dead = JobLog.objects.select_for_update().dead().filter(pk__in=[job.pk for job in jobs])
        moved = [job for job in dead if job.replay(automatic=automatic)]
        messages.send_many([messages.to(job, job.attempt_count + 1) for job in moved])
        job_counts.count_moves("replayed", moved)
    for job in moved:
        log.info("job replayed", job_id=job.job_id, job_type=job.job_type, automatic=automatic)
    return len(moved)


def discard(job: JobLog, *, who: str | None, why: str = "") -> bool:
    """Discard a dead letter or a waiting job; False when it is running or settled."""
    with transaction.atomic():
        if not job.discard():
            return False
        job_counts.count_moves("discarded", [job])
        _audit(who, AuditEntry.Act.DISCARD, job.job_id, why)
    log.info("job discarded", job_id=job.job_id, job_type=job.job_type)
    return True


def reschedule(job: JobLog, run_at: datetime, *, who: str, why: str = "") -> bool:
    """Change when a waiting job is due, a past time for now; False when it is running or settled.

    run_at: as `enqueue.check_run_at` allows.
    """
    with transaction.atomic():
        if not job.reschedule(run_at):
            return False
        messages.send_next(job)
        _audit(who, AuditEntry.Act.RESCHEDULE, job.job_id, why, run_at=run_at.isoformat(timespec="seconds"))
    log.info("job rescheduled", job_id=job.job_id, job_type=job.job_type)
    return True


def wake(jobs: JobQuerySet) -> int:
    """Make waiting jobs due now, in the order given, and notify the clusters once; return how many.

    Their lifetime stays. It writes no audit row: an event of the queue's own ended their wait.
    """
    with transaction.atomic():
        wanted = list(jobs.values_list("pk", flat=True))
        rows = JobLog.objects.select_for_update(skip_locked=True).filter(pk__in=wanted, status__in=WAITING).in_bulk()
        JobLog.objects.filter(pk__in=rows).update(run_at=Now())
        messages.send_many([messages.to(rows[pk], rows[pk].attempt_count + 1) for pk in wanted if pk in rows])
    if rows:
        log.info("waiting jobs made due", jobs=len(rows))
    return len(rows)


def apply(action: JobAction, jobs: JobQuerySet, *, who: str, why: str = "") -> int:
    """Apply `replay` or `discard` to each of `jobs`, one transaction each.

    Return how many it moved.
    """
    chosen = jobs.defer("payload", "error", "stack_trace").order_by("pk")
    return sum(action(job, who=who, why=why) for job in chosen.iterator())


def pause(target: str, *, who: str, why: str, until: datetime | None = None) -> bool:
    """Suspend a job type, a lane ("lane:NAME") or ALL_MAIL; False when it was paused already.

    until: when it ends automatically; None: when an operator resumes it.
    """
    with transaction.atomic():
        parts = [pauses.pause(part, who=who, why=why[:LONGEST_WHY], until=until) for part in _parts(target)]
        if not any(parts):
            return False
        _audit(who, AuditEntry.Act.PAUSE, target, why, **({"until": until.isoformat()} if until else {}))
    return True


def resume(target: str, *, who: str) -> bool:
    """Let a paused job type, a lane or ALL_MAIL run again; False when it was not paused.

    An open breaker stays open.
    """
    with transaction.atomic():
        parts = [pauses.resume(part) for part in _parts(target)]
        if not any(parts):
            return False
        _audit(who, AuditEntry.Act.RESUME, target, "")
    return True


def find_target(target: str) -> str:
    """Return `target` if it names a registered job type, a lane ("lane:NAME") or ALL_MAIL. Raise LookupError."""
    known = target == ALL_MAIL or target in LANE_TARGETS or job_types.is_registered(target)
    if not known and not pauses.JobTypeState.objects.filter(job_type=target.replace("\x00", "")).exists():
        raise LookupError(f"no handler is registered for jobs of type {target!r}")
    return target


def find_end(hours: float | None, until: str | None) -> datetime | None:
    """Return the end of a pause: in so many hours, or at a time (ISO 8601, in the site's zone without an offset).

    Return None for neither. Raise ValueError for a time that has passed, or no valid one.
    """
    now = timezone.now()
    if hours is not None and not 0 < hours <= MOST_HOURS:
        raise ValueError(f"hours must be more than 0 and at most {MOST_HOURS}")
    if hours is not None:
        return now + timedelta(hours=hours)
    if not until:
        return None
    end = parse_datetime(until)
    if end is None:
        raise ValueError("the end must be a time like 2026-11-26T18:00")
    end = end if timezone.is_aware(end) else timezone.make_aware(end)
    if end <= now:
        raise ValueError("the end must be in the future")
    return end


def _parts(target: str) -> list[str]:
    return job_types.mail_types() if target == ALL_MAIL else [target]


def _audit(who: str | None, act: str, target: str, why: str, **detail: str) -> None:
    if who is not None:
        audit.record(who, act, target, **({"why": why[:LONGEST_WHY]} if why else {}), **detail)
