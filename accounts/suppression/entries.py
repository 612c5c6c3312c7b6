"""The suppression list: addresses that bounced or complained, why, reported by which service, until when.

An entry stores no address: only a keyed hash, by which the address is looked up, and the first letter and the domain,
by which its owner recognises it. There is one row for each address and reason, so that no reason hides another.
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
from django.utils.translation import gettext_lazy as _

from accounts.mail.addresses import LONGEST, deliverable
from accounts.mail.sanitize import mask_address
from accounts.secrecy.hashes import keyed_hashes
from jobs.core.errors import Permanent

log = structlog.get_logger("accounts")


SALT = "accounts.suppression.entries"


class SuppressionReason(models.TextChoices):
    """Why no email is sent to an address."""

    BOUNCED = "bounced", _("an email bounced permanently")
    REFUSED = "refused", _("the email service refuses to send to it")
    COMPLAINED = "complained", _("an email was marked as spam")


# Long, but not forever: mailboxes are repaired, emails are marked as spam by mistake, addresses get new owners.
# Amazon SES keeps a bounced address for two weeks on its shared list, Postmark and Resend until it is reactivated.
SUPPRESSED_DAYS: dict[str, int] = {
    SuppressionReason.BOUNCED: 90,
    SuppressionReason.REFUSED: 90,
    SuppressionReason.COMPLAINED: 365,
}


class SuppressedAddressQuerySet(models.QuerySet["SuppressedAddress"]):
    """Entries by whether they are in force."""

    def active(self) -> Self:
        """Return the entries that suppress now; a report newer than the reactivation suppresses again."""
        return self.filter(Q(reactivated_at=None) | Q(reactivated_at__lt=F("since")), until__gt=Now())

    def for_addresses(self, addresses: Iterable[object]) -> Self:
        """Return the entries of any of `addresses`, in whatever spelling."""
        return self.filter(digest__in={digest for one in addresses for digest in hashes_of(one)})

    def reactivate(self, who: str = "") -> int:
        """Reactivate the active entries and return their number. who: an operator, "" for the owner."""
        return self.active().update(reactivated_at=Now(), reactivated_by=who[:150])


class SuppressedAddress(models.Model):
    """One entry of the suppression list: an address that gets no email until a day."""

    digest = models.UUIDField(editable=False)
    masked = models.CharField(_("address"), max_length=LONGEST + 8)
    why = models.CharField(_("why"), max_length=16, choices=SuppressionReason)
    code = models.CharField(_("code"), max_length=16, blank=True)
    reported_by = models.CharField(_("reported by"), max_length=32)
    since = models.DateTimeField(_("since"))
    until = models.DateTimeField(_("until"))
    times = models.PositiveIntegerField(_("times"), default=1)
    reactivated_at = models.DateTimeField(_("reactivated"), null=True)
    reactivated_by = models.CharField(_("reactivated by"), max_length=150, blank=True)

    objects = SuppressedAddressQuerySet.as_manager()

    class Meta:
        verbose_name = _("suppressed address")
        verbose_name_plural = _("suppressed addresses")
        ordering = ["-since"]
        default_permissions = ("view",)
        permissions = [("reactivate_suppressedaddress", "Can reactivate suppressed addresses")]
        constraints = [models.UniqueConstraint(fields=["digest", "why"], name="one_row_a_reason")]
        indexes = [models.Index(fields=["until"], name="suppressed_until")]

    def __str__(self) -> str:
        return self.masked

    @property
    def active(self) -> bool:
        """Return whether the entry suppresses emails now."""
        return self.until > timezone.now() and (self.reactivated_at is None or self.reactivated_at < self.since)


def normalize(address: object) -> str:
    """Return the one spelling by which addresses are compared; "" for an invalid address."""
    try:
        return deliverable(address).lower()
    except Permanent:
        return ""


def hashes_of(address: object) -> list[uuid.UUID]:
    """Return the hash of an address, then those by former keys; [] for an invalid address."""
    usable = normalize(address)
    return [uuid.UUID(bytes=digest[:16]) for digest in keyed_hashes(SALT, usable)] if usable else []


def rekey(addresses: Iterable[object]) -> tuple[int, list[SuppressedAddress]]:
    """Hash the entries of these addresses with the present key.

    Return how many had a former one, and the active entries of addresses that are not among these.
    """
    stored = set(SuppressedAddress.objects.values_list("digest", flat=True))
    changed, present = 0, set()
    for address in addresses:
        hashes = hashes_of(address)
        changed += sum(_rekey(digest, hashes[0]) for digest in stored.intersection(hashes[1:]))
        present.update(hashes[:1])
    return changed, [entry for entry in SuppressedAddress.objects.active() if entry.digest not in present]


def _rekey(former: uuid.UUID, present: uuid.UUID) -> int:
    """Give the entries with a former hash the present one, except for a reason that has an entry with it already."""
    taken = SuppressedAddress.objects.filter(digest=present).values("why")
    return SuppressedAddress.objects.filter(digest=former).exclude(why__in=taken).update(digest=present)


def suppress(address: str, why: str, *, reported_by: str, at: datetime, code: str = "") -> bool:
    """Record what an email service reported.

    Return False for a known or expired report, or an invalid address.

    Safe to repeat and in any order: a report that is not newer than the entry changes nothing, nor does it undo a
    reactivation.
    """
    usable = normalize(address)
    at = min(at, timezone.now())
    until = at + timedelta(days=SUPPRESSED_DAYS[why])
    if not usable or until <= timezone.now():
        return False
    present, *former = hashes_of(usable)
    for digest in former:
        _rekey(digest, present)
    report = {"since": at, "until": until, "reported_by": reported_by[:32], "code": code[:16]}
    row, new = SuppressedAddress.objects.get_or_create(
        digest=present, why=why, defaults={**report, "masked": mask_address(usable)}
    )
    newer = SuppressedAddress.objects.filter(pk=row.pk, since__lt=at)
    changed = new or bool(newer.update(**report, times=F("times") + 1))
    if changed:
        log.info("address suppressed", entry=row.pk, why=why, reported_by=reported_by)
    return changed


def active_entry(addresses: Collection[object]) -> SuppressedAddress | None:
    """Return the active entry of any of `addresses`, the longest-lasting of several; None without one."""
    return SuppressedAddress.objects.for_addresses(addresses).active().order_by("-until").first()
