"""Advice about a job: why it has its status, and what the operator can do."""

from dataclasses import dataclass
from datetime import datetime, timedelta

from django.utils.translation import gettext as _

from jobs.admin.parts import durations
from jobs.admin.parts.timeline import is_scheduled
from jobs.core import job_types
from jobs.core.errors import ErrorClass
from jobs.core.job import JobLog, Reason, Status
from jobs.core.pauses import JobTypeState, LaneState

NO_WORKER_AFTER = timedelta(seconds=30)  # a job that is due for longer shows that no worker runs


@dataclass(frozen=True)
class Advice:
    """The advice about one job."""

    why: str  # what happened
    what: str  # what to do
    action: str = ""  # "replay", "discard" or "" for neither


def advise(job: JobLog, state: JobTypeState | LaneState | None, now: datetime) -> Advice:
    """Return the advice about a job.

    state: that of its type or lane, when it is suspended.
    """
    if job.status == Status.DLQ:
        return _dead(job)
    if job.status in (Status.ENQUEUED, Status.FAILED):
        return advise_suspended(state) if state else _waiting(job, now)
    if job.status == Status.PROCESSING:
        return _running(job, now)
    if job.status == Status.COMPLETED:
        return Advice(_("The work is done."), _("Nothing to do."))
    if job.error_class == ErrorClass.OBSOLETE:
        return Advice(_("Nothing was left to do when a worker took the job."), _("Nothing to do."))
    if job.dlq_reason == Reason.CANCELLED:
        return Advice(_("Its caller cancelled it before it ran."), _("Nothing to do."))
    return Advice(_("It was discarded, because it was no longer wanted."), _("Nothing to do."))


def _dead(job: JobLog) -> Advice:
    match job.dlq_reason:
        case Reason.EXHAUSTED if job.error_class == ErrorClass.UNREACHABLE:
            return _unreachable(job)
        case Reason.EXHAUSTED:
            return Advice(
                _("It failed %s times, and the last error was a temporary one.") % job.attempt_count,
                _("Read the last error. When its cause is fixed, press Replay: it gets a fresh round of attempts."),
                "replay",
            )
        case Reason.PERMANENT:
            return Advice(
                _("The server refused it permanently, so it was not tried again."),
                _("The same data will be refused again: press Discard. Replay only if the server has been corrected."),
                "discard",
            )
        case Reason.POISON:
            return Advice(
                _("%s workers died while they ran this job. Most likely the job itself kills them.") % job.lost_count,
                _("Do not replay it before the cause is known; check the workers' logs and memory."),
            )
        case Reason.EXPIRED:
            return Advice(
                _("It was not completed within %s hours of being enqueued.") % f"{job.policy.lifetime / 3600:g}",
                _("A late email would worry users more than it helps: press Discard, unless it is still wanted."),
                "discard",
            )
        case Reason.SUPPRESSED:
            return _suppressed(job)
    return Advice(_("It failed and will not be tried again."), _("Read the last error, then replay or discard it."))


def _suppressed(job: JobLog) -> Advice:
    kind = job_types.get_or_none(job.job_type)
    why, what = kind.presentation.suppressed if kind else ("", "")
    if not why:
        why, what = _("A check before the attempt refused it."), _("Read the last error, then replay or discard it.")
    return Advice(str(why), str(what), "discard")


def _unreachable(job: JobLog) -> Advice:
    why = _("The mail server could not be reached, %s times in a row.") % job.attempt_count
    if job.replayed_automatically:
        return Advice(
            why, _("It was already replayed automatically once. When the server answers, press Replay."), "replay"
        )
    return Advice(
        why, _("When the server answers again, it is replayed automatically, once. Replay does it now."), "replay"
    )


def advise_suspended(state: JobTypeState | LaneState) -> Advice:
    """Return the advice about every waiting job of a suspended type or a paused lane."""
    if isinstance(state, LaneState):
        pause = {"lane": state.get_lane_display(), "who": state.paused_by, "why": state.pause_reason}
        return Advice(
            _("Jobs of the lane %(lane)s are paused by %(who)s: %(why)s") % pause,
            _("The job runs when the lane is resumed."),
        )
    if state.paused_at:
        pause = {"type": state.job_type, "who": state.paused_by, "why": state.pause_reason}
        return Advice(
            _("Jobs of the type %(type)s are paused by %(who)s: %(why)s") % pause,
            _("The job runs when the type is resumed."),
        )
    return Advice(
        _("The breaker of %s is open: the server refuses our configuration (password, TLS, sender).") % state.job_type,
        _("Fix the mail settings. A probe then closes the breaker automatically; no job loses an attempt meanwhile."),
    )


def _waiting(job: JobLog, now: datetime) -> Advice:
    if now - job.run_at > NO_WORKER_AFTER:
        return Advice(
            _("It has been due for %s and no worker has taken it.") % durations.format_duration(now - job.run_at),
            _("Check under Clusters whether one is alive. If not, start manage.py qcluster."),
        )
    if job.status == Status.FAILED and job.bound_to:
        return Advice(
            _("%s may have taken it: the connection broke before it answered. No other provider is tried.")
            % job.bound_to,
            _("Nothing to do: it is tried again there automatically."),
        )
    if job.status == Status.FAILED:
        return Advice(
            _("The last attempt failed; %s more are left.") % job.attempts_left,
            _("Nothing to do: it is retried automatically."),
        )
    if is_scheduled(job, now):
        return Advice(
            _("It is scheduled: it is due in %s.") % durations.format_duration(job.run_at - now),
            _("Nothing to do. Reschedule it to run it earlier or later."),
        )
    return Advice(_("It is waiting for a worker."), _("Nothing to do."))


def _running(job: JobLog, now: datetime) -> Advice:
    if job.lease_until and job.lease_until < now:
        return Advice(
            _("Its worker has not settled it within its lease: it probably died."),
            _("Nothing to do: another worker takes over, if one is alive (see Clusters)."),
        )
    return Advice(_("A worker is running it now."), _("Nothing to do. A running job cannot be stopped."))
