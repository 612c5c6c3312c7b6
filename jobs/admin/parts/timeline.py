"""The events of one job's life, oldest first, for its page in the admin and for `manage.py jobs show`."""

import itertools
from dataclasses import dataclass, field
from datetime import datetime

from django.utils.translation import gettext as _
from django.utils.translation import gettext_lazy as _lazy

from jobs.admin.parts import durations, error_classes
from jobs.core import masking
from jobs.core.attempts import JobAttempt
from jobs.core.audit import AuditEntry
from jobs.core.job import JobLog, Reason, Status

SHOWN = 50  # throttled jobs may have thousands of attempts
ACTS = {
    AuditEntry.Act.REPLAY: _lazy("Replayed"),
    AuditEntry.Act.DISCARD: _lazy("Discarded"),
    AuditEntry.Act.RESCHEDULE: _lazy("Rescheduled"),
}


@dataclass
class Event:
    """One line of the timeline."""

    at: datetime | None
    title: str
    tone: str = "quiet"  # a CSS class: good, bad, quiet or now
    took: str = ""  # how long it lasted
    gap: str = ""  # the wait before it, from the end of the event before
    detail: str = ""
    error: str = ""
    trace: str = ""
    tags: list[str] = field(default_factory=list)
    ended: datetime | None = None


def load_timeline(job: JobLog, now: datetime) -> list[Event]:
    """Return the events of a job: its last SHOWN attempts and operators' actions."""
    attempts = list(job.attempts.order_by("-number")[: SHOWN + 1])
    acts = list(AuditEntry.objects.filter(target=job.job_id).order_by("-id")[:SHOWN])
    return build_timeline(job, attempts, acts, now)


def build_timeline(job: JobLog, attempts: list[JobAttempt], acts: list[AuditEntry], now: datetime) -> list[Event]:
    """Return the events of a job.

    attempts: its last SHOWN + 1, newest first. acts: the audit rows about it.
    """
    events = [Event(job.created_at, _("Enqueued"), detail=_("by %s") % job.source)]
    if len(attempts) > SHOWN:
        events.append(Event(None, _("earlier attempts are not shown")))
    events += sorted(
        [_attempted(attempt) for attempt in attempts[:SHOWN]] + [_acted(act) for act in acts if act.act in ACTS],
        key=lambda event: event.at or job.created_at,
    )
    events += _present(job, now)
    _measure(events)
    return events


def _attempted(attempt: JobAttempt) -> Event:
    return Event(
        attempt.started_at or attempt.ended_at,
        _("Attempt %(number)s: %(outcome)s") % {"number": attempt.number, "outcome": attempt.get_outcome_display()},
        tone="bad",
        took=durations.format_between(attempt.started_at, attempt.ended_at),
        detail=attempt.worker,
        error=masking.abbreviate(attempt.error),
        trace=masking.abbreviate(attempt.trace),
        tags=[tag for tag in (attempt.fingerprint, error_classes.label_of(attempt.error_class)) if tag],
        ended=attempt.ended_at,
    )


def _acted(act: AuditEntry) -> Event:
    return Event(act.at, str(ACTS[AuditEntry.Act(act.act)]), detail=_("by %s") % act.who)


def is_scheduled(job: JobLog, now: datetime) -> bool:
    """Return whether the job's first attempt is due later than `now`."""
    return job.status == Status.ENQUEUED and job.run_at > now


def _present(job: JobLog, now: datetime) -> list[Event]:
    """Return the job's present: the running attempt, the next one, or the end."""
    match job.status:
        case Status.PROCESSING:
            title = _("Attempt %s is running") % job.attempt_count
            return [
                Event(
                    job.processing_at, title, "now", durations.format_between(job.processing_at, now), detail=job.worker
                )
            ]
        case Status.FAILED if job.run_at > now:
            return [Event(job.run_at, _("Next attempt in %s") % durations.format_duration(job.run_at - now), "now")]
        case Status.ENQUEUED if is_scheduled(job, now):
            return [Event(job.run_at, _("Due in %s") % durations.format_duration(job.run_at - now), "now")]
        case Status.FAILED | Status.ENQUEUED:
            title = _("Waiting for a worker for %s") % durations.format_duration(now - job.run_at)
            return [Event(job.run_at, title, "now")]
        case Status.COMPLETED:
            title = _("Attempt %s succeeded: completed") % job.attempt_count
            took = durations.format_between(job.processing_at, job.processed_at)
            return [Event(job.processing_at or job.processed_at, title, "good", took, detail=job.worker)]
        case Status.DLQ:
            title = _("Dead letter: %s") % job.get_dlq_reason_display()
            return [Event(job.processed_at, title, "bad")]
        case Status.DISCARDED if job.dlq_reason == Reason.CANCELLED:
            return [Event(job.processed_at, _("Cancelled by its caller"))]
    return [Event(job.processed_at, _("Settled: discarded"))]


def _measure(events: list[Event]) -> None:
    """Set the gap before each event."""
    for earlier, later in itertools.pairwise(events):
        end = earlier.ended or earlier.at
        if end and later.at and (later.at - end).total_seconds() >= 1:
            later.gap = durations.format_duration(later.at - end)
