"""What the queue is doing now, asked once for each request: the bar, the warnings and the pages share it."""

from functools import cached_property
from typing import Any

from django.http import HttpRequest

from jobs.cluster import clusters
from jobs.core import pauses, sql
from jobs.core.job import JobLog
from jobs.core.pauses import JobTypeState, LaneState
from jobs.stats.minutes import Minute

ATTRIBUTE = "queue_present"  # of a request
REFRESH_SECONDS = 10  # between two live refreshes of a page


class Present:
    """The present state. Each value is read when it is first needed."""

    @cached_property
    def _workers(self) -> list[Any]:
        """A cluster that is alive, any cluster, and a minute in which a job was counted; None for each that is not."""
        asked = (clusters.alive(), clusters.Cluster.objects.order_by(), Minute.objects.order_by())
        return sql.fetch_each([rows.values("pk")[:1] for rows in asked])

    @property
    def alive(self) -> bool:
        """Whether a cluster sends heartbeats."""
        return self._workers[0] is not None

    @property
    def fresh(self) -> bool:
        """Whether no worker has ever run here."""
        return all(found is None for found in self._workers)

    @cached_property
    def pauses(self) -> list[JobTypeState | LaneState]:
        """What operators paused."""
        return pauses.active_pauses()

    @cached_property
    def suspended(self) -> list[JobTypeState]:
        """The job types that are paused or whose breaker is open."""
        return list(pauses.suspended())

    @cached_property
    def has_dead_letters(self) -> bool:
        """Whether there is a dead letter."""
        return JobLog.objects.dead().exists()


def load(request: HttpRequest) -> Present:
    """Return the state that belongs to a request."""
    if not hasattr(request, ATTRIBUTE):
        setattr(request, ATTRIBUTE, Present())
    found: Present = getattr(request, ATTRIBUTE)
    return found
