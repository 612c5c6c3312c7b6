"""The clusters that are running: one heartbeat row for each `manage.py qcluster`."""

from datetime import timedelta

from django.db import models
from django.db.models.functions import Now
from django.utils.translation import gettext_lazy as _

BEAT_SECONDS = 5
SILENT_SECONDS = 30  # without a beat for this long, a cluster counts as gone
KEPT = timedelta(days=1)


class Cluster(models.Model):
    name = models.CharField(_("cluster"), max_length=128, primary_key=True)
    host = models.CharField(_("host"), max_length=100)
    pid = models.PositiveIntegerField(_("process"))
    version = models.CharField(_("version"), max_length=64, blank=True)
    workers = models.PositiveSmallIntegerField(_("workers"))
    in_flight = models.PositiveIntegerField(_("in flight"), default=0)
    restarts = models.PositiveIntegerField(_("restarts"), default=0)
    started_at = models.DateTimeField(_("started"), db_default=Now())
    seen_at = models.DateTimeField(_("seen"), db_default=Now())
    stopped_at = models.DateTimeField(_("stopped"), null=True)

    class Meta:
        verbose_name = _("cluster")
        verbose_name_plural = _("clusters")
        ordering = ["-seen_at"]

    def __str__(self) -> str:
        return self.name


def alive() -> models.QuerySet[Cluster]:
    """Clusters that have beaten within SILENT_SECONDS and were not stopped."""
    return Cluster.objects.filter(stopped_at=None, seen_at__gt=Now() - timedelta(seconds=SILENT_SECONDS))


def beat(name: str, *, in_flight: int, restarts: int, workers: int, version: str) -> None:
    """Says that the cluster `name` ("host:pid") lives."""
    moving = {"in_flight": in_flight, "restarts": restarts, "workers": workers, "version": version}
    if not Cluster.objects.filter(name=name).update(seen_at=Now(), stopped_at=None, **moving):
        host, pid = name.rsplit(":", 1)
        Cluster.objects.create(name=name, host=host, pid=int(pid), **moving)


def leave(name: str) -> None:
    """The cluster ended in good order."""
    Cluster.objects.filter(name=name).update(stopped_at=Now(), in_flight=0)


def forget_old() -> None:
    """Drops the rows of clusters that have not been seen for a day."""
    Cluster.objects.filter(seen_at__lt=Now() - KEPT).delete()
