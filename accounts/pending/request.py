"""A request that waits before it takes effect, so that the owner of the account can cancel it.

Three kinds wait: the deletion of an account, the removal of a lost second factor, and an operator's restore of a former
address. One table, one sweep, one page to cancel and one email serve them all. `wake_at` says when the sweep has
something to do next: an email, the effect, or nothing any more (None).
"""

from datetime import datetime, timedelta
from typing import Self

from django.db import models
from django.db.models.functions import Now
from django.utils.translation import gettext_lazy as _

from accounts.credentials import UNDO_DAYS
from accounts.user import User

OPERATOR_HOURS = 72  # what an operator asks for waits for so long
NOTICE_DAYS = {"lost_factor": (0, 3, 6)}  # days on which everyone is notified; other kinds: on the first


class RequestKind(models.TextChoices):
    """What is asked for."""

    DELETE = "delete", _("deletion of the account")
    LOST_FACTOR = "lost_factor", _("removal of the second factor")
    RESTORE = "restore", _("return of a former address")


class PendingRequestQuerySet(models.QuerySet["PendingRequest"]):
    """Requests by their state."""

    def waiting(self) -> Self:
        """Return the requests that are neither done nor cancelled."""
        return self.filter(done_at=None, cancelled_at=None)

    def awake(self) -> Self:
        """Return the requests for which there is something to do now, the oldest first."""
        return self.filter(wake_at__lte=Now()).order_by("wake_at")


class PendingRequest(models.Model):
    """One request of a user, or of an operator for a user."""

    user = models.ForeignKey(User, models.CASCADE, related_name="pending_requests", verbose_name=_("account"))
    kind = models.CharField(_("what"), max_length=16, choices=RequestKind)
    operator = models.CharField(_("operator"), max_length=150, blank=True)
    reason = models.CharField(_("reason"), max_length=200, blank=True)
    address = models.EmailField(_("address that returns"), blank=True)
    since = models.DateTimeField(_("changed by another person since"), null=True)
    asked_at = models.DateTimeField(_("asked"), db_default=Now())
    due_at = models.DateTimeField(_("takes effect"))
    cancelled_at = models.DateTimeField(_("cancelled"), null=True)
    done_at = models.DateTimeField(_("done"), null=True)
    notices = models.PositiveSmallIntegerField(_("times notified"), default=0)
    wake_at = models.DateTimeField(null=True)

    objects = PendingRequestQuerySet.as_manager()

    class Meta:
        verbose_name = _("pending request")
        verbose_name_plural = _("pending requests")
        ordering = ["-asked_at"]
        default_permissions = ("view",)
        permissions = [
            ("restore_user", "Can return a former address to its account"),
            ("remove_factors", "Can remove a lost second factor"),
            ("cancel_pendingrequest", "Can cancel pending requests"),
            ("export_user", "Can export the data of an account"),
        ]
        constraints = [
            models.UniqueConstraint(
                fields=["user", "kind"],
                condition=models.Q(done_at=None, cancelled_at=None),
                name="one_waiting_request_of_a_kind",
            )
        ]
        indexes = [
            models.Index(fields=["wake_at"], name="request_wake", condition=models.Q(wake_at__isnull=False)),
        ]

    def __str__(self) -> str:
        return f"{self.user_id} {self.kind}"

    @property
    def waits(self) -> bool:
        """Whether it is neither done nor cancelled."""
        return self.done_at is None and self.cancelled_at is None

    @property
    def next_notice_at(self) -> datetime:
        """When everyone is notified next; the time of the effect after the last notice."""
        days = NOTICE_DAYS.get(self.kind, (0,))
        later = [self.asked_at + timedelta(days=day) for day in days[self.notices :]]
        return min([*later, self.due_at])


def wait_of(operator: str) -> timedelta:
    """Return how long a request waits. operator: who asks for it, "" for the user."""
    return timedelta(hours=OPERATOR_HOURS) if operator else timedelta(days=UNDO_DAYS)
