"""The outage of a receiver: which events wait meanwhile, when its endpoint is turned off, and its end."""

from datetime import datetime, timedelta

import structlog
from django.conf import settings
from django.db import models, transaction
from django.db.models import Case, F, Q, When
from django.db.models.functions import Now

from accounts.events.delivery import EventDelivery
from accounts.events.emit import JOB_TYPE
from accounts.events.endpoint import EventEndpoint, OffReason
from accounts.notices.account import enqueue_mail
from jobs.core.errors import ErrorClass, Failure
from jobs.core.job import WAITING, JobLog, JobQuerySet
from jobs.core.pauses import Lane
from jobs.queue import actions

log = structlog.get_logger("accounts.events")

WAKE_CHUNK = 500  # events that are made due at a time; each batch that is delivered does so with the next ones
FIRST_HOLD, LONGEST_HOLD = timedelta(seconds=4), timedelta(seconds=60)
"""How long a failing endpoint is left alone: a tenth of its outage, within these limits."""
HELD_UNTIL = timedelta(minutes=2)  # an event that was held back during an outage waits by then
GONE = 410


def held_back(endpoint: EventEndpoint, jobs: list[JobLog], now: datetime) -> list[JobLog]:
    """Return those of the claimed events that must wait while their endpoint fails: all but one, or all of them."""
    routine = [job for job in jobs if job.lane != Lane.URGENT]
    failing = now - (endpoint.failing_since or now)
    hold = min(max(failing / 10, FIRST_HOLD), LONGEST_HOLD)
    recent = endpoint.last_failure_at is not None and endpoint.last_failure_at > now - hold
    return routine if recent else routine[1:]


def waiting_failure() -> Failure:
    """Return the failure of an event that waits: it loses no attempt, and comes back after minutes to hours."""
    why = "the receiver is failing: the event waits until another one was delivered"
    return Failure(ErrorClass.THROTTLED, "EndpointFailing", None, why, "", slow=True)


def judge(endpoint: EventEndpoint, attempts: list[EventDelivery]) -> None:
    """Change the state of an endpoint by its new attempts, the oldest first; wake its events after an outage."""
    if any(not attempt.error for attempt in attempts):
        recovered = endpoint.note_success()
        if recovered:
            log.info("receiver works again", endpoint=endpoint.pk)
        if recovered or endpoint.waking:
            wake(endpoint)
    if attempts[-1].error:
        endpoint.note_failure()
        _turn_off(endpoint, gone=any(attempt.status_code == GONE for attempt in attempts))


def wake(endpoint: EventEndpoint) -> int:
    """Make up to WAKE_CHUNK waiting events due now, reports of users first; return how many."""
    urgent_first = Case(When(lane=Lane.URGENT, then=0), default=1)
    count = actions.wake(waiting(endpoint).order_by(urgent_first, "pk")[:WAKE_CHUNK])
    EventEndpoint.objects.filter(pk=endpoint.pk).update(waking=count == WAKE_CHUNK)
    return count


def waiting(endpoint: EventEndpoint) -> JobQuerySet:
    """Return the events of an endpoint that were tried or held back, and are not due yet."""
    mine = JobLog.objects.filter(lane__in=[Lane.URGENT, Lane.BULK], job_type=JOB_TYPE, payload__endpoint=endpoint.pk)
    return mine.filter(status__in=WAITING, attempt_count__gt=0, run_at__gt=Now())


def waking() -> models.QuerySet[EventEndpoint]:
    """Return the endpoints with events that are still to be made due.

    After an outage that are also those that another worker was holding back while it ended.
    """
    just_ended = Q(failing_since=None, last_failure_at__gt=Now() - HELD_UNTIL, last_success_at__gt=F("last_failure_at"))
    return EventEndpoint.objects.filter(Q(waking=True) | just_ended).order_by("pk")


def wake_all() -> None:
    """Make the rest due, when no further success did."""
    for endpoint in waking():
        for _ in range(waiting(endpoint).count() // WAKE_CHUNK + 1):
            wake(endpoint)


def _turn_off(endpoint: EventEndpoint, *, gone: bool) -> None:
    """Turn an endpoint off that is gone, or that has failed for five days; email its site's support in that case."""
    if gone:
        if endpoint.turn_off(OffReason.GONE):
            log.warning("event endpoint turned off", endpoint=endpoint.pk, reason=str(OffReason.GONE))
        return
    with transaction.atomic():
        if not endpoint.turn_off(OffReason.FAILING):
            return
        site = endpoint.site
        if site.support_email:
            language = site.language or settings.LANGUAGE_CODE
            more = {"site": site.brand.stored, "locale": language, "receiver": endpoint.host}
            enqueue_mail("events_off", site.support_email, None, source=site.slug, **more)
    log.warning("event endpoint turned off", endpoint=endpoint.pk, reason=str(OffReason.FAILING))
