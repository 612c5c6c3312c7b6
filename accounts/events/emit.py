"""Emitting an event: one job for each endpoint of the site that wants it, in the caller's transaction."""

import hashlib
from collections import defaultdict
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from django.db import transaction
from django.utils import timezone

from accounts.events.endpoint import EventEndpoint, EventType
from jobs.core.job import THIS_SITE, JobLog
from jobs.core.pauses import Lane
from jobs.queue.enqueue import enqueue_jobs, new_job

JOB_TYPE = "event"


@dataclass(frozen=True)
class Event:
    """Something that happened, for the endpoints of one site."""

    source: str
    """The slug of the site."""
    event_type: str
    """An `EventType`."""
    data: dict[str, Any]
    """JSON values, without addresses, IP addresses, names and user agents."""
    key: str
    """Names what happened: an event with the same type and key is sent once."""
    run_at: datetime | None = None
    """When it is sent first; None: now."""
    traceparent: str = ""
    """The trace that it belongs to; "": that of the present span."""
    notice: str = ""
    """The stored id of the notice that failed: the event is sent while that is a dead letter (confirm.py)."""


def emit(source: str, event_type: str, data: dict[str, Any], *, key: str) -> None:
    """Emit an event to the endpoints of a site, in the caller's transaction; see `Event` for the arguments."""
    emit_many([Event(source, event_type, data, key)])


def emit_many(events: Sequence[Event]) -> None:
    """Emit events with one query for the endpoints of all their sites; none for events of this site.

    The jobs are written in a savepoint. An event that was emitted before is not emitted again.
    """
    wanted = [event for event in events if event.source != THIS_SITE]
    if not wanted:
        return
    endpoints: dict[str, list[EventEndpoint]] = defaultdict(list)
    for endpoint in (
        EventEndpoint.objects.on().filter(site__slug__in={event.source for event in wanted}).select_related("site")
    ):
        endpoints[endpoint.site.slug].append(endpoint)
    jobs = [_job(event, to) for event in wanted for to in endpoints[event.source] if to.wants(event.event_type)]
    if jobs:
        jobs.sort(key=lambda job: (job.source, job.user_id))  # everyone locks users in this order
        with transaction.atomic():
            enqueue_jobs(jobs)


def ping(endpoint: EventEndpoint, *, key: str) -> JobLog:
    """Send a test event to one endpoint, whatever types it wants; return its job."""
    job = _job(Event(endpoint.site.slug, EventType.PING, {}, key), endpoint)
    with transaction.atomic():
        enqueue_jobs([job])
    return job


def _job(event: Event, endpoint: EventEndpoint) -> JobLog:
    """Return the job that sends an event to an endpoint. Its payload holds what the body is made of."""
    payload = {
        "endpoint": endpoint.pk,
        "type": event.event_type,
        "timestamp": timezone.now().isoformat(timespec="milliseconds").replace("+00:00", "Z"),
        "data": event.data,
        **({"notice": event.notice} if event.notice else {}),
    }
    return new_job(
        JOB_TYPE,
        payload,
        job_id=event_id(endpoint.pk, event.event_type, event.key),
        user_id=str(event.data.get("userId", "")),
        source=event.source,
        lane=Lane.URGENT if event.event_type == EventType.DISPUTED else Lane.BULK,
        run_at=event.run_at,
        traceparent=event.traceparent,
    )


def event_id(endpoint: int, event_type: str, key: str) -> str:
    """Return the id of an event at an endpoint, the header webhook-id: equal for every attempt."""
    digest = hashlib.sha256(f"{endpoint}\n{event_type}\n{key}".encode()).hexdigest()
    return f"evt_{digest[:32]}"
