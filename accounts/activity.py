"""What a person sees of their sign-ins: the last 90 days, which of them still last, and what was told of each."""

from dataclasses import dataclass
from datetime import timedelta
from typing import Any

from django.core.paginator import Page, Paginator
from django.utils import timezone
from django.utils.translation import gettext_lazy as _

from accounts.models import Notice, Session, SignIn, User
from jobs.models import JobLog, Reason, Status

DAYS = 90
PER_PAGE = 10

JOB_STATES: dict[str, Any] = {
    Status.COMPLETED: _("sent"),
    Status.DLQ: _("could not be delivered"),
    Status.DISCARDED: _("not sent"),
    Reason.SUPPRESSED: _("not sent: mails to the address came back"),
}


@dataclass(frozen=True)
class Entry:
    """sign_in, whether its session still lasts (`active`), whether that is the one that asks (`current`)."""

    sign_in: SignIn
    active: bool
    current: bool
    job_status: str | None
    job_reason: str = ""

    @property
    def notice(self) -> str:
        """What became of its notice, in words; a job that is over and cleared away had sent it."""
        if self.sign_in.notice != Notice.QUEUED:
            return str(self.sign_in.get_notice_display())
        if self.job_status is None:
            return str(JOB_STATES[Status.COMPLETED])
        state = Reason.SUPPRESSED if self.job_reason == Reason.SUPPRESSED else Status(self.job_status)
        return str(JOB_STATES.get(state, Notice.QUEUED.label))


def page_of(user: User, number: str, current: str) -> tuple[Page, list[Entry]]:
    """One page of a person's sign-ins, newest first, in four queries however many there are.

    number: as the address gives it; nonsense is the first page. current: the sign-in of the asking session.
    """
    recent = SignIn.objects.filter(user=user, at__gt=timezone.now() - timedelta(days=DAYS))
    page = Paginator(recent, PER_PAGE).get_page(number)
    sign_ins = list(page.object_list)
    lasting = Session.objects.filter(user_id=user.pk, expire_date__gt=timezone.now())
    active = set(lasting.filter(sign_in__in=[s.pk for s in sign_ins]).values_list("sign_in", flat=True))
    jobs = JobLog.objects.filter(job_id__in=[s.job_id for s in sign_ins])
    states = {job_id: state for job_id, *state in jobs.values_list("job_id", "status", "dlq_reason")}
    entries = [Entry(s, s.pk in active, str(s.pk) == current, *states.get(s.job_id, [None])) for s in sign_ins]
    return page, entries
