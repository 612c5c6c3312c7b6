"""The clusters that are running: one heartbeat row for each `manage.py qcluster`."""

from collections.abc import Sequence
from datetime import timedelta
from typing import Any

from django.db import connection, models
from django.db.models.functions import Now
from django.utils.translation import gettext_lazy as _

from jobs import counters

BEAT_SECONDS = 12
SILENT_SECONDS = 30  # without a beat for this long, a cluster counts as gone
KEPT = timedelta(days=1)
BEAT = """
UPDATE jobs_cluster SET seen_at = {now}, stopped_at = NULL, in_flight = %s, restarts = %s, workers = %s, version = %s
WHERE name = %s RETURNING {asked}
"""


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


def beat(
    name: str, *, in_flight: int, restarts: int, workers: int, version: str, ask: Sequence[models.QuerySet[Any]] = ()
) -> list[bool]:
    """Says that the cluster `name` ("host:pid") lives, and asks with the same statement which of `ask` find anything.

    Each is asked for its first row in its own order, so that the database walks the index of that order.
    """
    questions = [query.values("pk")[:1].query.sql_with_params() for query in ask]
    asked = ", ".join(f"({sql}) IS NOT NULL" for sql, _ in questions) or "1"
    values = [in_flight, restarts, workers, version, name, *(value for _, values in questions for value in values)]
    with connection.cursor() as cursor:
        cursor.execute(BEAT.format(now=counters.NOW[connection.vendor], asked=asked), values)
        told = cursor.fetchone()
    if told is None:
        host, pid = name.rsplit(":", 1)
        moving = {"in_flight": in_flight, "restarts": restarts, "workers": workers, "version": version}
        Cluster.objects.create(name=name, host=host, pid=int(pid), **moving)
        return [True for _ in ask]
    return [bool(there) for there in told[: len(questions)]]


def leave(name: str) -> None:
    """The cluster ended in good order."""
    Cluster.objects.filter(name=name).update(stopped_at=Now(), in_flight=0)


def old() -> models.QuerySet[Cluster]:
    """Clusters that have not been seen for a day."""
    return Cluster.objects.filter(seen_at__lt=Now() - KEPT)


def forget_old() -> None:
    """Drops the rows of old clusters."""
    old().delete()
