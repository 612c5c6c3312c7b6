"""The state of a cluster in the operator's language."""

from datetime import datetime

from django.utils.translation import gettext as _

from jobs.cluster.clusters import Cluster


def state_of(cluster: Cluster, now: datetime) -> str:
    """Return "alive", "silent" or "stopped"."""
    if cluster.stopped_at:
        return _("stopped")
    return _("alive") if cluster.is_alive(now) else _("silent")
