"""Emails about an account other than the notice of a sign-in, each sent by a job.

A job says which email and to which address. A link with a token is made only when the email is sent, so that no token
is ever stored. The texts are `templates/account/email/<kind>_{subject,message}.{txt,html}`.

    confirm_address       asks whether an address belongs to the user (sign-up, new address)
    password_reset        the link that was requested on the site
    changed               the account was changed: what, when, and a link that undoes it
    leaving               to an address that was removed: until when its link can undo that
    lost_factor           the link that asks for the removal of a lost second factor
    way_back              after "this wasn't me": how to recover the account
    dispute_alert         to the operators: a user pressed "this wasn't me"
    site_dispute          to the support of another site: one of its users pressed "this wasn't me"
    pending               the account is to be deleted, or the like: asked, cancelled, done (accounts/pending)
    events_off            to the support of another site: its event endpoint was turned off (accounts/events)
    changed_digest, dispute_alert_digest   several of these, when an hour had more than the limit (digest.py)
    site_dispute_digest   several of these, after the tenth in an hour (site_disputes.py)
    sign_in_digest        alerts about sign-ins above the hourly limit (alert_digest.py)
    key_ends              to the support of another site: an API key in use ends soon (accounts/sites)
"""

import uuid
from datetime import datetime
from typing import Any

from allauth.account.models import EmailAddress, EmailConfirmationHMAC
from allauth.account.utils import user_pk_to_url_str
from django.conf import settings
from django.utils import translation

from accounts import credentials
from accounts.links import address_links, dispute_links
from accounts.links.paths import path_of
from accounts.mail import content, dates, geoip, mime, rendering, smtp
from accounts.mail.addresses import deliverable
from accounts.mail.brand import Brand
from accounts.mail.sanitize import defang, plain_text
from accounts.user import User
from jobs.core.errors import Obsolete
from jobs.core.job import THIS_SITE, JobLog
from jobs.queue.enqueue import Duplicate, RateLimited, enqueue

JOB_TYPE = "account-mail"
URGENT_TYPE = "dispute-mail"  # no hourly limit, which others could use up
PER_HOUR = 10


def enqueue_mail(kind: str, address: str, person: User | None, *, source: str = THIS_SITE, **more: Any) -> bool:
    """Enqueue an email to `address`, in the language of the user that it is about, if any.

    source: as in `enqueue_as`.
    Return False over the hourly limit: nothing is sent, and the links that were already emailed stay valid.
    """
    try:
        enqueue_as(JOB_TYPE, kind, address, person, str(uuid.uuid4()), more, source=source)
    except RateLimited:
        return False
    return True


def enqueue_urgent_mail(kind: str, address: str, person: User | None, job_id: str, **more: str) -> None:
    """Enqueue an email of a dispute: without a limit, and once for each `job_id`."""
    try:
        enqueue_as(URGENT_TYPE, kind, address, person, job_id, more)
    except Duplicate:
        return


def enqueue_as(
    job_type: str,
    kind: str,
    address: str,
    person: User | None,
    job_id: str,
    more: dict[str, Any],
    *,
    source: str = THIS_SITE,
) -> None:
    """Enqueue an email as a job of `job_type`. Raise what `jobs.queue.enqueue.enqueue` raises.

    source: the site that it is about; for another one `more` has its brand as `site`.
    """
    user_id = str(person.pk) if person else ""
    language = content.choose_language((person and person.language) or translation.get_language())
    payload = {"kind": kind, "email": address, "userId": user_id, "locale": language, **more}
    enqueue(job_type, payload, job_id=job_id, user_id=payload["userId"], source=source)


def deliver(job: JobLog) -> None:
    """Render an email and send it: the handler of every type here. Raise `jobs.core.errors`.

    A job about a deleted account, or to confirm an address that is confirmed or removed, is obsolete.
    """
    mail = build_mail(job.job_id, job.payload)
    if mail is None:
        raise Obsolete("no email was sent: its link has no purpose any more, or the account is deleted")
    if not mail.brand.test_mode:
        smtp.send_mail(mail, job)


def build_mail(job_id: str, payload: dict[str, Any]) -> mime.Mail | None:
    """Return the email of a job; None when there is nothing to say any more."""
    brand = Brand.of_payload(payload)
    person = User.objects.filter(pk=payload["userId"]).first() if payload["userId"] and brand.own else None
    url = LINKS[payload["kind"]](person, payload)
    if url is None:
        return None
    to, language = deliverable(payload["email"]), content.choose_language(payload["locale"])
    kind = payload["kind"].replace("_", "-")
    return mime.Mail(job_id, to, language, *render_mail(payload, person, url), kind=kind, brand=brand)


