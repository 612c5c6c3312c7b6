"""The history of deliveries: one row for each attempt to send an event."""

from django.db import models
from django.db.models.functions import Now
from django.utils.translation import gettext_lazy as _

from accounts.events.endpoint import EventEndpoint


class EventDelivery(models.Model):
    """One attempt: what the receiver answered, or why nothing came back. Rows are only added."""

    endpoint = models.ForeignKey(EventEndpoint, models.CASCADE, related_name="deliveries", verbose_name=_("endpoint"))
    event_id = models.CharField(_("event"), max_length=200)
    """The id of its job, and the header webhook-id."""
    event_type = models.CharField(_("type"), max_length=32)
    attempt = models.PositiveIntegerField(_("attempt"))
    at = models.DateTimeField(_("at"), db_default=Now())
    status_code = models.PositiveSmallIntegerField(_("status"), null=True)
    """None when there was no response."""
    milliseconds = models.PositiveIntegerField(_("milliseconds"), default=0)
    response = models.TextField(_("response"), blank=True)
    """The beginning of the body, masked."""
    error = models.TextField(_("error"), blank=True)
    """Why the attempt failed; empty when it succeeded."""

    class Meta:
        verbose_name = _("delivery of an event")
        verbose_name_plural = _("deliveries of events")
        ordering = ["-id"]
        default_permissions = ()
        indexes = [
            models.Index(fields=["endpoint", "-id"], name="delivery_of_endpoint"),
            models.Index(fields=["at"], name="delivery_at"),
        ]

    def __str__(self) -> str:
        return f"{self.event_id} #{self.attempt}"
