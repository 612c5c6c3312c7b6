"""Sending events: the precheck with the database, the handler without it, and the exchange that writes what it noted.

While an endpoint fails, one event of a batch is tried at a time and the others wait, so that a receiver that is away
or hangs costs little. The first success wakes them (accounts/events/outage.py). Reports of users are always tried.
"""

import json
import threading
import time
from collections import defaultdict
from dataclasses import dataclass, field
from typing import Any

import structlog
from django.db import Error, connection, transaction
from django.utils import timezone

from accounts.events import confirm, outage, request, signature
from accounts.events.delivery import EventDelivery
from accounts.events.endpoint import EventEndpoint
from accounts.secrecy import vault
from jobs import tracing
from jobs.core import sql
from jobs.core.errors import ErrorClass, Failure, Permanent, Temporary
from jobs.core.job import JobLog
from jobs.core.masking import abbreviate, escape_controls

log = structlog.get_logger("accounts.events")

MOST_NOTES = 1_000  # attempts that are kept while the database cannot be written
SUCCESS = range(200, 300)
LONGEST_ERROR = 300


@dataclass(frozen=True)
class Receiver:
    """What the handler knows about an endpoint."""

    url: str
    secrets: list[str]


@dataclass
class Attempts:
    """What this process knows about endpoints, and the attempts that it has not written yet."""

    receivers: dict[int, Receiver] = field(default_factory=dict)
    noted: list[EventDelivery] = field(default_factory=list)
    lock: threading.Lock = field(default_factory=threading.Lock)

    def note(self, attempt: EventDelivery) -> None:
        """Keep an attempt until it is written."""
        with self.lock:
            self.noted.append(attempt)

    def take(self) -> list[EventDelivery]:
        """Return the attempts that are not written, and forget them."""
        with self.lock:
            noted, self.noted = self.noted, []
        return noted

    def restore(self, attempts: list[EventDelivery]) -> None:
        """Keep attempts that could not be written; the oldest are dropped when there are too many."""
        with self.lock:
            self.noted = [*attempts, *self.noted][-MOST_NOTES:]


this_process = Attempts()


def check_events(jobs: list[JobLog]) -> dict[int, Failure]:
    """Load the endpoints of claimed events; return why events must not be tried now, by primary key."""
    endpoints = EventEndpoint.objects.in_bulk({_endpoint_of(job) for job in jobs})
    refused: dict[int, Failure] = confirm.check_failed_notices(jobs)
    by_endpoint: dict[int, list[JobLog]] = defaultdict(list)
    for job in jobs:
        if job.pk not in refused:
            by_endpoint[_endpoint_of(job)].append(job)
    failing = any(endpoint.failing_since for endpoint in endpoints.values())
    now = sql.now() if failing else timezone.now()
    for pk, mine in by_endpoint.items():
        endpoint = endpoints.get(pk)
        if failure := _failure_of(endpoint):
            refused |= dict.fromkeys((job.pk for job in mine), failure)
        elif endpoint and endpoint.failing_since:
            wait = outage.waiting_failure()
            refused |= {job.pk: wait for job in outage.held_back(endpoint, mine, now)}
    return refused


def _endpoint_of(job: JobLog) -> int:
    return int(job.payload.get("endpoint") or 0)


def _failure_of(endpoint: EventEndpoint | None) -> Failure | None:
    """Return why nothing can be sent to an endpoint; remember what the handler needs when something can."""
    if endpoint is None:
        return Failure(ErrorClass.OBSOLETE, "EndpointDeleted", None, "the event endpoint was deleted", "")
    if not endpoint.is_on:
        why = f"the event endpoint is off ({endpoint.off_reason}); replay the event when it is on again"
        return Failure(ErrorClass.PERMANENT, "EndpointOff", None, why, "")
    try:
        this_process.receivers[endpoint.pk] = Receiver(endpoint.url, endpoint.secrets())
    except vault.Unreadable:
        why = "no key of the settings can read the secret of the event endpoint (docs/secrets.md)"
        return Failure(ErrorClass.CONFIGURATION, "SecretUnreadable", None, why, "", slow=True)
    return None


def deliver(job: JobLog) -> None:
    """Send an event: the handler of its job type. Raise `jobs.core.errors`.

    410 is permanent; anything else that is not a success is tried again.
    """
    receiver = this_process.receivers[_endpoint_of(job)]
    began = time.monotonic()
    status, excerpt, error = _send(job, receiver)
    this_process.note(
        EventDelivery(
            endpoint_id=_endpoint_of(job),
            event_id=job.job_id,
            event_type=job.payload["type"],
            attempt=job.attempt_count,
            status_code=status,
            milliseconds=round((time.monotonic() - began) * 1000),
            response=excerpt,
            error=error,
        )
    )
    if status == outage.GONE:
        raise Permanent(error, code=status)
    if error:
        raise Temporary(error, code=status)


def _send(job: JobLog, receiver: Receiver) -> tuple[int | None, str, str]:
    """Make one attempt; return the status, the masked beginning of the response, and the error."""
    body, now = body_of(job.payload), int(time.time())
    headers = signature.headers_of(receiver.secrets, job.job_id, now, body)
    with tracing.span("POST", "client", http__request__method="POST", notifier__event=job.payload["type"]):
        if parent := tracing.traceparent():
            headers = {**headers, "traceparent": parent}
        try:
            response = request.post(receiver.url, body, headers)
        except request.Failed as failed:
            tracing.fail("connection")
            return None, "", str(failed)
        error = "" if response.status in SUCCESS else f"the receiver answered {response.status}"
        if error:
            tracing.fail(str(response.status))
    return response.status, _mask(response.excerpt), error


def body_of(payload: dict[str, Any]) -> bytes:
    """Return the body of an event, equal for every attempt."""
    sent = {name: payload[name] for name in ("type", "timestamp", "data")}
    return json.dumps(sent, ensure_ascii=False, separators=(",", ":")).encode()


def _mask(excerpt: bytes) -> str:
    """Return a response as it is stored: without addresses, NUL and control characters."""
    text = excerpt.decode("utf-8", "replace").replace("\x00", "")
    return abbreviate(escape_controls(text))[: request.EXCERPT_BYTES]


def exchange() -> None:
    """Write the noted attempts and what they say about their endpoints. Never raises.

    Called in the main thread of a worker, before the handlers of a batch and after them.
    """
    if not (noted := this_process.take()):
        return
    try:
        with transaction.atomic():
            _write(noted)
    except Error as away:
        this_process.restore(noted)
        log.warning("deliveries of events not written", error=type(away).__name__)
        connection.close()


def _write(noted: list[EventDelivery]) -> None:
    """Write attempts, as new rows even when an earlier try gave them primary keys and failed."""
    for attempt in noted:
        attempt.pk = None
    known = EventEndpoint.objects.select_related("site").in_bulk({attempt.endpoint_id for attempt in noted})
    EventDelivery.objects.bulk_create([attempt for attempt in noted if attempt.endpoint_id in known])
    for pk, endpoint in sorted(known.items()):
        outage.judge(endpoint, [attempt for attempt in noted if attempt.endpoint_id == pk])