def render_mail(payload: dict[str, Any], person: User | None, url: str) -> tuple[str, str, str]:
    """Return subject, text and HTML in the language of the payload. url: the page behind the button."""
    language = content.choose_language(payload["locale"])
    values: dict[str, Any] = {
        "name": defang(plain_text(person.get_username(), 150)) if person else "",
        "url": url,
        "events": [_complete(event, person, language, payload["email"]) for event in payload.get("events", [payload])],
    }
    return rendering.render_account_content(payload["kind"], language, {**payload, **values}, Brand.of_payload(payload))


def _complete(event: dict[str, Any], person: User | None, language: str, address: str) -> dict[str, Any]:
    """Return an event of an email with its times in words, in the zone of the reader, and its link, if it has one."""
    if not event.get("at"):
        return event
    zone = dates.get_zone(person.time_zone if person else "")
    end = credentials.undo_until(datetime.fromisoformat(event["at"])).isoformat()
    ip, undo_url = event.get("ip", ""), dispute_links.event_link(event, address)
    with translation.override(language):
        when, until = (dates.format_time(at, zone, language) for at in (event["at"], end))
        reasons = [*content.describe_signals(event.get("signals"), ip, event["at"]).values()]
        place = geoip.country_name(ip)
    return {**event, "when": when, "until": until, "undo_url": undo_url, "reasons": reasons, "place": place}


def _site(name: str, **kwargs: str) -> str:
    return settings.SITE_URL.rstrip("/") + path_of(name, **kwargs)


def _reset_link(person: User | None, payload: dict[str, Any]) -> str | None:
    if person is None:
        return None
    path = reset_path(person, credentials.find_entry(person, payload["email"]))
    return settings.SITE_URL.rstrip("/") + path


def reset_path(person: User, entry: credentials.Credential | None = None) -> str:
    """Return the path of a reset link. entry: of the address that it is mailed to, for the review after the reset."""
    key = credentials.ResetTokenGenerator().make_token(person)
    path = path_of("account_reset_password_from_key", uidb36=user_pk_to_url_str(person), key=key)
    return f"{path}?by={credentials.sign_entry(entry)}" if entry else path


def _confirm_link(person: User | None, payload: dict[str, Any]) -> str | None:
    address = EmailAddress.objects.filter(user=person, email__iexact=payload["email"], verified=False).first()
    return _site("account_confirm_email", key=EmailConfirmationHMAC(address).key) if person and address else None


def _activity_link(person: User | None, payload: dict[str, Any]) -> str | None:
    return (dispute_links.event_link(payload, payload["email"]) or _site("activity")) if person else None


def _dispute_link(person: User | None, payload: dict[str, Any]) -> str | None:
    """Return the link "This wasn't me" of the newest sign-in in a summary; it reaches back to those before it."""
    if person is None and "site" not in payload:
        return None
    return content.dispute_url({**payload["events"][-1], "email": payload["email"]})


def _admin_link(_person: User | None, payload: dict[str, Any]) -> str:
    return settings.SITE_URL.rstrip("/") + path_of("admin:accounts_signin_change", payload["signInId"])


def _disputes_link(_person: User | None, _payload: dict[str, Any]) -> str:
    disputed = "?disputed_at__isempty=0"
    return settings.SITE_URL.rstrip("/") + path_of("admin:accounts_signin_changelist") + disputed


def _pending_link(person: User | None, payload: dict[str, Any]) -> str | None:
    """Return the link that cancels a request; for an address that may not, and afterwards, where to go now."""
    if payload.get("mayCancel"):
        return address_links.CANCEL.make(payload["request"], payload["email"])
    if payload.get("wayBack"):
        return _reset_link(person, payload)
    done = payload["what"] if payload["stage"] == "done" else ""
    return _site({"delete": "home", "lost_factor": "account_login"}.get(done, "account_reset_password"))


def _lost_factor_link(person: User | None, payload: dict[str, Any]) -> str | None:
    return address_links.LOST_FACTOR.make(person.pk, payload["email"]) if person else None


def _no_link(_person: User | None, _payload: dict[str, Any]) -> str:
    return ""


def _events_link(_person: User | None, payload: dict[str, Any]) -> str:
    return Brand.of_payload(payload).link_base + path_of("api:openapi-view")


def _developers_link(_person: User | None, payload: dict[str, Any]) -> str:
    return Brand.of_payload(payload).link_base + path_of("developers")


LINKS = {
    "confirm_address": _confirm_link,
    "password_reset": _reset_link,
    "changed": _activity_link,
    "leaving": _activity_link,
    "leaving_digest": _activity_link,
    "way_back": _reset_link,
    "pending": _pending_link,
    "lost_factor": _lost_factor_link,
    "changed_digest": _activity_link,
    "sign_in_digest": _dispute_link,
    "events_off": _events_link,
    "dispute_alert": _admin_link,
    "dispute_alert_digest": _disputes_link,
    "site_dispute": _no_link,
    "site_dispute_digest": _no_link,
    "key_ends": _developers_link,
}
