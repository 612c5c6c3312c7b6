"""Parts that several operations of the API share."""

import re
import threading
import time
from typing import Annotated, Any

from django.db.models import QuerySet
from ninja import Path

from accounts.sites.job_ids import own_id, stored_id
from accounts.sites.site import Site
from jobs.core.job import STORED_ID, JobLog, Status
from notifier.api import schemas
from notifier.api.auth import Caller
from notifier.api.problems import Problem

ENDED = (Status.COMPLETED, Status.DISCARDED, Status.DLQ)
LONGEST_WAIT = 20  # seconds that a request may wait for a job to end
POLL_SECONDS = 0.25
_slots = threading.BoundedSemaphore(1)  # of a process: a request that waits holds a thread that others need
JobId = Annotated[
    str, Path(alias="jobId", description="1 to 128 of A-Z a-z 0-9 . _ : -", examples=["shop-signin-7f3a"])
]


def error_responses(*statuses: int) -> dict[int, Any]:
    """Return the error responses of an operation, for the OpenAPI document.

    The statuses that every operation has (401, 403, 429, 503) are added.
    """
    common = (401, 403, 429, 503)
    responses: dict[int, Any] = dict.fromkeys(sorted({*common, *statuses}), schemas.ProblemDetails)
    return responses | {status: schemas.Conflict for status in (409, 422) if status in statuses}


def find_job(job_id: str, caller: Caller) -> JobLog:
    """Return the job if the caller may see it. Raises Problem 404 otherwise.

    job_id: in the caller's own form. An administrator may also use the stored form, SOURCE:ID, and another source's own
    form when only one source has such a job.
    """
    own = stored_id(caller.source, job_id)
    others = [job_id, *(stored_id(name, job_id) for name in _sources())] if caller.admin else []
    wanted = {one for one in [own, *others] if re.match(STORED_ID, one)}
    found = JobLog.objects.in_bulk(wanted, field_name="job_id")
    job = found.get(own) or (next(iter(found.values())) if len(found) == 1 else found.get(job_id))
    if job is None or not caller.may_see(job):
        raise Problem("not-found")
    return job


def _sources() -> QuerySet[Site, str]:
    return Site.objects.others().values_list("slug", flat=True)


def id_for(job: JobLog, caller: Caller) -> str:
    """Return the id by which the caller finds the job: the own form, of another source's job the stored form."""
    return own_id(job) if job.source == caller.source else job.job_id


def state_for(job: JobLog, caller: Caller) -> schemas.JobState:
    """Return the body that names a job and its status."""
    return schemas.JobState(job_id=id_for(job, caller), status=job.status)


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
