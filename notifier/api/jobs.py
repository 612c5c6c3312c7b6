"""Enqueuing a notice and reading its job."""

from typing import Any

from django.http import HttpRequest, HttpResponse
from django.urls import reverse
from ninja import Router, Status

from accounts import site_notices
from jobs import queue
from jobs.api_keys import Scope
from jobs.models import WAITING, JobLog
from notifier.api import answers, given
from notifier.api.auth import BearerKey, Caller, caller_of, refuse
from notifier.api.calls import JobId, documented, find
from notifier.api.problems import Problem

router = Router(tags=["Jobs"])


@router.post(
    "/signin-notification",
    auth=[BearerKey(Scope.ENQUEUE), refuse],
    response={202: answers.JobState, **documented(400, 409, 411, 413, 415)},
    by_alias=True,
    operation_id="enqueueSignInNotification",
    summary="Tell a person that somebody signed in",
)
def enqueue(request: HttpRequest, notification: given.SignInNotification, response: HttpResponse) -> Any:
    """The mail is sent in the background; 202 means that it will not be lost.

    Send the same request again whenever you are not sure: the same jobId (or, without one, the same fields) is one
    mail. 409 means that it had arrived before.
    """
    caller = caller_of(request)
    fields = notification.model_dump()
    job_id = fields.pop("job_id")
    try:
        job = site_notices.enqueue(site_notices.SiteSignIn(**fields), source=str(caller.source), job_id=job_id)
    except queue.Duplicate as there:
        raise _taken(there.job, caller) from None
    except queue.RateLimited as limit:
        raise Problem("too-many-notices", retry_after=limit.retry_after) from None
    response["Location"] = reverse("api:read_job", args=[job.job_id])
    return Status(202, job)


def _taken(job: JobLog, caller: Caller) -> Problem:
    """409; what another source's job is doing is nobody else's business."""
    if job.source != caller.source:
        return Problem("job-id-taken", jobId=job.job_id)
    return Problem("duplicate-job", jobId=job.job_id, status=job.status)


@router.get(
    "/{jobId}",
    auth=[BearerKey(Scope.READ, Scope.ADMIN), refuse],
    response={200: answers.Job, **documented(404)},
    by_alias=True,
    operation_id="readJob",
    summary="Read a job",
)
def read_job(request: HttpRequest, job_id: JobId) -> Any:
    """A key sees the jobs of its own name; with the scope admin, every job."""
    job = find(job_id, caller_of(request))
    return answers.Job(
        job_id=job.job_id,
        job_type=job.job_type,
        status=job.status,
        attempt_count=job.attempt_count,
        max_attempts=job.max_attempts,
        created_at=job.created_at,
        next_attempt_at=job.run_at if job.status in WAITING else None,
        processed_at=job.processed_at,
        error=job.error or None,
    )
