"""The clusters that are running: one heartbeat row for each start of `manage.py qcluster`."""

from collections.abc import Sequence
from datetime import datetime, timedelta
from typing import Any

from django.core.exceptions import EmptyResultSet
from django.db import models
from django.db.models.functions import Now
from django.utils.translation import gettext_lazy as _

from jobs.cluster.identity import Identity
from jobs.core import sql

HEARTBEAT_SECONDS = 12
SILENT_SECONDS = 30  # without a heartbeat for this long, a cluster counts as dead
OTHER_CONNECTIONS = 4  # of a cluster: its pusher's, its heartbeat's and those of its maintenance and its ticker
CLUSTER_ROWS_KEPT = timedelta(days=1)
HEARTBEAT_TIMEOUT_MS = 5_000  # of the statement: less than what is left of SILENT_SECONDS after two heartbeats
RECORD_HEARTBEAT = """
UPDATE jobs_cluster SET seen_at = {now}, stopped_at = NULL, in_flight = %s, restarts = %s, workers = %s, version = %s,
    failing = %s
WHERE name = %s RETURNING {found}
"""


class Cluster(models.Model):
    """One running `manage.py qcluster`, with its last heartbeat."""

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
    kernel = models.CharField(max_length=100, blank=True, default="", db_default="")
    """With `pid` and `process_started` the identity of the supervisor (jobs/cluster/identity.py); "" where unknown."""
    process_started = models.BigIntegerField(default=0, db_default=0)
    failing = models.CharField(_("failing maintenance"), max_length=255, blank=True, default="", db_default="")
    """The names of the maintenance steps that failed when they last ran."""

    class Meta:
        verbose_name = _("cluster")
        verbose_name_plural = _("clusters")
        ordering = ["-seen_at"]

    def __str__(self) -> str:
        return self.name

    @property
    def identity(self) -> Identity:
        """The process of its supervisor."""
        return Identity(self.host, self.pid, self.kernel, self.process_started)

    @property
    def connections(self) -> int:
        """How many database connections it keeps: the workers', the reserved worker's, and OTHER_CONNECTIONS."""
        return self.workers + (self.workers > 1) + OTHER_CONNECTIONS

    def is_alive(self, now: datetime) -> bool:
        """Return what `alive` asks the database: a heartbeat within SILENT_SECONDS, and not stopped."""
        return self.stopped_at is None and now - self.seen_at < timedelta(seconds=SILENT_SECONDS)


def alive() -> models.QuerySet[Cluster]:
    """Return the clusters that sent a heartbeat within SILENT_SECONDS and were not stopped."""
    return Cluster.objects.filter(stopped_at=None, seen_at__gt=Now() - timedelta(seconds=SILENT_SECONDS))


def failing_maintenance() -> list[str]:
    """Return the maintenance steps that fail in living clusters, by name."""
    names = alive().exclude(failing="").values_list("failing", flat=True)
    return sorted({name for failing in names for name in failing.split(", ")})


def record_heartbeat(
    name: str,
    *,
    in_flight: int,
    restarts: int,
    workers: int,
    version: str,
    failing: str = "",
    identity: Identity | None = None,
    ask: Sequence[models.QuerySet[Any]] = (),
) -> list[bool]:
    """Record that the cluster `name` ("host:pid:start") is alive, and run the queries of `ask`.

    Returns which of them find a row. All of it is one statement. Each query gets its first row in its own order, so
    that the database walks the index of that order.
    """
    queries = [_first_key(query) for query in ask]
    found = ", ".join(f"({query}) IS NOT NULL" for query, _ in queries) or "1"
    asked = [value for _, values in queries for value in values]
    values: list[Any] = [in_flight, restarts, workers, version, failing, name, *asked]
    row = sql.fetch_limited(HEARTBEAT_TIMEOUT_MS, RECORD_HEARTBEAT.format(now=sql.clock(), found=found), values)
    if row is None:
        state = {"in_flight": in_flight, "restarts": restarts, "workers": workers, "version": version}
        _insert(name, identity, **state)
        return [True for _ in ask]
    return [bool(found) for found in row[: len(queries)]]


def _first_key(query: models.QuerySet[Any]) -> tuple[str, tuple[Any, ...]]:
    """Return the SQL for the key of a query's first row, and its values."""
    try:
        return query.values("pk")[:1].query.sql_with_params()
    except EmptyResultSet:  # as of `none()`
        return "SELECT NULL", ()


def _insert(name: str, identity: Identity | None, **state: Any) -> None:
    host, pid = name.split(":")[:2]
    who = identity or Identity(host, int(pid), "", 0)
    Cluster.objects.create(
        name=name, host=who.host, pid=who.pid, kernel=who.kernel, process_started=who.started, **state
    )


def mark_stopped(name: str) -> None:
    """Record that the cluster shut down cleanly."""
    Cluster.objects.filter(name=name).update(stopped_at=Now(), in_flight=0)


def read_clusters() -> dict[tuple[str, str], float]:
    """Return the gauges of the clusters, for the alert rules."""
    restarts = alive().values_list("name", "restarts")
    gauges: dict[tuple[str, str], float] = {("notifier_cluster_restarts", name): count for name, count in restarts}
    return {**gauges, ("notifier_clusters", ""): len(gauges)}


def old_clusters() -> models.QuerySet[Cluster]:
    """Return the clusters that have sent no heartbeat for a day."""
    return Cluster.objects.filter(seen_at__lt=Now() - CLUSTER_ROWS_KEPT)


def delete_old() -> None:
    """Delete the rows of old clusters."""
    old_clusters().delete()
