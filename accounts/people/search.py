"""One search for operators: a person, a job, a sign-in, a site, an API key or an error, by what identifies it."""

import uuid
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from urllib.parse import urlencode

from django.contrib.auth.models import AbstractBaseUser, AnonymousUser
from django.db.models import Q
from django.urls import reverse
from django.utils.translation import gettext as _

from accounts.mail import dates
from accounts.people.person import Person, find_by_address, person_of
from accounts.sign_in.event import SignIn
from accounts.sites.keys import ApiKey
from accounts.sites.site import Site
from accounts.user import User
from jobs.core.job import JobLog
from jobs.core.sql.keys import parse_key

LONGEST = 254  # characters of a search: the longest address
EACH = 20  # results of a kind


@dataclass(frozen=True)
class Hit:
    """One result."""

    kind: str
    title: str
    note: str
    link: str
    personal: bool = False
    """Whether it was found by personal data, so that the search is audited."""


@dataclass(frozen=True)
class Kind:
    """One kind of thing that can be found."""

    permission: str
    find: Callable[[str], Iterator[Hit]]


def search(text: str, operator: AbstractBaseUser | AnonymousUser) -> list[Hit]:
    """Return what has exactly this id, name or address, of the kinds that the operator may see; at most 20 of each.

    text: as typed, at most LONGEST characters.
    """
    sought = text.replace("\x00", "").strip()[:LONGEST]
    if not sought:
        return []
    allowed = (kind for kind in KINDS if operator.has_perm(kind.permission))  # type: ignore[union-attr]
    return [hit for kind in allowed for hit in kind.find(sought)]


def find_accounts(sought: str) -> list[Person]:
    """Return the accounts with exactly this address, name or number; no more than EACH. Uses indexes alone."""
    return find_by_address(sought, EACH) if "@" in sought else _by_name(sought)


def _people(sought: str) -> Iterator[Hit]:
    for person in find_accounts(sought):
        yield Hit(_("account"), person.name, person.masked_address, person.page, personal=True)


def _by_name(sought: str) -> list[Person]:
    """Return accounts by user name, by first, last or full name in any case, or by their number.

    SQLite knows the case of Latin letters only: names that begin with a capital are asked for as well.
    """
    named = Q(username=sought)
    for name in {sought, sought.title()}:
        first, _space, last = name.partition(" ")
        named |= Q(first_name__iexact=name) | Q(last_name__iexact=name)
        named |= Q(first_name__iexact=first, last_name__iexact=last) if last else Q()
    if key := parse_key(sought):
        named |= Q(pk=key)
    return [Person(user=user) for user in User.objects.filter(named).order_by("pk")[:EACH]]


def _elsewhere(sought: str) -> Iterator[Hit]:
    """Yield the users of other sites who have this id there, each once, by their latest sign-in."""
    for site in Site.objects.others():
        if seen := SignIn.objects.filter(site=site, user_key=sought).order_by("-at").first():
            person = person_of(seen)
            yield Hit(_("user of a site"), person.name, site.name, person.page, personal=True)


def _sign_ins(sought: str) -> Iterator[Hit]:
    try:
        key = uuid.UUID(sought.removeprefix("signin-"))
    except ValueError:
        return
    for seen in SignIn.objects.filter(pk=key).select_related("user", "site"):
        yield Hit(_("sign-in"), str(seen.pk), dates.format_minute(seen.at), person_of(seen).page)


def _jobs(sought: str) -> Iterator[Hit]:
    of_site = [f"{slug}:{sought}" for slug in Site.objects.others().values_list("slug", flat=True)]
    for job in JobLog.objects.filter(job_id__in=[sought, *of_site])[:EACH]:
        yield Hit(_("job"), job.job_id, job.get_status_display(), reverse("admin:jobs_joblog_change", args=[job.pk]))


def _errors(sought: str) -> Iterator[Hit]:
    """Yield the error with this fingerprint among the dead letters, or that begins so."""
    dead = JobLog.objects.dead().filter(fingerprint__startswith=sought)
    for fingerprint in dead.order_by("fingerprint").values_list("fingerprint", flat=True).distinct()[:EACH]:
        query = urlencode({"status": "dlq", "fingerprint": fingerprint})
        yield Hit(_("error"), fingerprint, _("dead letters"), f"{reverse('admin:jobs_joblog_changelist')}?{query}")


def _sites(sought: str) -> Iterator[Hit]:
    for site in Site.objects.filter(Q(slug__iexact=sought) | Q(name__iexact=sought)).order_by("slug")[:EACH]:
        yield Hit(_("site"), site.name, site.slug, reverse("admin:accounts_site_change", args=[site.pk]))


def _keys(sought: str) -> Iterator[Hit]:
    for key in ApiKey.objects.filter(name__iexact=sought).order_by("pk")[:EACH]:
        state = _("valid") if key.usable else _("revoked or expired")
        yield Hit(_("API key"), key.name, state, f"{reverse('developers')}?key={key.pk}#requests")


KINDS = (
    Kind("accounts.view_user", _people),
    Kind("accounts.view_signin", _elsewhere),
    Kind("accounts.view_signin", _sign_ins),
    Kind("jobs.view_joblog", _jobs),
    Kind("jobs.view_joblog", _errors),
    Kind("accounts.view_site", _sites),
    Kind("accounts.view_apikey", _keys),
)
