"""Erasing a user of another site: everything that is stored about it."""

from django.db import transaction

from accounts.notices import site_disputes
from accounts.notices.digest import DigestEntry
from accounts.sign_in.event import SignIn
from accounts.sign_in.known_devices import Device
from accounts.sites.site import Site
from accounts.suppression.opt_out import RoutineOptOut
from jobs.core import audit
from jobs.maintenance import retention


@transaction.atomic
def erase_user(site: Site, user_key: str, *, who: str) -> None:
    """Discard the waiting jobs of a user, blank all of them, and delete the sign-ins, devices and preferences."""
    jobs = retention.erase_jobs(retention.jobs_of_user(user_key, site.slug))
    jobs += site_disputes.erase(site.slug, user_key)
    of_user = {"site": site, "user_key": user_key}
    sign_ins, _ = SignIn.objects.filter(**of_user).delete()
    Device.objects.filter(**of_user).delete()
    RoutineOptOut.objects.filter(**of_user).delete()
    DigestEntry.objects.filter(source=site.slug, user_key=user_key).delete()
    audit.record(who, audit.AuditEntry.Act.ERASE_USER, site.slug, jobs=jobs, signIns=sign_ins)
