"""What is counted of each move of a job, in the transaction of the move. The names are those of `notifier.metrics`."""

from jobs import counters
from jobs.counters import Count, Sums, timed
from jobs.errors import Failure
from jobs.models import JobLog, Status


def settled(job: JobLog, failure: Failure | None, seconds: float) -> Sums:
    """One attempt that has been settled, `seconds` after its claim; `job.status` is what became of it."""
    kind = job.job_type
    counted = [(Count("attempts", (kind, job.status, failure.error_class if failure else "")), 0.0)]
    counted += [timed("run", seconds, kind)]
    if job.waited is not None:
        counted.append(timed("pickup", job.waited, kind))
    if job.status == Status.COMPLETED:
        counted += [(Count("completed", (kind,)), 0.0), timed("end_to_end", job.age + seconds, kind)]
    if job.status == Status.DLQ:
        counted.append((Count("dead", (kind, job.dlq_reason)), 0.0))
    return counters.sums(counted)


def stale(job: JobLog) -> Sums:
    """A settlement that was refused: the lease was lost meanwhile."""
    return counters.sums([(Count("stale", (job.job_type,)), 0.0)])


def moved(name: str, jobs: list[JobLog]) -> None:
    """Jobs that an operator, or the reconciler, has `replayed` or `discarded`."""
    counters.add(counters.sums((Count(name, (job.job_type,)), 0.0) for job in jobs))


def pruned(rows: list[tuple[str, str]]) -> None:
    """(type, status) of jobs whose rows retention deletes."""
    counters.add(counters.sums((Count("pruned", row), 0.0) for row in rows))


def rate_limited(job_type: str) -> None:
    """A job that was refused; its transaction may roll back, so it is noted, not written."""
    counters.note(Count("rate_limited", (job_type,)))
