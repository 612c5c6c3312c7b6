"""Operations on dead letters, for keys with the scope admin and for staff in the browser."""

from typing import Any

from django.db import transaction
from django.http import HttpRequest
from ninja import Query, Router, Status

from accounts.sites.keys import Scope
from jobs.core.job import JobLog
from jobs.queue import actions, bulk_replay
from notifier.api import schemas
from notifier.api.auth import BearerKey, Caller, StaffSession, caller_of, refuse
from notifier.api.operations import JobId, error_responses, find_job, id_for, state_for
from notifier.api.paging import page_of
from notifier.api.problems import Problem

router = Router(tags=["Dead letters"])


@router.get(
    "",
    auth=[BearerKey(Scope.ADMIN), StaffSession("jobs.view_joblog"), refuse],
    response={200: schemas.DeadLetters, **error_responses(400)},
    by_alias=True,
    operation_id="listDeadLetters",
    summary="List dead letters",
)
def list_dead_letters(request: HttpRequest, query: Query[schemas.DeadLetterQuery]) -> Any:
    """The latest first. For the next page, send nextCursor as cursor with the same filters."""
    jobs, next_cursor = page_of(query.criteria().dead_letters(), query.cursor, query.limit)
    caller = caller_of(request)
    items = [schemas.DeadLetter.model_validate(job).model_copy(update={"job_id": id_for(job, caller)}) for job in jobs]
    return schemas.DeadLetters(items=items, next_cursor=next_cursor)


@router.post(
    "/replay",
    auth=[BearerKey(Scope.ADMIN), StaffSession("jobs.replay_joblog"), refuse],
    response={202: schemas.BulkReplayStarted, **error_responses(400, 411, 413, 415)},
    by_alias=True,
    operation_id="replayDeadLetters",
    summary="Replay dead letters by filter",
)
def replay_many(request: HttpRequest, order: schemas.BulkReplayOrder) -> Any:
    """The workers replay one job first, and the others after it has succeeded.

    With dryRun, the matching jobs are only counted and batchId is null.
    """
    wanted = order.filter.criteria()
    if order.dry_run:
        return Status(202, schemas.BulkReplayStarted(matched=wanted.dead_letters().count(), batch_id=None))
    batch = bulk_replay.start(wanted, who=caller_of(request).who)
    return Status(202, schemas.BulkReplayStarted(matched=batch.matched, batch_id=str(batch.pk)))


@router.post(
    "/{jobId}/replay",
    auth=[BearerKey(Scope.ADMIN), StaffSession("jobs.replay_joblog"), refuse],
    response={202: schemas.JobState, **error_responses(404, 409)},
    by_alias=True,
    operation_id="replayDeadLetter",
    summary="Replay a dead letter",
)
def replay(request: HttpRequest, job_id: JobId) -> Any:
    """The job keeps its id and payload and gets fresh attempts."""
    caller = caller_of(request)
    job = find_job(job_id, caller)
    if not actions.replay(job, who=caller.who):
        raise _not_dead(job, caller)
    return Status(202, state_for(job, caller))


@router.post(
    "/{jobId}/discard",
    auth=[BearerKey(Scope.ADMIN), StaffSession("jobs.discard_joblog"), refuse],
    response={202: schemas.JobState, **error_responses(404, 409)},
    by_alias=True,
    operation_id="discardDeadLetter",
    summary="Discard a dead letter",
)
def discard(request: HttpRequest, job_id: JobId) -> Any:
    """The job will not be sent."""
    caller = caller_of(request)
    with transaction.atomic():
        job = find_job(job_id, caller)
        # The lock keeps the row a dead letter: `actions.discard` would accept a waiting job too.
        dead = JobLog.objects.select_for_update().dead().filter(pk=job.pk).first()
        if dead is None or not actions.discard(dead, who=caller.who):
            raise _not_dead(job, caller)
    return Status(202, state_for(dead, caller))


def _not_dead(job: JobLog, caller: Caller) -> Problem:
    job.refresh_from_db(fields=["status"])
    return Problem("not-a-dead-letter", jobId=id_for(job, caller), status=job.status)
