"""Bulk replays: their filter, their progress, and a button to cancel them."""

from typing import Any

from django.contrib import admin, messages
from django.core.exceptions import PermissionDenied
from django.http import HttpRequest, HttpResponse, HttpResponseRedirect
from django.urls import URLPattern, path, reverse
from django.utils.translation import gettext as _
from django.utils.translation import gettext_lazy
from django.views.decorators.http import require_POST

from jobs.admin.parts.readonly import ReadOnlyAdmin, require_permission
from jobs.queue import bulk_replay
from jobs.queue.bulk_replay import BulkReplay


@admin.register(BulkReplay)
class BulkReplayAdmin(ReadOnlyAdmin):
    list_display = ("created_at", "who", "why", "chosen", "state", "progress")
    list_filter = ("state",)
    list_per_page = 50
    change_form_template = "admin/jobs/bulkreplay/batch.html"
    fields = ("created_at", "who", "why", "chosen", "state", "progress", "rate", "canary", "moved_at", "finished_at")

    def get_urls(self) -> list[URLPattern]:
        cancel = self.admin_site.admin_view(require_POST(self._cancel))
        return [path("<uuid:pk>/cancel/", cancel, name="jobs_bulkreplay_cancel"), *super().get_urls()]

    def get_queryset(self, request: HttpRequest) -> Any:
        return super().get_queryset(request).select_related("canary")

    @admin.display(description=gettext_lazy("filter"))
    def chosen(self, batch: BulkReplay) -> str:
        """Return the filter in one line, with the lengths of lists."""
        shown = [f"{key}={len(value) if isinstance(value, list) else value}" for key, value in batch.filter.items()]
        return ", ".join(shown) or _("all dead letters")

    @admin.display(description=gettext_lazy("progress"))
    def progress(self, batch: BulkReplay) -> str:
        return _("%(done)s of %(all)s") % {"done": f"{batch.replayed:,}", "all": f"{batch.matched:,}"}

    def _cancel(self, request: HttpRequest, pk: Any) -> HttpResponse:
        require_permission(request, "replay_joblog")
        batch = BulkReplay.objects.filter(pk=pk).first()
        if batch is None or not self.has_view_permission(request):
            raise PermissionDenied
        if bulk_replay.cancel(batch, who=request.user.get_username()):
            messages.success(request, _("Cancelled. The dead letters that it had not reached were not replayed."))
        else:
            messages.warning(request, _("The bulk replay had already ended."))
        return HttpResponseRedirect(reverse("admin:jobs_bulkreplay_change", args=[pk]))
