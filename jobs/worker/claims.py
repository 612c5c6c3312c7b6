"""Claimed jobs: what a worker remembers of them until they are settled, and how it reports them."""

from dataclasses import dataclass

import structlog

from jobs import tracing
from jobs.core.job import JobLog
from jobs.worker.thread_pool import Outcome

log = structlog.get_logger("jobs.worker.entry")


@dataclass
class Claim:
    """A claimed job that is not settled yet."""

    job: JobLog
    until: float
    """time.monotonic() until which settling is tried: just before the lease ends."""
    outcome: Outcome | None = None


def report(jobs: list[JobLog]) -> None:
    """Trace and log jobs that were just claimed."""
    if tracing.is_on() and jobs:
        with tracing.span("receive", "consumer", links=[job.traceparent for job in jobs], notifier__jobs=len(jobs)):
            pass  # the spans of the jobs have other parents: their links lead here
    for job in jobs:
        waited = None if job.waited is None else round(job.waited * 1000)
        log.info(
            "job processing",
            request_id=job.request_id,
            job_id=job.job_id,
            job_type=job.job_type,
            attempt=job.attempt_count,
            ms=waited,
        )
