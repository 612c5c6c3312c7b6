"""The notice of a sign-in: what it says, the job that carries it, and the handler that sends it."""

from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from itertools import product
from typing import Any
from uuid import UUID

from django.conf import settings
from django.urls import reverse

from accounts.mail import content, mime, rendering, smtp
from accounts.mail.addresses import deliverable
from accounts.mail.brand import Brand
from jobs.core.job import THIS_SITE, JobLog
from jobs.core.pauses import Lane
from jobs.queue.admission import Limits
from jobs.queue.enqueue import Refused, enqueue_jobs, new_job

SIGN_IN_JOB = "signin-notification"
ALERTS_PER_HOUR = 10  # to each address of a user; more are in a summary (alert_digest.py)
HARMLESS = {"signInId": str(UUID(int=0)), "userId": "0"}  # for the links of a preview


@dataclass(frozen=True, kw_only=True)
class SignInNotice:
    """The values of the email about one sign-in, on this or another site."""

    user_id: str
    email: str
    name: str
    provider: str  # how the user signed in: "password", "github" ...
    ip_address: str  # empty when unknown
    browser: str  # family, empty when unknown
    system: str  # family, empty when unknown
    timestamp: str  # ISO 8601 with an offset
    locale: str
    timezone: str
    second_factor: str = ""  # "code", "passkey", "recovery_code"; empty without one, and for another site
    new_device: bool = False
    signals: dict[str, str | int] = field(default_factory=dict)  # what was unusual (accounts.sign_in.risk)
    more_sign_ins: int = 0  # earlier sign-ins without a notice, because of the hourly limit
    sign_in_id: str = ""  # the SignIn row, for the button; empty in jobs of version 0.9 for other sites
    brand: Brand | None = None  # of another site; None for this one

    def payload(self) -> dict[str, Any]:
        """Return the notice as the job's payload, in the field names of the HTTP API."""
        return {
            "userId": self.user_id,
            "email": self.email,
            "name": self.name,
            "provider": self.provider,
            "secondFactor": self.second_factor,
            "ipAddress": self.ip_address,
            "browser": self.browser,
            "system": self.system,
            "timestamp": self.timestamp,
            "locale": self.locale,
            "timezone": self.timezone,
            "newDevice": self.new_device,
            "signals": self.signals,
            "moreSignIns": self.more_sign_ins,
            "signInId": self.sign_in_id,
            **({"site": self.brand.stored} if self.brand else {}),
        }

    def new_job(self, job_id: str, source: str = THIS_SITE) -> JobLog:
        """Return the job that carries the notice, not written; an alert is in a lane of its own."""
        payload = self.payload()
        lane = Lane.ALERT if content.is_alert(payload) else Lane.DEFAULT
        return new_job(SIGN_IN_JOB, payload, job_id=job_id, user_id=self.user_id, source=source, lane=lane)


def enqueue_for_site(notice: SignInNotice, *, job_id: str, source: str, per_hour: int | None) -> JobLog:
    """Write the notice of a sign-in on another site, without a savepoint, and return its job.

    per_hour: the site's limit of routine notices for a user; None for the usual one.
    Raise what `jobs.queue.enqueue.enqueue` raises, and IntegrityError when the job id is being used at the same time.
    """
    job = notice.new_job(job_id, source)
    of_user = ALERTS_PER_HOUR if job.lane == Lane.ALERT else per_hour or settings.SIGNIN_EMAILS_PER_HOUR
    [refused] = enqueue_jobs([job], Limits(of_user, "email", settings.SIGNIN_EMAILS_PER_ADDRESS))
    if refused:
        raise refused
    return job


def enqueue_to(addresses: Sequence[str], notice: SignInNotice, *, job_id: str) -> list[Refused | None]:
    """Enqueue a notice of this site to each address, without a savepoint; return why each was refused, else None.

    The first job has the id `job_id`, those to further addresses `.2`, `.3` after it. An alert does not count against
    the limits of the routine notices; it has ALERTS_PER_HOUR of its own.
    """
    jobs = [
        replace(notice, email=address).new_job(job_id if number == 1 else f"{job_id}.{number}")
        for number, address in enumerate(addresses, start=1)
    ]
    return enqueue_jobs(jobs, Limits(ALERTS_PER_HOUR * len(jobs)) if jobs[0].lane == Lane.ALERT else None)


def deliver(job: JobLog) -> None:
    """Render the notice and send it: the handler of SIGN_IN_JOB. Raise `jobs.core.errors`."""
    notice = content.write_content(job.payload)
    mail = build_mail(job.job_id, deliverable(job.payload.get("email")), notice)
    if not notice.brand.test_mode:
        smtp.send_mail(mail, job)


def preload() -> None:
    """Make the skeletons of the usual emails: templates compiled, styles inlined, headers encoded."""
    usual = {"email": "a@example.mn", "name": "a", "browser": "a", "system": "a", "ipAddress": "192.0.2.1"}
    usual |= HARMLESS
    for language, new_device, provider in product(dict(settings.LANGUAGES), (False, True), ("password", "github")):
        notice = content.write_content({**usual, "locale": language, "newDevice": new_device, "provider": provider})
        mime.as_bytes(build_mail("preload", usual["email"], notice))


def build_mail(job_id: str, to: str, notice: content.Content) -> mime.Mail:
    """Return the email of a notice. to: the address as `addresses.deliverable` returns it."""
    off = notice.values.get("unsubscribe_url", "")
    return mime.Mail(
        job_id, to, notice.language, *rendering.render_content(notice), unsubscribe=off, brand=notice.brand
    )


def preview(job: JobLog, language: str) -> tuple[str, str, str]:
    """Return subject, text and HTML in `language` for the operators' pages; its links do nothing."""
    harmless = HARMLESS if job.payload.get("signInId") else {}
    return rendering.render_payload({**job.payload, **harmless}, language)


def person_page(job: JobLog) -> str:
    """Return the admin's page of the job's user; "" for a job that names no sign-in."""
    if not (seen := job.payload.get("signInId")):
        return ""
    if job.source == THIS_SITE:
        return reverse("admin:accounts_person", args=[job.user_id])
    return reverse("admin:accounts_person_elsewhere", args=[seen])
