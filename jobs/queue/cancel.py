"""Cancelling: the caller of a job takes it back before it runs."""

import structlog
from django.db import transaction

from jobs.core.job import JobLog
from jobs.queue.actions import LONGEST_WHY
from jobs.stats import job_counts

log = structlog.get_logger("jobs")


def cancel(job_id: str, *, why: str = "") -> bool:
    """Discard a job that waits for its first or next attempt, in the caller's transaction; True when this call did.

    job_id: as it is stored. why: the reason that operators see, without personal data; 200 characters are kept.
    False when there is no such job, and when it is running or settled. Its message stays, and finds nothing to do.
    """
    with transaction.atomic():
        job = JobLog.objects.filter(job_id=job_id).first()
        if job is None or not job.cancel(why.replace("\x00", "")[:LONGEST_WHY]):
            return False
        job_counts.count_moves("discarded", [job])
    log.info("job cancelled", job_id=job.job_id, job_type=job.job_type)
    return True
