"""Why a job is where it is, in plain words, and what an operator would press."""

from dataclasses import dataclass
from datetime import datetime, timedelta

from django.conf import settings
from django.utils.translation import gettext as _

from jobs.admin import durations
from jobs.errors import ErrorClass
from jobs.models import JobLog, Reason, Status
from jobs.pauses import JobTypeState

LATE = timedelta(seconds=30)  # a due job that nobody took for so long says that no worker runs


@dataclass(frozen=True)
class Advice:
    """why: what happened. what: what to do. press: "replay", "discard" or "" (nothing)."""

    why: str
    what: str
    press: str = ""


def give(job: JobLog, state: JobTypeState | None, now: datetime) -> Advice:
    """The advice for one job. state: of its type, when it has one."""
    if job.status == Status.DLQ:
        return _dead(job)
    if job.status in (Status.ENQUEUED, Status.FAILED):
        return held(state) if state else _waiting(job, now)
    if job.status == Status.PROCESSING:
        return _running(job, now)
    if job.status == Status.COMPLETED:
        return Advice(_("The work is done."), _("Nothing to do."))
    return Advice(_("Somebody decided that this job is not wanted any more."), _("Nothing to do."))


def _dead(job: JobLog) -> Advice:
    match job.dlq_reason:
        case Reason.EXHAUSTED if job.error_class == ErrorClass.UNREACHABLE:
            return _unreachable(job)
        case Reason.EXHAUSTED:
            return Advice(
                _("It failed %s times, and the last error was temporary by its nature.") % job.attempt_count,
                _("Read the last error. When its cause is mended, press Replay: it gets a fresh round of attempts."),
                "replay",
            )
        case Reason.PERMANENT:
            return Advice(
                _("The other side refused it for good, so it was not tried again."),
                _("The same data will be refused again: press Discard. Replay only if they mended it on their side."),
                "discard",
            )
        case Reason.POISON:
            return Advice(
                _("%s workers died while they ran this job. Most likely the job itself kills them.") % job.lost_count,
                _("Do not replay it before somebody has found out why; look at the workers' logs and memory."),
            )
        case Reason.EXPIRED:
            return Advice(
                _("It was still not done %s hours after it was enqueued.") % settings.JOB_EXPIRES_HOURS,
                _("So late, the mail would worry people more than it helps: press Discard, unless it is still wanted."),
                "discard",
            )
        case Reason.SUPPRESSED:
            return Advice(
                _("Mails to this address bounced, or were called spam, so it is not written to."),
                _("Press Discard. Or lift the address under Undeliverable addresses, then press Replay."),
                "discard",
            )
    return Advice(_("It failed and will not be tried again."), _("Read the last error, then replay or discard it."))


def _unreachable(job: JobLog) -> Advice:
    why = _("The mail server could not be reached, %s times in a row.") % job.attempt_count
    if job.auto_replayed:
        return Advice(
            why, _("It was replayed by itself once already. When the server answers, press Replay."), "replay"
        )
    return Advice(why, _("When the server answers again it is replayed by itself, once. Replay does it now."), "replay")


def held(state: JobTypeState) -> Advice:
    """The advice for every waiting job of a type that is held."""
    if state.paused_at:
        told = {"type": state.job_type, "who": state.paused_by, "why": state.pause_reason}
        return Advice(
            _("Jobs of the type %(type)s are paused by %(who)s: %(why)s") % told, _("It goes on when they are resumed.")
        )
    return Advice(
        _("The breaker of %s is open: the server refuses our configuration (password, TLS, sender).") % state.job_type,
        _("Mend the mail settings. A probe closes the breaker by itself; no job loses an attempt meanwhile."),
    )


def _waiting(job: JobLog, now: datetime) -> Advice:
    if now - job.run_at > LATE:
        return Advice(
            _("It has been due for %s and no worker has taken it.") % durations.spell(now - job.run_at),
            _("Look at Clusters: is one alive? If not, start manage.py qcluster."),
        )
    if job.status == Status.FAILED:
        return Advice(
            _("The last attempt failed; %s more are left.") % job.attempts_left,
            _("Nothing to do: it is tried again by itself."),
        )
    return Advice(_("It waits for a worker."), _("Nothing to do."))


def _running(job: JobLog, now: datetime) -> Advice:
    if job.lease_until and job.lease_until < now:
        return Advice(
            _("Its worker has said nothing since its lease ended: it probably died."),
            _("Nothing to do: another worker takes it over, if one is alive (see Clusters)."),
        )
    return Advice(_("A worker is on it right now."), _("Nothing to do. A running job cannot be called back."))
