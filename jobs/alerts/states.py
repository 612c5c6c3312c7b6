"""The state of each alert rule: one row, so that many processes, hosts and restarts send each alert once.

Every move is one conditional UPDATE: of two evaluators one makes it, and makes the notice due for each channel.
"""

from collections.abc import Sequence
from datetime import timedelta
from typing import Self

from django.db import models
from django.db.models import Q
from django.db.models.functions import Now
from django.utils.translation import gettext_lazy as _

from jobs.core import sql

REMIND_AFTER = timedelta(hours=24)
SENDING = timedelta(seconds=55)  # for which the evaluator that took a notice may send it; another one tries afterwards
LONGEST_SUBJECT = 300


class AlertNotice(models.TextChoices):
    """What a notice says. The values are sent and stored."""

    FIRING = "firing", _("firing")
    REMINDER = "reminder", _("still firing")
    CLEARED = "cleared", _("cleared")


class AlertStateQuerySet(models.QuerySet["AlertState"]):
    """Rows by what must be done with them, and the moves of one rule."""

    def hold(self, name: str, subject: str, hold_seconds: int, channels: Sequence[str]) -> bool:
        """Record that the condition of a rule holds; True when the rule begins to fire."""
        self.get_or_create(name=name)
        mine, subject = self.filter(name=name), subject[:LONGEST_SUBJECT]
        mine.filter(pending_since=None).update(pending_since=Now())
        mine.exclude(subject=subject).update(subject=subject)
        old = Q(pending_since__lte=Now() - timedelta(seconds=hold_seconds))
        fires = mine.filter(old, firing_since=None)
        return bool(fires.update(firing_since=Now(), cleared_at=None, **_due(AlertNotice.FIRING, channels)))

    def clear(self, name: str, channels: Sequence[str]) -> bool:
        """Record that the condition does not hold; True when the rule stops firing."""
        mine = self.filter(name=name, pending_since__isnull=False)
        if mine.filter(firing_since=None).update(pending_since=None):
            return False
        firing = mine.filter(firing_since__isnull=False)
        values = {"pending_since": None, "fired_at": models.F("firing_since"), "firing_since": None}
        return bool(firing.update(**values, cleared_at=Now(), **_due(AlertNotice.CLEARED, channels)))

    def remind(self, channels: Sequence[str]) -> int:
        """Make a reminder due for the rules that have fired for a day since the last notice; return how many."""
        late = self.filter(firing_since__isnull=False, noticed_at__lt=Now() - REMIND_AFTER)
        return late.update(**_due(AlertNotice.REMINDER, channels))

    def forget_unknown(self, names: Sequence[str]) -> None:
        """Delete the rows of rules that this version does not have."""
        self.exclude(name__in=names).delete()

    def unsent(self) -> Self:
        """Return the rows with a notice to send which no evaluator is sending."""
        free = Q(taken_at=None) | Q(taken_at__lt=Now() - SENDING)
        return self.exclude(unsent=[]).filter(free)

    def firing(self) -> Self:
        """Return the rows of rules that fire."""
        return self.filter(firing_since__isnull=False)


class AlertState(models.Model):
    """The state of one rule."""

    name = models.CharField(_("alert"), max_length=64, primary_key=True)
    subject = models.CharField(_("concerns"), max_length=LONGEST_SUBJECT, blank=True, default="")
    """Job types, lanes or the like; no personal data."""
    pending_since = models.DateTimeField(null=True)
    firing_since = models.DateTimeField(_("firing since"), null=True)
    fired_at = models.DateTimeField(null=True)
    """When the last alert that has cleared began to fire."""
    cleared_at = models.DateTimeField(_("cleared"), null=True)
    notice = models.CharField(max_length=8, choices=AlertNotice, blank=True, default="")
    """The last notice."""
    noticed_at = models.DateTimeField(_("last notice"), null=True)
    unsent = models.JSONField(default=list)
    """The names of the channels that have not taken the last notice yet."""
    taken_at = models.DateTimeField(null=True)
    """When an evaluator began to send it."""

    objects = AlertStateQuerySet.as_manager()

    class Meta:
        db_table = "alert_states"
        verbose_name = _("alert")
        verbose_name_plural = _("alerts")
        default_permissions = ("view",)
        permissions = [("test_alertstate", "Can send test alerts")]

    def __str__(self) -> str:
        return self.name

    def take(self) -> bool:
        """Take the notice for sending; False when another evaluator did, or there is another notice by now."""
        same = AlertState.objects.unsent().filter(pk=self.pk, noticed_at=self.noticed_at)
        return bool(same.update(taken_at=Now()))

    def settle(self, unsent: list[str]) -> None:
        """Record which channels have not taken the notice; nothing when there is another notice by now."""
        same = AlertState.objects.filter(pk=self.pk, noticed_at=self.noticed_at)
        same.update(unsent=unsent)


def _due(notice: AlertNotice, channels: Sequence[str]) -> dict[str, object]:
    return {"notice": notice, "noticed_at": sql.now(), "unsent": list(channels), "taken_at": None}
