"""The clusters that run, or ran within a day."""

from django.contrib import admin
from django.utils import timezone
from django.utils.translation import gettext as _
from django.utils.translation import gettext_lazy

from jobs.admin import durations
from jobs.admin.readonly import ReadOnlyAdmin
from jobs.clusters import SILENT_SECONDS, Cluster


@admin.register(Cluster)
class ClusterAdmin(ReadOnlyAdmin):
    list_display = ("name", "state", "last_beat", "workers", "in_flight", "restarts", "version", "started_at")
    list_display_links = None
    list_per_page = 50

    @admin.display(description=gettext_lazy("state"))
    def state(self, cluster: Cluster) -> str:
        if cluster.stopped_at:
            return _("stopped")
        return _("silent") if (timezone.now() - cluster.seen_at).total_seconds() > SILENT_SECONDS else _("alive")

    @admin.display(description=gettext_lazy("last beat"))
    def last_beat(self, cluster: Cluster) -> str:
        return durations.ago(cluster.seen_at, timezone.now())
