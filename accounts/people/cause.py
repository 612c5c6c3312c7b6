"""Why a person gets no email: the first cause that holds, and the page on which an operator removes it."""

from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime

from allauth.account.models import EmailAddress
from django.urls import reverse
from django.utils import timezone
from django.utils.translation import gettext as _

from accounts.mail import dates
from accounts.people.person import Person
from accounts.sign_in.event import NoticeStatus, SignIn
from accounts.suppression.entries import SuppressedAddress
from accounts.suppression.opt_out import RoutineOptOut
from jobs.admin.parts import advice
from jobs.cluster import clusters
from jobs.core import job_types, pauses
from jobs.core.job import JobLog, Status


@dataclass(frozen=True)
class Cause:
    """One sentence about a person's emails, and what to do."""

    why: str
    do: str = ""
    link: str = ""
    """The path of the page where it is done; "" when there is nothing to do."""
    label: str = ""
    tone: str = "dlq"
    """The look of a job in that state: dlq, failed or completed."""


def find_cause(person: Person) -> Cause:
    """Return the first cause that keeps emails from this person; else what happened to the latest one."""
    checks: tuple[Callable[[Person], Cause | None], ...] = (
        _test_mode,
        _account,
        _address,
        _suppressed,
        _no_worker,
        _held,
        _latest,
        _opted_out,
    )
    found = (check(person) for check in checks)
    return next((cause for cause in found if cause), Cause(_("No sign-in of this person is known."), tone="failed"))


def _test_mode(person: Person) -> Cause | None:
    if not (person.site and person.site.test_mode):
        return None
    there = reverse("admin:accounts_site_change", args=[person.site.pk])
    return Cause(
        _("The site %s is in test mode: none of its emails is sent.") % person.site.name,
        _("Turn test mode off when the site is ready."),
        there,
        _("Open the site"),
    )


def _account(person: Person) -> Cause | None:
    if person.user is None or person.user.is_active:
        return None
    there = reverse("admin:accounts_user_change", args=[person.user.pk])
    return Cause(_("The account is closed."), _("A closed account cannot sign in."), there, _("Open the account"))


def _address(person: Person) -> Cause | None:
    if person.user is None:
        return None
    there = reverse("admin:accounts_user_change", args=[person.user.pk])
    if not person.address:
        return Cause(_("The account has no email address."), _("The user adds one."), there, _("Open the account"))
    if EmailAddress.objects.filter(user=person.user, verified=True).exists():
        return None
    return Cause(
        _("The address %s is not confirmed, and notices go only to confirmed addresses.") % person.masked_address,
        _("The user confirms it with the link that the sign-in page sends again."),
        there,
        _("Open the account"),
    )


def _suppressed(person: Person) -> Cause | None:
    entry = SuppressedAddress.objects.active().for_addresses([person.address]).order_by("-until").first()
    if entry is None:
        return None
    facts = {"address": entry.masked, "why": entry.get_why_display(), "until": dates.format_day(entry.until)}
    return Cause(
        _("The address %(address)s gets no email until %(until)s: %(why)s.") % facts,
        _("Ask the user whether the mailbox works again, then reactivate the address."),
        reverse("admin:accounts_suppressedaddress_change", args=[entry.pk]),
        _("Open the entry and reactivate it"),
    )


def _no_worker(_person: Person) -> Cause | None:
    if clusters.alive().exists():
        return None
    there = reverse("admin:jobs_cluster_changelist")
    return Cause(
        _("No cluster is alive: no email is sent to anybody."), _("Start manage.py qcluster."), there, _("Clusters")
    )


def _held(_person: Person) -> Cause | None:
    of_mail = pauses.suspended().filter(job_type__in=job_types.mail_types()).first()
    if (state := of_mail or pauses.paused_lanes().first()) is None:
        return None
    given = advice.advise_suspended(state)
    return Cause(given.why, given.what, reverse("admin:jobs_jobtypestate_changelist"), _("Sending"), "failed")


def _latest(person: Person) -> Cause | None:
    """Return what happened to the latest sign-in's notice, or to the latest email when there was no sign-in."""
    seen = next(iter(person.sign_ins()), None)
    if seen is not None and seen.notice != NoticeStatus.QUEUED:
        return _not_sent(seen)
    job = JobLog.objects.filter(job_id=seen.job_id).first() if seen else person.jobs().first()
    if job is None:
        return None
    return _of_job(job, timezone.now())


def _not_sent(seen: SignIn) -> Cause:
    facts = {"at": dates.format_minute(seen.at), "why": seen.get_notice_display()}
    return Cause(
        _("The notice of the latest sign-in, at %(at)s: %(why)s.") % facts,
        _("Nothing to do. The sign-ins below show those before it."),
        tone="failed",
    )


def _of_job(job: JobLog, now: datetime) -> Cause:
    there, label = reverse("admin:jobs_joblog_change", args=[job.pk]), _("Open the job")
    if job.status == Status.COMPLETED and job.processed_at:
        sent = _("The latest email was accepted by the mail server at %s.") % dates.format_minute(job.processed_at)
        look = _("Ask the user to look into the spam folder; the job has the server's answer.")
        return Cause(sent, look, there, label, "completed")
    given = advice.advise(job, pauses.find_hold(job.job_type, job.lane), now)
    return Cause(f"{_('The latest email:')} {given.why}", given.what, there, label, job.status)


def _opted_out(person: Person) -> Cause | None:
    if person.site and RoutineOptOut.objects.filter(site=person.site, user_key=person.user_id).exists():
        return Cause(_("The user has turned routine notices off; alerts are still sent."), tone="failed")
    if person.user and not person.user.notify_sign_ins:
        return Cause(_("The user has turned routine notices off; alerts are still sent."), tone="failed")
    return None
