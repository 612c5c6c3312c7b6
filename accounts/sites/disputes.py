"""The dispute of another site's user: the button "This wasn't me" in a notice, and what it does.

    1. the sign-in is marked as disputed; a second report of it does nothing
    2. it and later ones no longer count as the user's past, and the user's devices are forgotten
    3. the site gets the event `sign_in.disputed`, and its support address an email

The site ends the sessions: only it can. All of it commits together; when the queue is unavailable, the event and the
email stay pending.
"""

import structlog
from django.db import Error, transaction
from django.db.models import QuerySet
from django.db.models.functions import Now

from accounts.events import emit
from accounts.links import dispute_links
from accounts.mail import user_agents
from accounts.notices import site_disputes
from accounts.sign_in.event import SignIn
from accounts.sign_in.known_devices import Device
from accounts.sites.job_ids import own_form
from jobs.queue.sweeping import work_on_each

log = structlog.get_logger("accounts")

BATCH = 100


def find_sign_in(token: str) -> SignIn | None:
    """Return the sign-in on another site that a link names, even an expired one; None for any other link."""
    named = dispute_links.read_token(token, expired=True)
    if named is None:
        return None
    event_id, hashed = named
    sign_in = SignIn.objects.select_related("site").filter(pk=event_id, site__isnull=False).first()
    valid = sign_in is not None and dispute_links.names_address(hashed, event_id, sign_in.email)
    return sign_in if valid else None


def is_expired(token: str) -> bool:
    """Return whether a link that `find_sign_in` knows is no longer valid."""
    return dispute_links.read_token(token) is None


def dispute(sign_in: SignIn) -> bool:
    """Mark the sign-in as disputed and notify its site; False when it was disputed before."""
    with transaction.atomic():
        undisputed = SignIn.objects.filter(pk=sign_in.pk, disputed_at=None)
        if not undisputed.update(disputed_at=Now(), dispute_pending=True):
            return False
        sign_in.refresh_from_db(fields=["disputed_at"])
        of_user = {"site": sign_in.site, "user_key": sign_in.user_key}
        SignIn.objects.filter(**of_user, at__gte=sign_in.at, closed_since=None).update(closed_since=Now())
        Device.objects.filter(**of_user).delete()
        _notify(sign_in)
    log.warning("sign-in disputed", event_id=str(sign_in.pk), source=sign_in.site.slug)
    return True


def pending() -> QuerySet[SignIn]:
    """Return the disputed sign-ins whose site could not be notified, oldest first."""
    return SignIn.objects.filter(dispute_pending=True, site__isnull=False).order_by("disputed_at")


def notify_pending() -> None:
    """Notify the sites of the pending disputes. Safe to repeat."""
    work_on_each(pending().select_related("site")[:BATCH], _notify)


def _notify(sign_in: SignIn) -> None:
    """Enqueue the event and the email to the site's support; they stay pending when the queue cannot be written to."""
    try:
        with transaction.atomic():
            emit.emit(sign_in.site.slug, "sign_in.disputed", describe_event(sign_in), key=str(sign_in.pk))
            _email_support(sign_in)
            SignIn.objects.filter(pk=sign_in.pk).update(dispute_pending=False)
    except Error:
        log.exception("a site could not be notified of a dispute, it stays pending", event_id=str(sign_in.pk))


def describe_event(sign_in: SignIn) -> dict[str, object]:
    """Return the data of the event `sign_in.disputed`."""
    return {
        "jobId": own_form(sign_in.site.slug, sign_in.job_id),
        "userId": sign_in.user_key,
        "disputedAt": sign_in.disputed_at.isoformat() if sign_in.disputed_at else None,
        "signIn": {
            "timestamp": sign_in.at.isoformat(),
            "provider": sign_in.method,
            "browser": sign_in.browser,
            "system": sign_in.system,
            "newDevice": sign_in.new_device,
            "signals": list(sign_in.signals),
        },
    }


def _email_support(sign_in: SignIn) -> None:
    site = sign_in.site
    if not site.support_email:
        return
    details = {
        "site": site.brand.stored,
        "locale": site.language or sign_in.language,
        "at": sign_in.at.isoformat(),
        "account": sign_in.user_key,
        "device": user_agents.device_name(sign_in.browser, sign_in.system),
    }
    job_id = f"signin-{sign_in.pk}.{site_disputes.KIND}"
    site_disputes.enqueue_to_support(site.support_email, site.slug, job_id, details)
