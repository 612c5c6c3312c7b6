"""The sign-ins that a user sees: the last 90 days, which sessions are active, the state of each notice."""

from collections.abc import Iterable
from dataclasses import dataclass
from datetime import timedelta
from typing import Any

from django.core.paginator import Page, Paginator
from django.utils import timezone
from django.utils.translation import gettext_lazy as _

from accounts.mail import geoip
from accounts.sign_in.event import NoticeStatus, SignIn
from accounts.sign_in.networks import network_of
from accounts.sign_in.sessions import Session
from accounts.user import User
from jobs.core.job import JobLog, Reason, Status

DAYS_SHOWN = 90
PER_PAGE = 10
LONGEST_GROUP = 25  # sign-ins that are shown as one

JOB_STATES: dict[str, Any] = {
    Status.COMPLETED: _("sent"),
    Status.DLQ: _("could not be delivered"),
    Status.DISCARDED: _("not sent"),
    Reason.SUPPRESSED: _("not sent: emails to the address bounced"),
}


@dataclass(frozen=True)
class Entry:
    """One sign-in on the page."""

    sign_in: SignIn
    active: bool
    """Whether its session is still open."""
    current: bool
    """Whether its session is the one of this request."""
    job_status: str | None
    """The status of the notice's job; None when the job has been deleted."""
    job_reason: str = ""
    """Why the job is a dead letter."""

    @property
    def notice(self) -> str:
        """Return the state of the notice in words; a deleted job counts as sent."""
        if self.sign_in.notice != NoticeStatus.QUEUED:
            return str(self.sign_in.get_notice_display())
        if self.job_status is None:
            return str(JOB_STATES[Status.COMPLETED])
        state = Reason.SUPPRESSED if self.job_reason == Reason.SUPPRESSED else Status(self.job_status)
        return str(JOB_STATES.get(state, NoticeStatus.QUEUED.label))


@dataclass(frozen=True)
class Group:
    """Sign-ins in a row from one device and place: the newest is shown, the others are folded away."""

    entries: list[Entry]
    place: str
    """The country, "" when unknown."""

    @property
    def newest(self) -> Entry:
        return self.entries[0]

    @property
    def older(self) -> list[Entry]:
        return self.entries[1:]

    @property
    def older_active(self) -> int:
        """The number of older sign-ins that are still signed in."""
        return sum(entry.active for entry in self.older)


def load_page(user: User, number: str, current: str) -> tuple[Page, list[Group]]:
    """Return one page of a user's sign-ins, newest first and grouped, in three queries.

    number: from the URL; an invalid one means the first page. current: the sign-in of this request's session.
    """
    recent = SignIn.objects.filter(user=user, at__gt=timezone.now() - timedelta(days=DAYS_SHOWN))
    page = Paginator(fold_sign_ins(recent.order_by("-at")), PER_PAGE).get_page(number)
    sign_ins = [sign_in for group in page.object_list for sign_in in group]
    open_sessions = Session.objects.filter(user_id=user.pk, expire_date__gt=timezone.now())
    active = set(open_sessions.filter(sign_in__in=[s.pk for s in sign_ins]).values_list("sign_in", flat=True))
    jobs = JobLog.objects.filter(job_id__in=[s.job_id for s in sign_ins])
    states = {job_id: state for job_id, *state in jobs.values_list("job_id", "status", "dlq_reason")}
    entries = {s.pk: Entry(s, s.pk in active, str(s.pk) == current, *states.get(s.job_id, [None])) for s in sign_ins}
    groups = [
        Group([entries[s.pk] for s in group], geoip.country_name(group[0].ip or "")) for group in page.object_list
    ]
    return page, groups


def fold_sign_ins(sign_ins: Iterable[SignIn]) -> list[list[SignIn]]:
    """Return sign-ins in groups: neighbours with one device, method and place, none of them unusual or disputed."""
    groups: list[list[SignIn]] = []
    before: tuple[str, ...] = ()
    for sign_in in sign_ins:
        alone = sign_in.is_alert or sign_in.disputed_at
        key = () if alone else (sign_in.browser, sign_in.system, sign_in.method, _place(sign_in.ip))
        if key and key == before and len(groups[-1]) < LONGEST_GROUP:
            groups[-1].append(sign_in)
        else:
            groups.append([sign_in])
        before = key
    return groups


def _place(ip: str | None) -> str:
    """Return the country of an address; without one, its network: /24, of IPv6 /48."""
    return geoip.country_name(ip or "") or network_of(ip or "")
