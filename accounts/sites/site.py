"""The sites that Notifier serves: this one, whose row the settings fill, and every other that calls the API."""

from typing import Any

from django.conf import settings
from django.db import models, transaction
from django.db.models.functions import Now
from django.utils.translation import gettext_lazy as _

from accounts.mail.brand import Brand
from accounts.sites import validators as check
from jobs.core import audit
from jobs.core.job import THIS_SITE


class SiteQuerySet(models.QuerySet["Site"]):
    """Sites by whether they are this one, and how they are created."""

    def others(self) -> "SiteQuerySet":
        """Return the sites that call the API."""
        return self.exclude(slug=THIS_SITE)

    def make(self, slug: str, *, who: str, **fields: Any) -> "Site":
        """Create a site. Raise ValidationError."""
        check.check_slug(slug)
        site = Site(slug=slug, **{"name": slug[: check.LONGEST_NAME], **fields})
        site.full_clean()
        with transaction.atomic():
            site.save(force_insert=True)
            audit.record(who, audit.AuditEntry.Act.CREATE_SITE, slug)
        return site

    def find_or_make(self, slug: str, *, who: str) -> "Site":
        """Return the site with this slug; create it, named like its slug, if there is none. Raise ValidationError."""
        check.check_slug(slug)
        return self.filter(slug=slug).first() or self.make(slug, who=who)


class Site(models.Model):
    """A site whose users get notices: its brand, its sender and its limits."""

    slug = models.CharField(_("slug"), max_length=64, unique=True)
    """The `source` of its jobs."""
    name = models.CharField(_("name"), max_length=check.LONGEST_NAME, validators=[check.check_name])
    url = models.CharField(_("URL"), max_length=check.LONGEST_URL, blank=True, validators=[check.check_url])
    secure_url = models.CharField(
        _("page where its users secure their account"),
        max_length=check.LONGEST_URL,
        blank=True,
        validators=[check.check_url],
    )
    support_email = models.CharField(_("support address"), max_length=254, blank=True, validators=[check.check_address])
    sender = models.CharField(_("sender"), max_length=320, blank=True, validators=[check.check_sender])
    """`Name <address>`; "" for the site's name with the address of DEFAULT_FROM_EMAIL."""
    colour = models.CharField(_("accent colour"), max_length=7, blank=True, validators=[check.check_colour])
    language = models.CharField(_("language"), max_length=8, blank=True, validators=[check.check_language])
    """Of a notice whose request names none; "" for LANGUAGE_CODE."""
    time_zone = models.CharField(_("time zone"), max_length=64, blank=True, validators=[check.check_zone])
    """Of a notice whose request names none; "" for TIME_ZONE."""
    per_hour = models.PositiveSmallIntegerField(_("routine notices of one user in an hour"), null=True, blank=True)
    """None for SIGNIN_EMAILS_PER_HOUR."""
    link_host = models.CharField(_("host of the links"), max_length=253, blank=True, validators=[check.check_host])
    """A name of the site's own that leads here (CNAME); "" for the host of SITE_URL."""
    test_mode = models.BooleanField(_("test mode: no email is sent"), default=False)
    created_at = models.DateTimeField(_("created"), db_default=Now(), editable=False)

    objects = SiteQuerySet.as_manager()

    class Meta:
        verbose_name = _("site")
        verbose_name_plural = _("sites")
        ordering = ["slug"]
        default_permissions = ("add", "change", "view")

    def __str__(self) -> str:
        return self.name

    @property
    def own(self) -> bool:
        """Return whether it is this site, whose values are the settings."""
        return self.slug == THIS_SITE

    @property
    def brand(self) -> Brand:
        """Return what its emails and pages say about it."""
        if self.own:
            return Brand.of_this_site()
        return Brand(
            name=self.name,
            url=self.url,
            secure_url=self.secure_url or self.url,
            support=self.support_email,
            sender=self.sender or Brand.default_sender(self.name),
            colour=self.colour,
            link_host=self.link_host,
            test_mode=self.test_mode,
        )


def fill_this_site(**_: Any) -> None:
    """Write this site's row from the settings. Receiver of `post_migrate`."""
    values = {
        "name": settings.SITE_NAME[: check.LONGEST_NAME],
        "url": settings.SITE_URL,
        "support_email": settings.SUPPORT_EMAIL,
        "sender": settings.DEFAULT_FROM_EMAIL,
        "language": settings.LANGUAGE_CODE,
        "time_zone": settings.TIME_ZONE,
    }
    Site.objects.update_or_create(slug=THIS_SITE, defaults=values)
