"""The list of the emails that were sent to a user: which, when, to which address, and what happened to each."""

from contextlib import suppress
from dataclasses import dataclass
from typing import Any

from django.contrib.auth.decorators import login_required
from django.core import signing
from django.http import HttpRequest, HttpResponse
from django.shortcuts import render
from django.template.loader import render_to_string
from django.utils.formats import date_format
from django.utils.timezone import localtime
from django.utils.translation import gettext as _
from django.utils.translation import gettext_lazy, pgettext
from django.views.decorators.cache import never_cache
from django.views.decorators.http import require_safe

from accounts.mail import dates
from accounts.mail.content import is_alert
from accounts.mail.sanitize import mask_address, plain_text
from accounts.notices.sign_in import SIGN_IN_JOB
from accounts.people.person import Person
from accounts.sign_in.event import AccountChange
from accounts.user import User, signed_in_user
from jobs.core.errors import ErrorClass
from jobs.core.job import JobLog, Reason, Status
from jobs.core.pauses import Lane

PER_PAGE = 20
UNUSED = ("error", "stack_trace", "worker", "traceparent", "fingerprint")
_signer = signing.Signer(salt="accounts.pages.notices")

SUBJECTS: dict[str, Any] = {  # by the kind of an email about an account
    "confirm_address": gettext_lazy("Confirm your email address"),
    "password_reset": gettext_lazy("New password for your account"),
    "changed": gettext_lazy("Your account was changed"),
    "changed_digest": gettext_lazy("Your account was changed several times"),
    "leaving": gettext_lazy("This address was removed from your account"),
    "leaving_digest": gettext_lazy("This address was removed from your account"),
    "lost_factor": gettext_lazy("Lost second factor"),
    "way_back": gettext_lazy("Recover your account"),
    "sign_in_digest": gettext_lazy("Several unusual sign-ins to your account"),
    "dispute_alert": gettext_lazy("A user pressed “This wasn't me”"),
    "dispute_alert_digest": gettext_lazy("Users pressed “This wasn't me” several times"),
}
NOT_DELIVERED: dict[str, Any] = {  # by the reason of a dead letter
    Reason.PERMANENT: gettext_lazy("could not be delivered, because the mail server of the address refused it"),
    Reason.EXPIRED: gettext_lazy("could not be delivered, because it was too old when it could have been sent"),
    Reason.SUPPRESSED: gettext_lazy(
        "could not be delivered, because earlier emails to the address bounced or were marked as spam"
    ),
    Reason.POISON: gettext_lazy("could not be delivered, because of a fault on our side"),
}
FAILING: dict[str, Any] = {  # by the class of the last error
    ErrorClass.UNREACHABLE: gettext_lazy("the mail server could not be reached"),
    ErrorClass.THROTTLED: gettext_lazy("the mail server asked us to send more slowly"),
    ErrorClass.CONFIGURATION: gettext_lazy("the mail server does not accept our emails at present"),
}


@dataclass(frozen=True)
class Outcome:
    """What happened to an email."""

    tone: str
    """The look of its tag: "good", "warn", "bad"; "" for one that waits or was not needed."""
    state: str
    """In a word or two."""
    why: str = ""
    """The whole sentence."""


@dataclass(frozen=True)
class SentEmail:
    """One email on the page."""

    job: JobLog

    @property
    def subject(self) -> str:
        """Return which email it is; its payload may have been deleted, as old ones are."""
        payload, kind = self.job.payload, str(self.job.payload.get("kind"))
        if self.job.job_type == SIGN_IN_JOB:
            return _describe_sign_in(payload, self.job.lane)
        if kind == "pending":
            return render_to_string("account/email/pending_heading.txt", payload).strip()
        return str(SUBJECTS.get(kind, _("An email about your account")))

    @property
    def detail(self) -> str:
        """Return what was changed, for an email about one change."""
        what = self.job.payload.get("what") if self.job.payload.get("kind") == "changed" else ""
        return str(AccountChange.What(what).label) if what in AccountChange.What.values else ""

    @property
    def address(self) -> str:
        """Return the masked address; "" when it is no longer stored."""
        return mask_address(plain_text(self.job.payload.get("email"), 254))

    @property
    def outcome(self) -> Outcome:
        return describe_outcome(self.job)


@require_safe
@never_cache
@login_required
def notices(request: HttpRequest) -> HttpResponse:
    """Show the emails that were sent to the user, the newest first, and the outcome of each."""
    user = signed_in_user(request)
    cursor = request.GET.get("before", "")
    emails, older = load_page(user, cursor)
    context = {"emails": emails, "older": older, "first": not cursor, **dates.zone_context(user.time_zone)}
    return render(request, "accounts/pages/notices.html", context)


def load_page(user: User, cursor: str) -> tuple[list[SentEmail], str]:
    """Return a page of the user's emails and the cursor of the next one, "" on the last; in one query.

    cursor: from the URL; an invalid one means the first page.
    """
    jobs = Person(user=user).jobs().defer(*UNUSED)
    with suppress(signing.BadSignature):
        jobs = jobs.filter(pk__lt=int(_signer.unsign(cursor)))
    rows = list(jobs[: PER_PAGE + 1])
    older = _signer.sign(str(rows[PER_PAGE - 1].pk)) if len(rows) > PER_PAGE else ""
    return [SentEmail(job) for job in rows[:PER_PAGE]], older


def describe_outcome(job: JobLog) -> Outcome:
    """Return what happened to an email, in words for its reader."""
    match job.status:
        case Status.COMPLETED:
            return Outcome("good", _("sent"), _accepted(job))
        case Status.DLQ:
            return Outcome("bad", _("not delivered"), _sentence(_why_dead(job)))
        case Status.DISCARDED:
            return Outcome("", _("not sent"), _sentence(_why_discarded(job)))
        case Status.FAILED:
            return Outcome("warn", _("waiting"), _sentence(_why_waiting(job)))
    return Outcome("", _("waiting"), _("It is on its way."))


def _describe_sign_in(payload: dict[str, Any], lane: str) -> str:
    if payload.get("newDevice") is True:
        return pgettext("mail", "Sign-in from a new device")
    if is_alert(payload) or lane == Lane.ALERT:
        return pgettext("mail", "Unusual sign-in")
    return pgettext("mail", "New sign-in to your account")


def _accepted(job: JobLog) -> str:
    if job.processed_at is None:
        return _("A mail server accepted it.")
    at = date_format(localtime(job.processed_at), "DATETIME_FORMAT")
    return _("A mail server accepted it: %(time)s.") % {"time": at}


def _why_dead(job: JobLog) -> str:
    if job.dlq_reason in NOT_DELIVERED:
        return str(NOT_DELIVERED[job.dlq_reason])
    return _("could not be delivered: at every attempt, %(why)s") % {"why": _failure(job)}


def _why_discarded(job: JobLog) -> str:
    if job.error_class == ErrorClass.OBSOLETE:
        return _("not sent, because it was no longer needed when it could have been sent")
    if job.dlq_reason == Reason.CANCELLED:
        return _("not sent, because it was cancelled")
    return _("not sent, because an operator discarded it")


def _why_waiting(job: JobLog) -> str:
    at = date_format(localtime(job.run_at), "DATETIME_FORMAT")
    return _("not sent yet, because %(why)s; the next attempt: %(time)s") % {"why": _failure(job), "time": at}


def _failure(job: JobLog) -> str:
    return str(FAILING.get(job.error_class, _("the mail server did not accept it")))


def _sentence(text: str) -> str:
    return f"{text[:1].upper()}{text[1:]}."
