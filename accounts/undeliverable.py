"""Addresses that mails came back from: why, who told it, since when and until when, and that somebody lifted it.

No address is kept, but a keyed hash of it, which finds the address that somebody has in hand, and its first letter and
domain, by which its owner knows it. One row for each address and reason, so that no reason hides another.
"""

import uuid
from collections.abc import Collection, Iterable
from datetime import datetime, timedelta
from typing import Self

import structlog
from django.db import models
from django.db.models import F, Q
from django.db.models.functions import Now
from django.utils import timezone
from django.utils.crypto import salted_hmac
from django.utils.translation import gettext_lazy as _

from accounts.addresses import LONGEST, deliverable
from accounts.untrusted import masked
from jobs.errors import Permanent

log = structlog.get_logger("accounts")


class Why(models.TextChoices):
    BOUNCED = "bounced", _("a mail came back for good")
    REFUSED = "refused", _("the mail service does not write to it")
    COMPLAINED = "complained", _("a mail was called spam")


# Long enough to be left alone, not for ever: mailboxes are mended, mails are called spam by mistake, addresses change
# hands. Amazon SES keeps a bounced address for two weeks on its common list, Postmark and Resend until it is lifted.
DAYS: dict[str, int] = {Why.BOUNCED: 90, Why.REFUSED: 90, Why.COMPLAINED: 365}


class UndeliverableQuerySet(models.QuerySet["Undeliverable"]):
    def standing(self) -> Self:
        """Those that hold mails back now. What was told after somebody lifted it stands again."""
        return self.filter(Q(lifted_at=None) | Q(lifted_at__lt=F("since")), until__gt=Now())

    def of(self, addresses: Iterable[object]) -> Self:
        """Those of any of `addresses`, however they are written."""
        return self.filter(digest__in={digest(usable) for one in addresses if (usable := normal(one))})

    def lift(self, who: str = "") -> int:
        """Mails go to these addresses again; how many were standing. who: an operator, "" for the person."""
        return self.standing().update(lifted_at=Now(), lifted_by=who[:150])


class Undeliverable(models.Model):
    digest = models.UUIDField(editable=False)
    masked = models.CharField(_("address"), max_length=LONGEST + 8)
    why = models.CharField(_("why"), max_length=16, choices=Why)
    code = models.CharField(_("code"), max_length=16, blank=True)
    told_by = models.CharField(_("told by"), max_length=32)
    since = models.DateTimeField(_("since"))
    until = models.DateTimeField(_("until"))
    times = models.PositiveIntegerField(_("times"), default=1)
    lifted_at = models.DateTimeField(_("lifted"), null=True)
    lifted_by = models.CharField(_("lifted by"), max_length=150, blank=True)

    objects = UndeliverableQuerySet.as_manager()

    class Meta:
        verbose_name = _("undeliverable address")
        verbose_name_plural = _("undeliverable addresses")
        ordering = ["-since"]
        default_permissions = ("view",)
        permissions = [("lift_undeliverable", "Can have mails go to undeliverable addresses again")]
        constraints = [models.UniqueConstraint(fields=["digest", "why"], name="one_row_a_reason")]
        indexes = [models.Index(fields=["until"], name="undeliverable_until")]

    def __str__(self) -> str:
        return self.masked

    @property
    def standing(self) -> bool:
        """Whether it holds mails back now."""
        return self.until > timezone.now() and (self.lifted_at is None or self.lifted_at < self.since)


def normal(address: object) -> str:
    """The form in which two ways to write an address are one; "" for what is none."""
    try:
        return deliverable(address).lower()
    except Permanent:
        return ""


def digest(usable: str) -> uuid.UUID:
    """What is kept of an address in its normal form. Without SECRET_KEY nobody can guess addresses from it."""
    return uuid.UUID(bytes=salted_hmac("accounts.undeliverable", usable, algorithm="sha256").digest()[:16])


def mark(address: str, why: str, *, told_by: str, at: datetime, code: str = "") -> bool:
    """Writes down what a mail service told; False for what was known, is over, or is no address.

    Safe to repeat and in any order: what is not newer than the last word changes nothing, a lift included.
    """
    usable = normal(address)
    at = min(at, timezone.now())
    until = at + timedelta(days=DAYS[why])
    if not usable or until <= timezone.now():
        return False
    told = {"since": at, "until": until, "told_by": told_by[:32], "code": code[:16]}
    row, new = Undeliverable.objects.get_or_create(
        digest=digest(usable), why=why, defaults={**told, "masked": masked(usable)}
    )
    newer = Undeliverable.objects.filter(pk=row.pk, since__lt=at)
    changed = new or bool(newer.update(**told, times=F("times") + 1))
    if changed:
        log.info("address is undeliverable", entry=row.pk, why=why, told_by=told_by)
    return changed


def first_of(addresses: Collection[object]) -> Undeliverable | None:
    """The entry that holds mails to any of `addresses` back, the longest-lasting one of several."""
    return Undeliverable.objects.of(addresses).standing().order_by("-until").first()
