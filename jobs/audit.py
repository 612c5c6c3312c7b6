"""Who did what to the queue, and why: one row for every act of an operator, only ever added."""

from typing import Any

from django.db import models
from django.db.models.functions import Now
from django.utils.translation import gettext_lazy as _


class AuditEntry(models.Model):
    class Act(models.TextChoices):
        REPLAY = "replay", _("replayed")
        DISCARD = "discard", _("discarded")
        BULK_REPLAY = "bulk_replay", _("started a bulk replay")
        BULK_CANCEL = "bulk_cancel", _("cancelled a bulk replay")
        PAUSE = "pause", _("paused")
        RESUME = "resume", _("resumed")
        REVEAL = "reveal", _("looked at personal data")
        CREATE_KEY = "create_key", _("made an API key")
        LIFT = "lift", _("lifted: mails go to an address again")
        REVOKE_KEY = "revoke_key", _("revoked an API key")

    at = models.DateTimeField(_("at"), db_default=Now())
    who = models.CharField(_("who"), max_length=150)
    act = models.CharField(_("act"), max_length=16, choices=Act)
    target = models.CharField(_("what"), max_length=128)
    detail = models.JSONField(_("detail"), default=dict, blank=True)

    class Meta:
        verbose_name = _("audit entry")
        verbose_name_plural = _("audit entries")
        ordering = ["-id"]
        indexes = [models.Index(fields=["target"], name="audit_target")]

    def __str__(self) -> str:
        return f"{self.who} {self.act} {self.target}"


def record(who: str, act: str, target: str, **detail: Any) -> None:
    """Writes one entry. who: an account's name, "key:NAME" or "cli:USER". detail: JSON values, no personal data."""
    AuditEntry.objects.create(who=who[:150], act=act, target=target[:128], detail=detail)
