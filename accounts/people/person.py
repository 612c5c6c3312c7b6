"""A person: a user of this site, or a user of another site as it names them. What an operator asks about both."""

from collections.abc import Iterable
from dataclasses import dataclass

from allauth.account.models import EmailAddress
from django.db.models import Q
from django.urls import reverse

from accounts.sign_in.event import SignIn
from accounts.sites.site import Site
from accounts.user import User
from jobs.core import job_types, masking
from jobs.core.job import THIS_SITE, JobLog, JobQuerySet


@dataclass(frozen=True)
class Person:
    """Exactly one of `user` and `seen` is set."""

    user: User | None = None
    seen: SignIn | None = None
    """The latest sign-in of a user of another site, which has no account here."""

    @property
    def site(self) -> Site | None:
        """The other site; None for this one."""
        return self.seen.site if self.seen else None

    @property
    def source(self) -> str:
        """The source of their jobs."""
        return self.site.slug if self.site else THIS_SITE

    @property
    def user_id(self) -> str:
        """Their id at that site."""
        return self.seen.user_key if self.seen else str(self.user.pk if self.user else "")

    @property
    def name(self) -> str:
        """The name that an operator reads: of an account in full, of another site's user its id, masked."""
        return (self.user.shown_name or self.user.get_username()) if self.user else masking.abbreviate(self.user_id)

    @property
    def page(self) -> str:
        """The path of their page. It names a sign-in for another site's user: a user id there may be an address."""
        if self.seen:
            return reverse("admin:accounts_person_elsewhere", args=[self.seen.pk])
        return reverse("admin:accounts_person", args=[self.user_id])

    @property
    def address(self) -> str:
        """The address that notices go to; "" without one."""
        return self.seen.email if self.seen else self.user.email if self.user else ""

    @property
    def masked_address(self) -> str:
        return masking.abbreviate(self.address)

    def sign_ins(self) -> Iterable[SignIn]:
        """Return the latest sign-ins, newest first; at most 20."""
        if self.seen:
            found = SignIn.objects.filter(site=self.seen.site_id, user_key=self.seen.user_key)
        else:
            found = SignIn.objects.filter(user=self.user)
        return found.order_by("-at")[:20]

    def jobs(self) -> JobQuerySet:
        """Return the jobs that send this person an email, newest first."""
        mine = JobLog.objects.filter(user_id=self.user_id, source=self.source, job_type__in=job_types.mail_types())
        return mine.order_by("-pk")


def person_of(sign_in: SignIn) -> Person:
    """Return whose sign-in it is."""
    return Person(seen=sign_in) if sign_in.site_id else Person(user=sign_in.user)


def find_by_address(address: str, limit: int = 20) -> list[Person]:
    """Return the users whose account has exactly this address, in any case; no more than `limit`."""
    owners = list(EmailAddress.objects.filter(email__iexact=address).values_list("user_id", flat=True)[:limit])
    users = User.objects.filter(Q(pk__in=owners) | Q(email__iexact=address))
    return [Person(user=user) for user in users.order_by("pk")[:limit]]


def with_jobs(sign_ins: Iterable[SignIn]) -> list[SignIn]:
    """Return the sign-ins, each with the job of its notice as `notice_job`, or None. Takes one query."""
    found = list(sign_ins)
    jobs = JobLog.objects.filter(job_id__in=[sign_in.job_id for sign_in in found])
    by_id = {job.job_id: job for job in jobs.only("job_id", "status", "dlq_reason")}
    for sign_in in found:
        sign_in.notice_job = by_id.get(sign_in.job_id)  # type: ignore[attr-defined]
    return found
