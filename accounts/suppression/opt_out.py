"""Users of other sites who turned their routine notices off. Nothing turns alerts off."""

from collections.abc import Iterable

from django.db import models
from django.db.models.functions import Now
from django.utils.translation import gettext_lazy as _

from jobs.core.job import JobLog


class RoutineOptOut(models.Model):
    """A user of another site who wants no routine notices of its sign-ins."""

    site = models.ForeignKey("accounts.Site", models.CASCADE, related_name="+", verbose_name=_("site"))
    user_key = models.CharField(_("user of the site"), max_length=128)
    since = models.DateTimeField(_("since"), db_default=Now())

    class Meta:
        constraints = [models.UniqueConstraint(fields=["site", "user_key"], name="one_opt_out_a_user")]

    def __str__(self) -> str:
        return f"{self.site_id} {self.pk}"


def find_opted_out(jobs: Iterable[JobLog]) -> list[JobLog]:
    """Return those of these routine notices whose users have turned them off; one query if any is of another site."""
    of_sites = [job for job in jobs if "site" in job.payload]
    if not of_sites:
        return []
    rows = RoutineOptOut.objects.filter(
        site__slug__in={job.source for job in of_sites}, user_key__in={job.user_id for job in of_sites}
    )
    off = set(rows.values_list("site__slug", "user_key"))
    return [job for job in of_sites if (job.source, job.user_id) in off]
