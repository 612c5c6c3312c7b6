"""The synthetic sign-in: a notice every ten minutes, sent as real ones are, so that operators see when none arrives.

The schedule "synthetic-sign-in" runs it when SYNTHETIC_SIGN_IN_USER names a user. It also checks the notice of the
sign-in before: if that was not sent, its job becomes a dead letter, which the page of the schedules shows.
"""

from datetime import timedelta

from django.conf import settings
from django.db.models import Max, QuerySet
from django.db.models.functions import Now

from accounts.sign_in.event import NoticeStatus, SignIn
from accounts.sign_in.record import record_sign_in
from accounts.user import User
from jobs.core.errors import Permanent
from jobs.core.job import JobLog, Status
from jobs.tasks import options
from jobs.tasks.compat import task

KEPT = timedelta(days=1)
EXPIRES = 600.0  # seconds: those that a long outage of the workers held up are not made up


@options(max_attempts=1, expires=EXPIRES)
@task(priority=10)
def sign_in() -> str:
    """Record a sign-in of the user, and return the id of its notice's job.

    Raises Permanent when there is no such user, when it gets no notice, and when the one before was not sent.
    """
    user = User.objects.filter(username=settings.SYNTHETIC_SIGN_IN_USER).first()
    if user is None:
        raise Permanent("SYNTHETIC_SIGN_IN_USER names no user: create it, with a confirmed address")
    before = _made_by(user).order_by("-at").first()
    made = record_sign_in(user, None)
    _made_by(user).filter(at__lt=Now() - KEPT, dispute_pending=False).delete()
    if made.notice != NoticeStatus.QUEUED:
        raise Permanent(f"the synthetic sign-in has no notice ({made.notice}): its user needs a confirmed address")
    if before is not None:
        _check_sent(before)
    return made.job_id


def last_sent() -> float | None:
    """Return when the last synthetic notice was sent, in seconds since 1970; None when none was in KEPT."""
    user = User.objects.filter(username=settings.SYNTHETIC_SIGN_IN_USER).first()
    if user is None:
        return None
    ids = [made.job_id for made in _made_by(user).order_by("-at")[:200]]
    sent = JobLog.objects.filter(job_id__in=ids, status=Status.COMPLETED).aggregate(at=Max("processed_at"))["at"]
    return sent.timestamp() if sent else None


def _made_by(user: User) -> QuerySet[SignIn]:
    return SignIn.objects.filter(user=user, method=SignIn.Method.CODE)


def _check_sent(before: SignIn) -> None:
    job = JobLog.objects.filter(job_id=before.job_id).first()
    if job is not None and job.status != Status.COMPLETED:
        raise Permanent(f"the synthetic notice before this one was not sent: {job.job_id} is {job.status}")
