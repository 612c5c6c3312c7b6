"""Sign-ins on other sites, as their API clients report them: recorded, judged and notified like those on this one."""

import json
from dataclasses import dataclass, replace
from datetime import datetime

from django.conf import settings
from django.db import IntegrityError, transaction

from accounts.mail import geoip, user_agents
from accounts.notices import alert_digest
from accounts.notices.sign_in import SignInNotice, enqueue_for_site
from accounts.secrecy.hashes import keyed_hashes
from accounts.sign_in import history, known_devices, networks, record
from accounts.sign_in.event import NoticeStatus, SignIn
from accounts.sign_in.known_devices import Device
from accounts.sites.job_ids import stored_id
from accounts.sites.site import Site
from jobs.core import sql
from jobs.core.job import JobLog
from jobs.queue.enqueue import Duplicate, RateLimited, write_discarded

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
    locale: str | None  # None: the site's language
    timezone: str | None  # None: the site's zone
    device_id: str | None = None  # the site's own id of the browser; None when it has none


def record_site_sign_in(posted: SiteSignIn, site: Site, *, job_id: str | None = None) -> JobLog:
    """Record a sign-in on another site and enqueue its notice; return the job, whose payload has the verdict.

    An alert above the limit is collected for the next summary, so none is lost: its job is discarded.
    Raise what `jobs.queue.enqueue.enqueue` raises; then nothing was written.
    """
    stored = stored_id(site.slug, job_id or _known_job_id(posted, site.slug))
    sign_in = describe_sign_in(posted, site, stored)
    try:
        with transaction.atomic():
            return _record(sign_in, posted, site)
    except IntegrityError:  # another request has just written this id: the unique job_id is the lock
        if existing := JobLog.objects.filter(job_id=stored).first():
            raise Duplicate(existing) from None
        raise


def describe_sign_in(posted: SiteSignIn, site: Site, job_id: str = "") -> SignIn:
    """Return the sign-in, not saved; it holds the families of browser and system, never the user agent."""
    browser, system = user_agents.parse_families(posted.user_agent)
    return SignIn(
        site=site,
        user_key=posted.user_id,
        site_job=job_id,
        email=posted.email,
        method=posted.provider,
        second_factor="",
        ip=posted.ip_address or None,
        country=geoip.country_code(posted.ip_address),
        browser=browser,
        system=system,
        language=posted.locale or site.language or settings.LANGUAGE_CODE,
        time_zone=posted.timezone or site.time_zone or settings.TIME_ZONE,
    )


def _record(sign_in: SignIn, posted: SiteSignIn, site: Site) -> JobLog:
    device_hashes = known_devices.hash_device_id(site.pk, posted.user_id, posted.device_id or "")
    network_hashes = networks.hash_network(f"{site.pk}\0{posted.user_id}", posted.ip_address)
    sign_in.network = network_hashes[0]
    before = history.load_history(sign_in, device_hashes, network_hashes)
    if not (sign_in.browser or sign_in.system):  # only the network is left to recognise the user by
        before = replace(before, past=replace(before.past, families_seen=before.past.network_seen))
    record.judge(sign_in, before)
    sign_in.at = datetime.fromisoformat(posted.timestamp)
    with sql.one_round_trip():
        job = _notify(sign_in, notice_of(posted, sign_in, site), site)
        device = Device(site=site, user_key=posted.user_id, browser=sign_in.browser, system=sign_in.system)
        device.secret, device.first_of_account = device_hashes[0], not before.past.seen
        known_devices.remember_site_device(device, before.now)
        sign_in.insert()
    return job


def _notify(sign_in: SignIn, notice: SignInNotice, site: Site) -> JobLog:
    """Enqueue the notice. Above the limit, collect an alert for the next summary; raise for a routine notice."""
    try:
        return enqueue_for_site(notice, job_id=sign_in.job_id, source=site.slug, per_hour=site.per_hour)
    except RateLimited:
        if not sign_in.is_alert:
            raise
    sign_in.notice = NoticeStatus.DIGEST
    alert_digest.collect_for_site(notice, site.slug)
    return write_discarded(notice.new_job(sign_in.job_id, site.slug), "in a summary email: too many alerts in an hour")


def notice_of(posted: SiteSignIn, sign_in: SignIn, site: Site) -> SignInNotice:
    """Return the notice of a recorded sign-in, in the site's brand."""
    return SignInNotice(
        user_id=posted.user_id,
        email=posted.email,
        name=posted.name,
        provider=posted.provider,
        ip_address=posted.ip_address,
        browser=sign_in.browser,
        system=sign_in.system,
        timestamp=posted.timestamp,
        locale=sign_in.language,
        timezone=sign_in.time_zone,
        new_device=sign_in.new_device,
        signals=sign_in.signals,
        sign_in_id=str(sign_in.pk),
        brand=site.brand,
    )


def may_be_notice_of(job: JobLog, posted: SiteSignIn, site: Site) -> bool:
    """Return whether a job can be the notice of this sign-in: all stored fields of the request are equal.

    True for a job whose payload was deleted after its retention.
    """
    asked = notice_of(posted, describe_sign_in(posted, site), site).payload()
    return not job.payload or all(job.payload.get(name) == asked[name] for name in REQUESTED)


def derive_job_ids(posted: SiteSignIn, source: str) -> list[str]:
    """Return the idempotency key of a sign-in posted without one, then those by former keys: equal for a retry."""
    who = [posted.user_id, posted.provider, posted.ip_address, posted.user_agent, posted.timestamp]
    text = json.dumps([source, *who])
    return ["signin-" + digest.hex() for digest in keyed_hashes("accounts.sites.sign_ins", text)]


def _known_job_id(posted: SiteSignIn, source: str) -> str:
    """Return the key under which the sign-in was posted before SECRET_KEY was rotated, else the present one."""
    present, *former = derive_job_ids(posted, source)
    known = {stored_id(source, own): own for own in former}
    found = JobLog.objects.filter(job_id__in=known).values_list("job_id", flat=True).first() if known else None
    return known[found] if found else present
