"""The clusters that run, or ran within a day."""

from django.contrib import admin
from django.utils import timezone
from django.utils.translation import gettext_lazy

from jobs.admin.parts import cluster_states, durations
from jobs.admin.parts.readonly import ReadOnlyAdmin
from jobs.cluster.clusters import Cluster


@admin.register(Cluster)
class ClusterAdmin(ReadOnlyAdmin):
    list_display = ("name", "state", "last_heartbeat", "workers", "in_flight", "restarts", "version", "started_at")
    list_display_links = None
    list_per_page = 50

    @admin.display(description=gettext_lazy("state"))
    def state(self, cluster: Cluster) -> str:
        return cluster_states.state_of(cluster, timezone.now())

    @admin.display(description=gettext_lazy("last heartbeat"))
    def last_heartbeat(self, cluster: Cluster) -> str:
        return durations.format_ago(cluster.seen_at, timezone.now())
