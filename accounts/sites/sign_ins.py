"""Sign-ins on other sites, as their API clients report them."""

import json
from dataclasses import dataclass

from django.conf import settings

from accounts.mail import user_agents
from accounts.notices.sign_in import SignInNotice, enqueue_notice
from accounts.secrecy.hashes import keyed_hashes
from accounts.sites.job_ids import stored_id
from jobs.core.job import JobLog

REQUESTED = ("userId", "email", "name", "provider", "ipAddress", "browser", "system", "timestamp", "locale", "timezone")


@dataclass(frozen=True)
class SiteSignIn:
    """A sign-in on another site; every field has been checked."""

    user_id: str
    email: str
    name: str
    provider: str
    ip_address: str  # empty when unknown
    user_agent: str
    timestamp: str  # ISO 8601 in UTC
    locale: str | None  # None: this site's language
    timezone: str | None  # None: this site's zone


def enqueue_site_notice(sign_in: SiteSignIn, *, source: str, job_id: str | None = None) -> JobLog:
    """Enqueue the notice of a sign-in on the site `source`. Raise what `jobs.queue.enqueue.enqueue` raises."""
    own = job_id or _known_job_id(sign_in, source)
    return enqueue_notice(notice_of(sign_in), job_id=stored_id(source, own), source=source)


def notice_of(sign_in: SiteSignIn) -> SignInNotice:
    """Return the notice; it holds the families of browser and system, never the user agent."""
    browser, system = user_agents.parse_families(sign_in.user_agent)
    return SignInNotice(
        user_id=sign_in.user_id,
        email=sign_in.email,
        name=sign_in.name,
        provider=sign_in.provider,
        ip_address=sign_in.ip_address,
        browser=browser,
        system=system,
        timestamp=sign_in.timestamp,
        locale=sign_in.locale or settings.LANGUAGE_CODE,
        timezone=sign_in.timezone or settings.TIME_ZONE,
    )


def may_be_notice_of(job: JobLog, sign_in: SiteSignIn) -> bool:
    """Return whether a job can be the notice of this sign-in: all stored fields of the request are equal.

    True for a job whose payload was deleted after its retention.
    """
    asked = notice_of(sign_in).payload()
    return not job.payload or all(job.payload.get(name) == asked[name] for name in REQUESTED)


def derive_job_ids(sign_in: SiteSignIn, source: str) -> list[str]:
    """Return the idempotency key of a sign-in posted without one, then those by former keys: equal for a retry."""
    who = [sign_in.user_id, sign_in.provider, sign_in.ip_address, sign_in.user_agent, sign_in.timestamp]
    text = json.dumps([source, *who])
    return ["signin-" + digest.hex() for digest in keyed_hashes("accounts.sites.sign_ins", text)]


def _known_job_id(sign_in: SiteSignIn, source: str) -> str:
    """Return the key under which the sign-in was posted before SECRET_KEY was rotated, else the present one."""
    present, *former = derive_job_ids(sign_in, source)
    known = {stored_id(source, own): own for own in former}
    found = JobLog.objects.filter(job_id__in=known).values_list("job_id", flat=True).first() if known else None
    return known[found] if found else present
