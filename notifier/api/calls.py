"""What several calls have in common."""

import re
from typing import Annotated, Any

from ninja import Path

from jobs.models import JOB_ID, JobLog
from notifier.api import answers
from notifier.api.auth import Caller
from notifier.api.problems import Problem

JobId = Annotated[
    str, Path(alias="jobId", description="1 to 128 of A-Z a-z 0-9 . _ : -", examples=["shop-signin-7f3a"])
]


def documented(*statuses: int) -> dict[int, Any]:
    """The errors of a call, for the OpenAPI document; those that every call has are added."""
    common = (401, 403, 429, 503)
    found: dict[int, Any] = dict.fromkeys(sorted({*common, *statuses}), answers.ProblemDetails)
    return found | ({409: answers.Conflict} if 409 in statuses else {})


def find(job_id: str, caller: Caller) -> JobLog:
    """The job, if the caller may see it. Raises Problem 404."""
    job = JobLog.objects.filter(job_id=job_id).first() if re.match(JOB_ID, job_id) else None
    if job is None or not caller.may_see(job):
        raise Problem("not-found")
    return job
