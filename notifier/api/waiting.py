"""Waiting for a job to end, within one request."""

import threading
import time

from jobs.core.job import JobLog, Status

ENDED = (Status.COMPLETED, Status.DISCARDED, Status.DLQ)
LONGEST = 20  # seconds
POLL_SECONDS = 0.25
_slots = threading.BoundedSemaphore(1)  # of a process: a request that waits holds a thread that others need


def wait_for_end(job: JobLog, seconds: int) -> JobLog:
    """Return the job when it has ended, at most `seconds` later; immediately when another request waits here."""
    if not seconds or not _slots.acquire(blocking=False):
        return job
    try:
        until = time.monotonic() + seconds
        while job.status not in ENDED and time.monotonic() < until:
            time.sleep(POLL_SECONDS)
            job.refresh_from_db()
    finally:
        _slots.release()
    return job
