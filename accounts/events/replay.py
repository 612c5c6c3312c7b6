"""Sending events again: one that failed, or all that failed since a time."""

import json
from collections.abc import Sequence
from datetime import datetime
from typing import Any

from django.db import transaction
from django.db.models import QuerySet

from accounts.events import outage, sender
from accounts.events.delivery import EventDelivery
from accounts.events.emit import JOB_TYPE
from accounts.events.endpoint import EventEndpoint
from jobs.core import audit, sql
from jobs.core.job import JobLog, JobQuerySet
from jobs.core.masking import abbreviate_payload
from jobs.queue import actions

CHUNK = 500  # events a transaction


def events_of(endpoint: EventEndpoint) -> JobQuerySet:
    """Return the jobs of an endpoint's events."""
    return JobLog.objects.filter(job_type=JOB_TYPE, source=endpoint.site.slug, payload__endpoint=endpoint.pk)


def bodies_of(endpoint: EventEndpoint, deliveries: Sequence[EventDelivery]) -> dict[str, Any]:
    """Return the masked bodies of these deliveries by the ids of their events; none after their retention."""
    jobs = events_of(endpoint).filter(job_id__in={row.event_id for row in deliveries}).exclude(payload={})
    return {job.job_id: abbreviate_payload(json.loads(sender.body_of(job.payload))) for job in jobs}


def replay_one(endpoint: EventEndpoint, event_id: str, *, who: str) -> JobLog | None:
    """Send one event again that failed: a dead letter, or one that waits for its next attempt.

    Return its job; None when the endpoint has no such event. Its status says whether it is sent again: `enqueued`, or
    `failed` and due now.
    """
    job = events_of(endpoint).filter(job_id=event_id).first()
    if job is not None and not actions.replay(job, who=who):
        with transaction.atomic():
            if actions.wake(outage.waiting(endpoint).filter(pk=job.pk)):
                audit.record(who, audit.AuditEntry.Act.RESCHEDULE, job.job_id)
        job.refresh_from_db()
    return job


def replay_since(endpoint: EventEndpoint, since: datetime, *, who: str) -> int:
    """Send all events again that failed since a time: dead letters, and those that wait; return how many.

    The first CHUNK are sent now, the others by the reconciler, so that no request takes long.
    """
    now = sql.now()
    count = sum(events.count() for events in _failed(endpoint, since, now))
    detail = {"change": "events replayed", "since": since.isoformat(timespec="seconds"), "events": count}
    with transaction.atomic():
        audit.record(who, audit.AuditEntry.Act.CHANGE_ENDPOINT, endpoint.audit_name, **detail)
        EventEndpoint.objects.filter(pk=endpoint.pk).update(replaying_since=since, replaying_before=now)
    endpoint.refresh_from_db()
    _replay_chunk(endpoint)
    return count


def replaying() -> QuerySet[EventEndpoint]:
    """Return the endpoints whose failed events are to be sent again."""
    return EventEndpoint.objects.filter(replaying_since__isnull=False).order_by("pk")


def replay_rest() -> None:
    """Send the failed events again that `replay_since` left over."""
    for endpoint in replaying().select_related("site"):
        while _replay_chunk(endpoint):
            pass


def _replay_chunk(endpoint: EventEndpoint) -> bool:
    """Send up to CHUNK events again; False when none is left. What fails again meanwhile is not sent again."""
    since, before = endpoint.replaying_since, endpoint.replaying_before
    if since is None or before is None:
        return False
    dead, waiting = _failed(endpoint, since, before)
    if actions.replay_many(list(dead[:CHUNK])) or actions.wake(waiting[:CHUNK]):
        return True
    mine = EventEndpoint.objects.filter(pk=endpoint.pk, replaying_before=before)
    mine.update(replaying_since=None, replaying_before=None)
    return False


def _failed(endpoint: EventEndpoint, since: datetime, before: datetime) -> tuple[JobQuerySet, JobQuerySet]:
    """Return the dead letters of an endpoint, and the events that wait for their next attempt."""
    dead = events_of(endpoint).dead().filter(processed_at__gte=since, processed_at__lt=before)
    waiting = outage.waiting(endpoint).filter(processing_at__gte=since, processing_at__lt=before)
    return dead.order_by("pk"), waiting.order_by("pk")
