"""Operations on jobs: enqueue a notice, read its job, cancel it."""

from functools import cache
from typing import Annotated, Any

from django.http import HttpRequest, HttpResponse
from django.urls import reverse
from ninja import Header, Query, Router, Status
from pydantic import ValidationError

from accounts.sites.job_ids import own_id
from accounts.sites.keys import Scope
from accounts.sites.sign_ins import SiteSignIn, may_be_notice_of, record_site_sign_in
from accounts.sites.site import Site
from jobs.core.job import WAITING, JobLog
from jobs.queue.cancel import cancel
from jobs.queue.enqueue import Duplicate, RateLimited
from notifier.api import fields, schemas
from notifier.api.auth import BearerKey, Caller, caller_of, count_request, refuse, site_of
from notifier.api.operations import LONGEST_WAIT, JobId, error_responses, find_job, id_for, state_for, wait_for_end
from notifier.api.paging import newest_of
from notifier.api.problems import Problem

router = Router(tags=["Jobs"])
IdempotencyKey = Annotated[
    str | None,
    Header(
        alias=fields.IDEMPOTENCY_HEADER,
        pattern=fields.IDEMPOTENCY_KEY,
        description="Another name for jobId: 1 to 128 of A-Z a-z 0-9 . _ : -, with or without quotation marks.",
    ),
]

Wait = Annotated[
    int,
    Query(
        ge=0,
        le=LONGEST_WAIT,
        description="Seconds to wait for the job to end. The response may come earlier: in each web process only one "
        "request waits at a time.",
    ),
]


@router.post(
    "/signin-notification",
    auth=[BearerKey(Scope.ENQUEUE), refuse],
    response={202: schemas.Accepted, **error_responses(400, 409, 411, 413, 415, 422)},
    by_alias=True,
    operation_id="enqueueSignInNotification",
    summary="Enqueue a sign-in notification",
)
def enqueue(
    request: HttpRequest,
    notification: schemas.SignInNotification,
    response: HttpResponse,
    idempotency_key: IdempotencyKey = None,
) -> Any:
    """The email is sent in the background. 202 means that it is stored and will not be lost.

    Repeat the request whenever the result is unknown: the same jobId (or, without one, the same fields) is sent as one
    email. 409 means that the notification had arrived before, 422 that the jobId belongs to another user. The header
    Idempotency-Key is another name for jobId; with it a repeat is answered with 202 like the first request and marked
    with Idempotency-Replayed, and 422 also means that the body differs from that of the first request.
    """
    caller = caller_of(request)
    job, repeated = _record(notification, caller, idempotency_key)
    if repeated:
        response["Idempotency-Replayed"] = "true"
    response["Location"] = _jobs_path() + own_id(job)
    return Status(202, _accepted(job, caller))


@cache
def _jobs_path() -> str:
    """Return the path of a job without its id, which has no character that a path must quote."""
    return reverse("api:read_job", args=["-"]).removesuffix("-")


@router.post(
    "/signin-notification/batch",
    auth=[BearerKey(Scope.ENQUEUE), refuse],
    response={200: schemas.BatchResults, **error_responses(400, 411, 413, 415)},
    by_alias=True,
    operation_id="enqueueSignInNotifications",
    summary="Enqueue up to 100 sign-in notifications",
)
def enqueue_batch(request: HttpRequest, batch: schemas.Batch) -> Any:
    """Each item is handled like a request of its own, and its result has the status and the body of the response.

    So an invalid item refuses no other one. Each item counts as a request of the key.
    """
    caller = caller_of(request)
    for _ in batch.items[1:]:
        count_request("key", str(request.api_key))  # type: ignore[attr-defined]
    return schemas.BatchResults(items=[_item_result(item, caller) for item in batch.items])


def _item_result(item: dict[str, Any], caller: Caller) -> schemas.BatchResult:
    try:
        job, _repeated = _record(_validated(item), caller, None)
        body = _accepted(job, caller).model_dump(by_alias=True)
        return schemas.BatchResult(status=202, body=body)
    except Problem as problem:
        return schemas.BatchResult(status=problem.status, body=problem.body)


def _validated(item: dict[str, Any]) -> schemas.SignInNotification:
    """Return the notification of an item. Raise Problem, as for a request, when it is invalid."""
    try:
        return schemas.SignInNotification.model_validate(item)
    except ValidationError as invalid:
        located = [{**error, "loc": ("item", *error["loc"])} for error in invalid.errors()]
        raise Problem("invalid-fields", errors=fields.field_errors(located)) from None


