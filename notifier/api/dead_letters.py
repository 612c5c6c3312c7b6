"""Listing, replaying and discarding dead letters: for keys with the scope admin, and for the staff's browsers."""

from typing import Any

from django.db import transaction
from django.http import HttpRequest
from ninja import Query, Router, Status

from jobs import audit, bulk, queue
from jobs.api_keys import Scope
from jobs.models import JobLog
from notifier.api import answers, given
from notifier.api.auth import BearerKey, StaffSession, caller_of, refuse
from notifier.api.calls import JobId, documented, find
from notifier.api.pages import page
from notifier.api.problems import Problem

router = Router(tags=["Dead letters"])


@router.get(
    "",
    auth=[BearerKey(Scope.ADMIN), StaffSession("jobs.view_joblog"), refuse],
    response={200: answers.DeadLetters, **documented(400)},
    by_alias=True,
    operation_id="listDeadLetters",
    summary="List dead letters",
)
def list_dead_letters(request: HttpRequest, query: Query[given.DeadLetterQuery]) -> Any:
    """The latest first. For the next page send nextCursor as cursor, with the same filters."""
    chosen = {"reason": query.reason, "errorClass": query.error_class, "jobType": query.job_type}
    dead = bulk.matching({name: value for name, value in chosen.items() if value})
    jobs, next_cursor = page(dead, query.cursor, query.limit)
    items = [answers.DeadLetter.model_validate(job) for job in jobs]
    return answers.DeadLetters(items=items, next_cursor=next_cursor)


@router.post(
    "/replay",
    auth=[BearerKey(Scope.ADMIN), StaffSession("jobs.replay_joblog"), refuse],
    response={202: answers.BulkReplayStarted, **documented(400, 411, 413, 415)},
    by_alias=True,
    operation_id="replayDeadLetters",
    summary="Replay dead letters by filter",
)
def replay_many(request: HttpRequest, order: given.BulkReplayOrder) -> Any:
    """The workers replay them: one first, and the others when it succeeded. dryRun only counts; batchId is null."""
    chosen = order.filter.chosen()
    if order.dry_run:
        return Status(202, answers.BulkReplayStarted(matched=bulk.count(chosen), batch_id=None))
    batch = bulk.start(chosen, who=caller_of(request).who)
    return Status(202, answers.BulkReplayStarted(matched=batch.matched, batch_id=str(batch.pk)))


@router.post(
    "/{jobId}/replay",
    auth=[BearerKey(Scope.ADMIN), StaffSession("jobs.replay_joblog"), refuse],
    response={202: answers.JobState, **documented(404, 409)},
    by_alias=True,
    operation_id="replayDeadLetter",
    summary="Replay a dead letter",
)
def replay(request: HttpRequest, job_id: JobId) -> Any:
    """A fresh round of attempts with the same id and payload."""
    caller = caller_of(request)
    job = find(job_id, caller)
    with transaction.atomic():
        if not queue.replay(job):
            raise _not_dead(job)
        audit.record(caller.who, audit.AuditEntry.Act.REPLAY, job.job_id)
    return Status(202, job)


@router.post(
    "/{jobId}/discard",
    auth=[BearerKey(Scope.ADMIN), StaffSession("jobs.discard_joblog"), refuse],
    response={202: answers.JobState, **documented(404, 409)},
    by_alias=True,
    operation_id="discardDeadLetter",
    summary="Discard a dead letter",
)
def discard(request: HttpRequest, job_id: JobId) -> Any:
    """Nobody wants it sent any more. (`queue.discard` would take a waiting job too: the row is locked meanwhile.)"""
    caller = caller_of(request)
    with transaction.atomic():
        job = find(job_id, caller)
        dead = JobLog.objects.select_for_update().dead().filter(pk=job.pk).first()
        if dead is None or not queue.discard(dead):
            raise _not_dead(job)
        audit.record(caller.who, audit.AuditEntry.Act.DISCARD, job.job_id)
    return Status(202, dead)


def _not_dead(job: JobLog) -> Problem:
    job.refresh_from_db(fields=["status"])
    return Problem("not-a-dead-letter", jobId=job.job_id, status=job.status)
