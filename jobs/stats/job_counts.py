"""The counts of a job's moves, added in the transaction of the move. Names as in `notifier.ops.collector`."""

from jobs.core import counters
from jobs.core.counters import Count, Sums, timed
from jobs.core.errors import Failure
from jobs.core.job import JobLog, Status


def count_settlement(job: JobLog, failure: Failure | None, seconds: float, status: str = "") -> Sums:
    """Return the counts of an attempt that is settled as `status` (else `job.status`) and took `seconds`."""
    kind, status = job.job_type, status or job.status
    counted = [(Count("attempts", (kind, status, failure.error_class if failure else "")), 0.0)]
    counted += [timed("run", seconds, kind)]
    if job.waited is not None:
        counted.append(timed("pickup", job.waited, kind, job.lane))
    if status == Status.COMPLETED:
        counted += [(Count("completed", (kind,)), 0.0), timed("end_to_end", job.age + seconds, kind)]
    if status == Status.DISCARDED:
        counted.append((Count("discarded", (kind,)), 0.0))
    if status == Status.DLQ:
        counted.append((Count("dead", (kind, job.dlq_reason)), 0.0))
    return counters.sums(counted)


def count_stale(job: JobLog) -> Sums:
    """Return the count of a settlement that was refused because the lease was lost."""
    return counters.sums([(Count("stale", (job.job_type,)), 0.0)])


def count_moves(name: str, jobs: list[JobLog]) -> None:
    """Count jobs that were "replayed" or "discarded"."""
    counters.add(counters.sums((Count(name, (job.job_type,)), 0.0) for job in jobs))


def count_pruned(rows: list[tuple[str, str]]) -> None:
    """Count jobs whose rows retention deletes; rows: their (type, status)."""
    counters.add(counters.sums((Count("pruned", row), 0.0) for row in rows))


def count_rate_limited(job_type: str) -> None:
    """Count a job that was refused.

    Its transaction may roll back, so the count is noted, not written.
    """
    counters.note(Count("rate_limited", (job_type,)))
