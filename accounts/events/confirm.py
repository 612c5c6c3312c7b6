"""The last look at an event "notice.failed" before it is sent: the notice must still be a dead letter, and stay one.

The queue replays some dead letters automatically: after a breaker closes, those that died of the same refusal just
before it opened (jobs/maintenance/reconciler.py). So the event of such a notice is sent a little later, and not while
a breaker is open. An event is not sent when its notice was replayed meanwhile.
"""

from datetime import timedelta

from jobs.core import pauses
from jobs.core.errors import ErrorClass, Failure
from jobs.core.job import JobLog, Reason
from jobs.maintenance.reconciler import REPETITION

CONFIRM_AFTER = REPETITION + timedelta(seconds=15)  # a breaker that opens by then may replay the notice


def check_failed_notices(jobs: list[JobLog]) -> dict[int, Failure]:
    """Return why events about failed notices must not be sent, by primary key."""
    mine = [job for job in jobs if job.payload.get("notice")]
    if not mine:
        return {}
    notices = JobLog.objects.filter(job_id__in=[job.payload["notice"] for job in mine])
    dead = dict(notices.dead().values_list("job_id", "dlq_reason"))
    refused = {job.pk: _replayed() for job in mine if job.payload["notice"] not in dead}
    unsure = [job for job in mine if dead.get(job.payload["notice"]) == Reason.PERMANENT]
    if unsure and _breaker_is_open():
        refused |= {job.pk: _unsure() for job in unsure}
    return refused


def _breaker_is_open() -> bool:
    open_types = pauses.JobTypeState.objects.filter(breaker_opened_at__isnull=False)
    return open_types.exists() or pauses.open_providers().exists()


def _replayed() -> Failure:
    return Failure(ErrorClass.OBSOLETE, "NoticeReplayed", None, "the notice is not a dead letter any more", "")


def _unsure() -> Failure:
    why = "the mail server refuses every email: the notice may be replayed automatically"
    return Failure(
        ErrorClass.THROTTLED, "NoticeMayBeReplayed", None, why, "", retry_after=CONFIRM_AFTER.total_seconds()
    )
