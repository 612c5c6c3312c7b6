"""The life of one job as a list of moments, oldest first."""

import itertools
from dataclasses import dataclass, field
from datetime import datetime

from django.utils.translation import gettext as _

from jobs.admin import durations, error_classes, masking
from jobs.audit import AuditEntry
from jobs.models import JobAttempt, JobLog, Status

SHOWN = 50  # throttled jobs may have thousands of attempts
ACTS = {AuditEntry.Act.REPLAY, AuditEntry.Act.DISCARD}


@dataclass
class Moment:
    """One line. tone: good, bad, quiet or now (a CSS class). took: how long it lasted. gap: the wait before it,
    from the end of the moment before."""

    at: datetime | None
    title: str
    tone: str = "quiet"
    took: str = ""
    gap: str = ""
    detail: str = ""
    error: str = ""
    trace: str = ""
    tags: list[str] = field(default_factory=list)
    ended: datetime | None = None


def build(job: JobLog, attempts: list[JobAttempt], acts: list[AuditEntry], now: datetime) -> list[Moment]:
    """Every moment of `job`. attempts: its last SHOWN + 1, newest first. acts: what operators did with it."""
    moments = [Moment(job.created_at, _("Enqueued"), detail=_("by %s") % job.source)]
    if len(attempts) > SHOWN:
        moments.append(Moment(None, _("earlier attempts are not shown")))
    moments += sorted(
        [_tried(attempt) for attempt in attempts[:SHOWN]] + [_acted(act) for act in acts if act.act in ACTS],
        key=lambda moment: moment.at or job.created_at,
    )
    moments += _present(job, now)
    _measure(moments)
    return moments


def _tried(attempt: JobAttempt) -> Moment:
    return Moment(
        attempt.started_at or attempt.ended_at,
        _("Attempt %(number)s: %(outcome)s") % {"number": attempt.number, "outcome": attempt.get_outcome_display()},
        tone="bad",
        took=durations.between(attempt.started_at, attempt.ended_at),
        detail=attempt.worker,
        error=masking.text(masking.cut(attempt.error)),
        trace=masking.text(masking.cut(attempt.trace)),
        tags=[tag for tag in (attempt.fingerprint, error_classes.name(attempt.error_class)) if tag],
        ended=attempt.ended_at,
    )


def _acted(act: AuditEntry) -> Moment:
    title = _("Replayed") if act.act == AuditEntry.Act.REPLAY else _("Discarded")
    return Moment(act.at, title, detail=_("by %s") % act.who)


def _present(job: JobLog, now: datetime) -> list[Moment]:
    """What the job's row says of the present: the attempt that runs, the one to come, or the end."""
    match job.status:
        case Status.PROCESSING:
            title = _("Attempt %s is running") % job.attempt_count
            return [
                Moment(job.processing_at, title, "now", durations.between(job.processing_at, now), detail=job.worker)
            ]
        case Status.FAILED if job.run_at > now:
            return [Moment(job.run_at, _("Next attempt in %s") % durations.spell(job.run_at - now), "now")]
        case Status.FAILED | Status.ENQUEUED:
            title = _("Waiting for a worker for %s") % durations.spell(now - job.run_at)
            return [Moment(job.run_at, title, "now")]
        case Status.COMPLETED:
            title = _("Attempt %s succeeded: completed") % job.attempt_count
            took = durations.between(job.processing_at, job.processed_at)
            return [Moment(job.processing_at or job.processed_at, title, "good", took, detail=job.worker)]
        case Status.DLQ:
            title = _("Dead letter: %s") % job.get_dlq_reason_display()
            return [Moment(job.processed_at, title, "bad")]
    return [Moment(job.processed_at, _("Settled: discarded"))]


def _measure(moments: list[Moment]) -> None:
    """Says how long nothing happened before each moment."""
    for earlier, later in itertools.pairwise(moments):
        end = earlier.ended or earlier.at
        if end and later.at and (later.at - end).total_seconds() >= 1:
            later.gap = durations.spell(later.at - end)