def _record(
    notification: schemas.SignInNotification, caller: Caller, idempotency_key: str | None
) -> tuple[JobLog, bool]:
    """Record a sign-in; return the job of its notice, and whether a repeated request had made it. Raise Problem."""
    given = notification.model_dump()
    job_id = _one_id(given.pop("job_id"), idempotency_key)
    sign_in = SiteSignIn(**given)
    try:
        return record_site_sign_in(sign_in, site_of(caller), job_id=job_id), False
    except Duplicate as duplicate:
        with_key = idempotency_key is not None
        return _repeated(duplicate.job, sign_in, site_of(caller), with_key=with_key), True
    except RateLimited as limit:
        raise Problem("too-many-notices", retry_after=limit.retry_after) from None


def _accepted(job: JobLog, caller: Caller) -> schemas.Accepted:
    """Return the body of a 202: the job, and the verdict on the sign-in."""
    return schemas.Accepted(
        job_id=id_for(job, caller),
        status=job.status,
        new_device=job.payload.get("newDevice") is True,
        signals=list(job.payload.get("signals") or ()),
    )


def _one_id(job_id: str | None, key: str | None) -> str | None:
    """Return the job id that a request names, in its body or in its header; None for none. Raise Problem for two."""
    key = key.strip('"') if key else None
    if job_id and key and job_id != key:
        error = {"field": "jobId", "message": "must be equal to the header Idempotency-Key, or left out"}
        raise Problem("invalid-fields", errors=[error])
    return key or job_id


def _repeated(job: JobLog, sign_in: SiteSignIn, site: Site, *, with_key: bool) -> JobLog:
    """Return the job that a request with an Idempotency-Key repeats. Raise the 409 without one.

    Raise the 422 when the job is another user's, or of another request, so that no notice was sent.
    """
    if job.user_id and job.user_id != sign_in.user_id:  # of a deleted row only the id is known
        raise Problem("job-id-of-another-user", jobId=own_id(job))
    if not with_key:
        raise Problem("duplicate-job", jobId=own_id(job), status=job.status)
    if not may_be_notice_of(job, sign_in, site):
        raise Problem("idempotency-key-reused", jobId=own_id(job))
    return job


@router.get(
    "",
    auth=[BearerKey(Scope.READ, Scope.ADMIN), refuse],
    response={200: schemas.Jobs, **error_responses(400)},
    by_alias=True,
    operation_id="listJobs",
    summary="List jobs",
)
def list_jobs(request: HttpRequest, query: Query[schemas.JobQuery]) -> Any:
    """The jobs of the key's site, the latest first. For the next page, send nextCursor as cursor."""
    caller = caller_of(request)
    own = JobLog.objects.of_site(site_of(caller).slug)
    wanted = own.filter(status=query.status) if query.status else own
    found, next_cursor = newest_of(wanted, query.cursor, query.limit)
    return schemas.Jobs(items=[_body(job, caller) for job in found], next_cursor=next_cursor)


@router.get(
    "/{jobId}",
    auth=[BearerKey(Scope.READ, Scope.ADMIN), refuse],
    response={200: schemas.Job, **error_responses(400, 404)},
    by_alias=True,
    operation_id="readJob",
    summary="Read a job",
)
def read_job(request: HttpRequest, job_id: JobId, wait: Wait = 0) -> Any:
    """A key may read the jobs of its own site. With the scope admin, it may read every job."""
    caller = caller_of(request)
    return _body(wait_for_end(find_job(job_id, caller), wait), caller)


def _body(job: JobLog, caller: Caller) -> schemas.Job:
    return schemas.Job(
        job_id=id_for(job, caller),
        job_type=job.job_type,
        status=job.status,
        attempt_count=job.attempt_count,
        max_attempts=job.max_attempts,
        created_at=job.created_at,
        next_attempt_at=job.run_at if job.status in WAITING else None,
        processed_at=job.processed_at,
        error=job.error or None,
    )


@router.post(
    "/{jobId}/cancel",
    auth=[BearerKey(Scope.ENQUEUE), refuse],
    response={202: schemas.JobState, **error_responses(404, 409)},
    by_alias=True,
    operation_id="cancelJob",
    summary="Cancel a job that waits",
)
def cancel_job(request: HttpRequest, job_id: JobId) -> Any:
    """The job is discarded, if it waits for its first or next attempt. A key may cancel the jobs of its own site."""
    caller = caller_of(request)
    job = find_job(job_id, caller)
    if job.source != caller.source:
        raise Problem("not-found")
    cancelled = cancel(job.job_id, why="cancelled by its site")
    job = find_job(job_id, caller)  # as it is now; an erased one is a 404
    if not cancelled:
        raise Problem("not-waiting", jobId=own_id(job), status=job.status)
    return Status(202, state_for(job, caller))
