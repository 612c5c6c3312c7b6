"""Who did what, newest first."""

import json

from django.contrib import admin
from django.utils.translation import gettext_lazy

from jobs.admin import masking
from jobs.admin.capped import CappedPaginator
from jobs.admin.readonly import ReadOnlyAdmin
from jobs.audit import AuditEntry

EXCERPT = 120


@admin.register(AuditEntry)
class AuditEntryAdmin(ReadOnlyAdmin):
    list_display = ("at", "who", "act", "target", "detail_text")
    list_display_links = None
    list_filter = ("act",)
    search_fields = ("=who", "=target")
    list_per_page = 50
    paginator = CappedPaginator

    @admin.display(description=gettext_lazy("detail"))
    def detail_text(self, entry: AuditEntry) -> str:
        """The detail in one line."""
        shown = json.dumps(entry.detail, ensure_ascii=False) if entry.detail else ""
        return masking.text(masking.cut(shown, EXCERPT))
