"""The last deployment, as the heartbeats of the clusters show it."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime

from jobs.cluster.clusters import Cluster


@dataclass(frozen=True)
class Deploy:
    """The newest version, and since when a cluster runs it."""

    version: str
    at: datetime
    replaced: bool
    """Whether another version ran within a day; else it is only known when the first cluster started."""


def find_last(clusters: Sequence[Cluster]) -> Deploy | None:
    """Return the last deployment; None without a cluster. clusters: those of a day, stopped ones too."""
    if not clusters:
        return None
    version = max(clusters, key=lambda cluster: cluster.started_at).version
    started = min(cluster.started_at for cluster in clusters if cluster.version == version)
    return Deploy(version, started, any(cluster.version != version for cluster in clusters))
