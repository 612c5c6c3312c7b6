"""Takeover: the jobs that dead processes held are requeued without waiting for the ends of their leases.

A worker that was killed, with its cluster or alone, leaves claimed jobs whose leases last for 45 s, and messages that
are hidden for a minute. Its death is certain on the machine that ran it. The death of a cluster elsewhere is presumed
when it missed heartbeats while the database answered ours. Should it be alive after all, it settles nothing that was
taken over: the attempt number fences it.
"""

from datetime import timedelta

import structlog
from django.db import models, transaction
from django.db.models.functions import Now

from jobs.cluster.child_process import living_members
from jobs.cluster.clusters import HEARTBEAT_SECONDS, Cluster
from jobs.core.job import JobLog
from jobs.maintenance import reconciler

log = structlog.get_logger("jobs.cluster.takeover")

MISSED_SECONDS = 2 * HEARTBEAT_SECONDS + 2  # without a heartbeat: two are missing
OBSERVED_SECONDS = 2 * HEARTBEAT_SECONDS - 1  # in which the database must have answered us, so that others could beat


def silent_clusters() -> models.QuerySet[Cluster]:
    """Return the clusters that missed heartbeats and did not shut down cleanly."""
    missed = Now() - timedelta(seconds=MISSED_SECONDS)
    return Cluster.objects.filter(stopped_at=None, seen_at__lt=missed).order_by("-seen_at")


def take_over_clusters(mine: str, answered_for: float) -> int:
    """Requeue the jobs of dead clusters; return how many clusters.

    mine: the name of this cluster. answered_for: seconds for which the database has answered it.
    """
    others = Cluster.objects.filter(stopped_at=None).exclude(name=mine)
    dead = {cluster.name: cluster for cluster in others if cluster.identity.has_certainly_ended()}
    if answered_for >= OBSERVED_SECONDS:
        dead |= {cluster.name: cluster for cluster in silent_clusters().exclude(name=mine)}
    taken = [cluster for cluster in dead.values() if _end(cluster)]
    if taken:
        _requeue()
    return len(taken)


def take_over_workers(cluster: str, group: int) -> int:
    """Requeue the jobs of a cluster's own dead workers; return how many workers.

    group: the process group of its living workers. None is certainly dead where there is no /proc.
    """
    owners = set(JobLog.objects.leased_by(f"{cluster}/").values_list("worker", flat=True))
    living = living_members(group) if owners else None  # after the query: who claimed by then is in the group, or dead
    if living is None:
        return 0
    dead = [owner for owner in owners if int(owner.rpartition("/")[2]) not in living]
    for owner in dead:
        JobLog.objects.leased_by(owner).expire_leases()
    if dead:
        log.warning("workers died, their jobs are requeued", cluster=cluster, workers=len(dead))
        _requeue()
    return len(dead)


def _end(cluster: Cluster) -> bool:
    """Record that a cluster is dead, and end its leases; False when another cluster did, or it is alive after all."""
    with transaction.atomic():
        unchanged = Cluster.objects.filter(pk=cluster.pk, stopped_at=None, seen_at=cluster.seen_at)
        if not unchanged.update(stopped_at=Now(), in_flight=0):
            return False
        jobs = JobLog.objects.leased_by(f"{cluster.name}/").expire_leases()
    log.warning("cluster died, its jobs are requeued", cluster=cluster.name, jobs=jobs)
    return True


def _requeue() -> None:
    """Send messages for the jobs whose leases have just ended, and for those whose messages the dead had fetched."""
    reconciler.rescue_expired_leases()
    reconciler.requeue_orphans(slack=timedelta(0))
