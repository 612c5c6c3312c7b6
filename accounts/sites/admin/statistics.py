"""Numbers of a site for its admin page, each counted to a limit, so that the page stays quick with millions of jobs."""

from collections.abc import Iterable
from dataclasses import dataclass
from datetime import timedelta

from django.db.models import QuerySet
from django.utils import timezone
from django.utils.functional import Promise
from django.utils.translation import gettext_lazy as _

from accounts.notices.sign_in import SIGN_IN_JOB
from accounts.sign_in.event import SignIn
from accounts.sites.api_requests import DAYS_KEPT, ApiRequest
from accounts.sites.site import Site
from jobs.admin.parts import paging
from jobs.core.job import CLAIMABLE, JobLog, JobQuerySet, Reason, Status
from jobs.stats import minutes

DAY = timedelta(days=1)
WINDOWS = (7 * DAY, 30 * DAY)
UNKNOWN = "–"  # counting took too long, or the data is not kept for so long
EVENT_JOB = "event"


@dataclass(frozen=True)
class Row:
    """One number of the table, for each of WINDOWS."""

    label: str | Promise
    counts: list[str]


def load_rows(site: Site) -> list[Row]:
    """Return the numbers of a site."""
    columns = [_count(site, window) for window in WINDOWS]
    return [
        Row(_("Notices sent"), [column["sent"] for column in columns]),
        Row(_("Notices waiting or running"), [column["waiting"] for column in columns]),
        Row(_("Notices not sent: the address is suppressed"), [column["suppressed"] for column in columns]),
        Row(_("Notices that failed (dead letters)"), [column["dead"] for column in columns]),
        Row(_("Notices discarded or cancelled"), [column["discarded"] for column in columns]),
        Row(_("Requests refused by a limit (429)"), [column["limited"] for column in columns]),
        Row(_("Sign-ins disputed"), [column["disputed"] for column in columns]),
        Row(_("Events delivered"), [column["events"] for column in columns]),
        Row(_("Events waiting"), [column["events_waiting"] for column in columns]),
        Row(_("Events that failed (dead letters)"), [column["events_dead"] for column in columns]),
    ]


def count_notices(sites: Iterable[Site], since: timedelta = DAY) -> list[str]:
    """Return how many notices each site had, with one statement. This site's are in the overview."""
    sites = list(sites)
    recent = _jobs(since).filter(job_type=SIGN_IN_JOB)
    counts = iter(_count_each([recent.of_site(site.slug) for site in sites if not site.own]))
    return [UNKNOWN if site.own else next(counts) for site in sites]


def _count(site: Site, window: timedelta) -> dict[str, str]:
    jobs = _jobs(window).of_site(site.slug)
    notices, events = jobs.filter(job_type=SIGN_IN_JOB), jobs.filter(job_type=EVENT_JOB)
    queries: dict[str, QuerySet] = {
        "sent": notices.filter(status=Status.COMPLETED),
        "waiting": notices.filter(status__in=CLAIMABLE),
        "suppressed": notices.dead().filter(dlq_reason=Reason.SUPPRESSED),
        "dead": notices.dead().exclude(dlq_reason=Reason.SUPPRESSED),
        "discarded": notices.filter(status=Status.DISCARDED),
        "events": events.filter(status=Status.COMPLETED),
        "events_waiting": events.filter(status__in=CLAIMABLE),
        "events_dead": events.dead(),
    }
    disputed = SignIn.objects.filter(site=site, disputed_at__gte=timezone.now() - window)
    counts = dict(zip(queries, _count_each(list(queries.values())), strict=True))
    return {**counts, "disputed": _count_each([disputed], "-disputed_at")[0], "limited": _count_limited(site, window)}


def _jobs(since: timedelta) -> JobQuerySet:
    """Return the jobs of this time; their keys bound what is read, since created_at has no index."""
    start = timezone.now() - since
    return JobLog.objects.filter(pk__gt=minutes.key_before(start) or 0, created_at__gte=start)


def _count_limited(site: Site, window: timedelta) -> str:
    """Return how many requests of the site's keys were answered with 429; they are known for seven days."""
    if window > DAYS_KEPT * DAY:
        return UNKNOWN
    refused = ApiRequest.objects.filter(key__site=site, status=429, minute__gte=timezone.now() - window)
    return f"{refused.total():,}"


def _count_each(rows: list[QuerySet], order: str = "-pk") -> list[str]:
    """Return the limited count of each; UNKNOWN for all when counting takes too long."""
    if not rows:
        return []
    try:
        with paging.time_limit():
            return [paging.format_count(count) for count in paging.count_each_capped(rows, order)]
    except paging.TooBroad:
        return [UNKNOWN] * len(rows)
