"""Bulk replays: what was asked, how far it is, and the button that stops it."""

from typing import Any

from django.contrib import admin, messages
from django.core.exceptions import PermissionDenied
from django.http import HttpRequest, HttpResponse, HttpResponseRedirect
from django.urls import URLPattern, path, reverse
from django.utils.translation import gettext as _
from django.utils.translation import gettext_lazy
from django.views.decorators.http import require_POST

from jobs import bulk
from jobs.admin.readonly import ReadOnlyAdmin, demand
from jobs.bulk import BulkReplay


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
        """The filter in one line; lists of ids are counted, not written out."""
        told = [f"{key}={len(value) if isinstance(value, list) else value}" for key, value in batch.filter.items()]
        return ", ".join(told) or _("all dead letters")

    @admin.display(description=gettext_lazy("progress"))
    def progress(self, batch: BulkReplay) -> str:
        return _("%(done)s of %(all)s") % {"done": f"{batch.replayed:,}", "all": f"{batch.matched:,}"}

    def _cancel(self, request: HttpRequest, pk: Any) -> HttpResponse:
        demand(request, "replay_joblog")
        batch = BulkReplay.objects.filter(pk=pk).first()
        if batch is None or not self.has_view_permission(request):
            raise PermissionDenied
        if bulk.cancel(batch, who=request.user.get_username()):
            messages.success(request, _("Cancelled. What it had not reached stays a dead letter."))
        else:
            messages.warning(request, _("It had ended already."))
        return HttpResponseRedirect(reverse("admin:jobs_bulkreplay_change", args=[pk]))
