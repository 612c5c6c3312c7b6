"""What operators do with schedules; each action and its audit row are one transaction. who: as the audit names them."""

from datetime import UTC

import structlog
from django.db import transaction
from django.db.models.functions import Now

from jobs.core import audit, sql
from jobs.core.audit import AuditEntry
from jobs.core.job import JobLog
from jobs.queue.actions import LONGEST_WHY
from jobs.schedules import registry
from jobs.schedules.registry import Schedule
from jobs.schedules.state import ScheduleState

log = structlog.get_logger("jobs")

TARGET = "schedule"  # in the audit: "schedule:NAME"


def find(name: str) -> Schedule:
    """Return a schedule of the settings. Raises LookupError, which says why, for one that is wrong or not there."""
    found = registry.all_schedules().get(name)
    if found is not None:
        return found
    wrong = [fault for fault in registry.faults() if fault.name == name]
    raise LookupError("; ".join(fault.what for fault in wrong) or f"there is no schedule {name!r} in SCHEDULES")


def run_now(name: str, *, who: str, why: str = "") -> JobLog:
    """Enqueue the job of a schedule now, paused or not; its ticks stay.

    Raises Duplicate when it was started within this second, LookupError for a name that is not in the settings, and
    what `enqueue_task` raises.
    """
    schedule = find(name)
    with transaction.atomic():
        job_id = f"schedule:{name}:now-{sql.now().astimezone(UTC):%Y-%m-%dT%H:%M:%SZ}"
        job = schedule.work.enqueue(job_id, schedule.lane)
        ScheduleState.objects.filter(name=name).update(last_job_id=job_id)
        _audit(who, AuditEntry.Act.RUN_NOW, name, why, job_id=job_id)
    log.info("schedule was run", schedule=name, job_id=job_id)
    return job


def pause(name: str, *, who: str, why: str = "") -> bool:
    """Stop a schedule's ticks; False when it was paused already, or has no row yet. Jobs that wait still run."""
    with transaction.atomic():
        row = ScheduleState.objects.filter(name=name, paused_at=None)
        if not row.update(paused_at=Now(), paused_by=who[:150], pause_reason=why[:LONGEST_WHY]):
            return False
        _audit(who, AuditEntry.Act.PAUSE, name, why)
    return True


def resume(name: str, *, who: str, why: str = "") -> bool:
    """Let a schedule tick again, from now on: the ticks of the pause are not made up. False when it was not paused."""
    with transaction.atomic():
        row = ScheduleState.objects.select_for_update().filter(name=name, paused_at__isnull=False).first()
        if row is None:
            return False
        row.resume(sql.now())
        _audit(who, AuditEntry.Act.RESUME, name, why)
    return True


def _audit(who: str, act: str, name: str, why: str, **detail: str) -> None:
    audit.record(who, act, f"{TARGET}:{name}", **({"why": why[:LONGEST_WHY]} if why else {}), **detail)
