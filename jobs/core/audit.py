"""The audit: one row for every action of an operator, with who and why. Rows are only added."""

from typing import Any

from django.db import models
from django.db.models.functions import Now
from django.utils.translation import gettext_lazy as _


class AuditEntry(models.Model):
    """One action of an operator."""

    class Act(models.TextChoices):
        REPLAY = "replay", _("replayed")
        DISCARD = "discard", _("discarded")
        BULK_REPLAY = "bulk_replay", _("started a bulk replay")
        BULK_CANCEL = "bulk_cancel", _("cancelled a bulk replay")
        PAUSE = "pause", _("paused")
        RESUME = "resume", _("resumed")
        REVEAL = "reveal", _("viewed personal data")
        CREATE_KEY = "create_key", _("created an API key")
        REACTIVATE = "reactivate", _("reactivated a suppressed address")
        REVOKE_KEY = "revoke_key", _("revoked an API key")
        ROTATE_KEY = "rotate_key", _("rotated an API key")
        DELETE_USER = "delete_user", _("deleted an account")
        RESTORE_RIGHTS = "restore_rights", _("restored suspended rights")
        EXPORT_USER = "export_user", _("exported the data of an account")
        RESTORE_USER = "restore_user", _("asked for the return of a former address")
        REMOVE_FACTORS = "remove_factors", _("asked for the removal of a second factor")
        RUN_NOW = "run_now", _("ran a schedule")
        RESCHEDULE = "reschedule", _("rescheduled")
        CREATE_SITE = "create_site", _("created a site")
        CHANGE_SITE = "change_site", _("changed a site")
        CREATE_ENDPOINT = "create_endpoint", _("created an event endpoint")
        CHANGE_ENDPOINT = "change_endpoint", _("changed an event endpoint")
        ERASE_USER = "erase_user", _("erased the user of a site")
        CANCEL_REQUEST = "cancel_request", _("cancelled a pending request")
        TEST_ALERT = "test_alert", _("sent a test alert")
        CHECK = "check", _("tested a part of the installation")

    at = models.DateTimeField(_("at"), db_default=Now())
    who = models.CharField(_("who"), max_length=150)
    act = models.CharField(_("act"), max_length=16, choices=Act)
    target = models.CharField(_("what"), max_length=200)
    detail = models.JSONField(_("detail"), default=dict, blank=True)

    class Meta:
        verbose_name = _("audit entry")
        verbose_name_plural = _("audit entries")
        ordering = ["-id"]
        indexes = [models.Index(fields=["target"], name="audit_target")]

    def __str__(self) -> str:
        return f"{self.who} {self.act} {self.target}"


def record(who: str, act: str, target: str, **detail: Any) -> None:
    """Write one entry, in the transaction of the action.

    who: a user name, "key:NAME" or "cli:USER". detail: JSON values, no personal data.
    """
    AuditEntry.objects.create(who=who[:150], act=act, target=target[:200], detail=detail)
