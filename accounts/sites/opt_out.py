"""Users of other sites who turned their routine notices off. Nothing turns alerts off."""

from django.db import models
from django.db.models.functions import Now
from django.utils.translation import gettext_lazy as _

from accounts.sites.site import Site


class RoutineOptOut(models.Model):
    """A user of another site who wants no routine notices of its sign-ins."""

    site = models.ForeignKey(Site, models.CASCADE, related_name="+", verbose_name=_("site"))
    user_key = models.CharField(_("user of the site"), max_length=128)
    since = models.DateTimeField(_("since"), db_default=Now())

    class Meta:
        constraints = [models.UniqueConstraint(fields=["site", "user_key"], name="one_opt_out_a_user")]

    def __str__(self) -> str:
        return f"{self.site_id} {self.pk}"
