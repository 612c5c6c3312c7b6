"""The warning to a site's support: an API key ends within two days, and a client still uses it."""

import structlog
from django.conf import settings
from django.db.models.functions import Now

from accounts.notices import account
from accounts.sites.keys import ApiKey
from jobs.queue.enqueue import Duplicate
from jobs.queue.sweeping import work_on_each

log = structlog.get_logger("accounts")

KIND = "key_ends"
BATCH = 100


def warn_sites() -> None:
    """Email the support of each site whose key ends while it is in use. Safe to repeat, on several hosts."""
    work_on_each(ApiKey.objects.ending().select_related("site", "replaced_by")[:BATCH], _warn)


def _warn(key: ApiKey) -> None:
    if key.expires_at is None or not ApiKey.objects.ending().filter(pk=key.pk).update(warned_at=Now()):
        return
    log.warning("an API key ends while it is in use", key=str(key), source=key.site.slug)
    if not key.site.support_email:
        return
    details = {
        "site": key.site.brand.stored,
        "locale": key.site.language or settings.LANGUAGE_CODE,
        "at": key.expires_at.isoformat(),
        "key": key.start,
        "newKey": key.replaced_by.start if key.replaced_by else "",
    }
    job_id = f"key-ends-{key.pk}-{key.expires_at:%Y%m%dT%H%M}-{key.replaced_by_id or 0}"
    try:
        account.enqueue_as(account.JOB_TYPE, KIND, key.site.support_email, None, job_id, details, source=key.site.slug)
    except Duplicate:
        return
