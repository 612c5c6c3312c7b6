"""Notices of sign-ins on other sites, as their API clients tell of them."""

import json
from dataclasses import dataclass

from django.conf import settings
from django.utils.crypto import salted_hmac

from accounts import devices, notices
from jobs import queue
from jobs.models import JobLog


@dataclass(frozen=True)
class SiteSignIn:
    """A sign-in on another site; every field has been checked. ip_address: empty when not known.
    timestamp: ISO 8601 in UTC. locale, timezone: None for this site's own."""

    user_id: str
    email: str
    name: str
    provider: str
    ip_address: str
    user_agent: str
    timestamp: str
    locale: str | None
    timezone: str | None


def enqueue(sign_in: SiteSignIn, *, source: str, job_id: str | None = None) -> JobLog:
    """Enqueues the notice. source: the API key's name. Raises what `jobs.queue.enqueue` raises."""
    return queue.enqueue(
        notices.JOB_TYPE,
        payload(sign_in),
        job_id=job_id or made_id(sign_in, source),
        user_id=sign_in.user_id,
        source=source,
    )


def payload(sign_in: SiteSignIn) -> dict[str, object]:
    """The notice as data, in the same form as `accounts.notices.payload`: device families, never the user agent."""
    browser, system = devices.families(sign_in.user_agent)
    return {
        "userId": sign_in.user_id,
        "email": sign_in.email,
        "name": sign_in.name,
        "provider": sign_in.provider,
        "ipAddress": sign_in.ip_address,
        "browser": browser,
        "system": system,
        "timestamp": sign_in.timestamp,
        "locale": sign_in.locale or settings.LANGUAGE_CODE,
        "timezone": sign_in.timezone or settings.TIME_ZONE,
        "newDevice": False,
    }


def made_id(sign_in: SiteSignIn, source: str) -> str:
    """The idempotency key of a sign-in that came without one: equal for a retry, and it tells nobody its address."""
    who = [sign_in.user_id, sign_in.provider, sign_in.ip_address, sign_in.user_agent, sign_in.timestamp]
    text = json.dumps([source, *who])
    return "signin-" + salted_hmac("accounts.site_notices", text, algorithm="sha256").hexdigest()
