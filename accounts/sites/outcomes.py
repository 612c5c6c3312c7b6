"""The outcomes of other sites' notices as events: delivered, failed, suppressed (docs/events.md).

They are emitted in the transaction that settles the notice, so that neither is without the other.
"""

from dataclasses import replace

from django.utils import timezone

from accounts.events.confirm import CONFIRM_AFTER
from accounts.events.emit import Event, emit_many
from accounts.events.endpoint import EventType
from accounts.sites.job_ids import own_id
from accounts.suppression.precheck import TURNED_OFF
from jobs.core import retry_policy
from jobs.core.errors import ErrorClass, Failure
from jobs.core.job import THIS_SITE, JobLog, Reason, Status

Settled = list[tuple[JobLog, Failure | None]]


def emit_outcomes(settled: Settled) -> None:
    """Emit the events of settled notices: no query when all are this site's, one when no endpoint wants them."""
    events = [_event(job, failure) for job, failure in settled if job.source != THIS_SITE]
    emit_many([event for event in events if event])


def _event(job: JobLog, failure: Failure | None) -> Event | None:
    """Return the event of a notice's outcome; None when it has none, or may still have another one."""
    match job.status:
        case Status.COMPLETED:
            return _make(job, EventType.DELIVERED)
        case Status.DLQ if failure and job.dlq_reason == Reason.SUPPRESSED:
            return _make(job, EventType.SUPPRESSED, reason=failure.fingerprint.rpartition(" ")[2])
        case Status.DLQ if failure and not _is_replayed_automatically(job, failure):
            return _failed(job, failure)
        case Status.DISCARDED if failure and failure.error.startswith(TURNED_OFF.error):
            return _make(job, EventType.SUPPRESSED, reason="opted-out")
    return None


def _is_replayed_automatically(job: JobLog, failure: Failure) -> bool:
    """Return whether the reconciler will replay the dead letter, when the mail server answers again."""
    stored = retry_policy.count_outage_as_unreachable(failure).error_class
    first = job.dlq_reason == Reason.EXHAUSTED and not job.replayed_automatically
    return first and stored == ErrorClass.UNREACHABLE


def _failed(job: JobLog, failure: Failure) -> Event:
    """Return the event of a notice that failed; later, if a breaker that opens now could replay the notice."""
    event = _make(job, EventType.FAILED, reason=job.dlq_reason, errorClass=str(failure.error_class))
    unsure = job.dlq_reason == Reason.PERMANENT and not job.replayed_automatically
    return replace(event, notice=job.job_id, run_at=timezone.now() + CONFIRM_AFTER if unsure else None)


def _make(job: JobLog, event_type: EventType, **more: str) -> Event:
    data = {"jobId": own_id(job), "userId": job.user_id, **more}
    return Event(source=job.source, event_type=event_type, data=data, key=job.job_id, traceparent=job.traceparent)
