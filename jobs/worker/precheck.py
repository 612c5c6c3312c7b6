"""Which claimed jobs must not be tried: those that killed too many workers, are too old, or that their type refuses."""

from collections import defaultdict
from collections.abc import Iterable

from jobs.core import job_types, sql
from jobs.core.errors import ErrorClass, Failure, describe
from jobs.core.job import LOST_LIMIT, JobLog


def refuse(jobs: list[JobLog]) -> dict[int, Failure]:
    """Return the failure of each claimed job that must not be tried, by primary key."""
    refused = {job.pk: failure for job in jobs if (failure := _poison_or_expired(job))}
    by_type: dict[str, list[JobLog]] = defaultdict(list)
    for job in jobs:
        by_type[job.job_type].append(job)
    for name, batch in by_type.items():
        kind = job_types.get_or_none(name)
        if kind and kind.execution.precheck:
            refused = _run_precheck(kind.execution.precheck, batch) | refused
    return refused


def exchange(jobs: Iterable[JobLog]) -> None:
    """Let the types of these jobs exchange what their handlers noted (`job_types.Execution.exchange`)."""
    for name in {job.job_type for job in jobs}:
        if kind := job_types.get_or_none(name):
            kind.execution.exchange()


def _run_precheck(precheck: job_types.Precheck, jobs: list[JobLog]) -> dict[int, Failure]:
    """Return what the type's precheck refuses; if it raises, every job fails with that error."""
    try:
        return precheck(jobs)
    except Exception as exc:
        if sql.is_away(exc):
            raise
        return dict.fromkeys((job.pk for job in jobs), describe(exc))


def _poison_or_expired(job: JobLog) -> Failure | None:
    if job.lost_count >= LOST_LIMIT:
        died = f"{job.lost_count} workers died while they ran this job"
        return Failure(ErrorClass.POISON, "WorkerLost", None, died, "")
    if job.expired:
        late = f"not sent within {job.policy.lifetime / 3600:g} hours"
        return Failure(ErrorClass.EXPIRED, "Expired", None, late, "")
    return None
