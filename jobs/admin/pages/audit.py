"""The audit, newest first."""

import json

from django.contrib import admin
from django.utils.translation import gettext_lazy

from jobs.admin.parts.capped import CappedPaginator
from jobs.admin.parts.readonly import ReadOnlyAdmin
from jobs.core import masking
from jobs.core.audit import AuditEntry
from jobs.templatetags.job_dates import second

DETAIL_LENGTH = 120


@admin.register(AuditEntry)
class AuditEntryAdmin(ReadOnlyAdmin):
    list_display = ("when", "who", "act", "target", "detail_text")
    list_display_links = None
    list_filter = ("act",)
    search_fields = ("=who", "=target")
    list_per_page = 50
    paginator = CappedPaginator

    @admin.display(description=gettext_lazy("at"), ordering="at")
    def when(self, entry: AuditEntry) -> str:
        """Return the time in the short form of the language."""
        return second(entry.at)

    @admin.display(description=gettext_lazy("detail"))
    def detail_text(self, entry: AuditEntry) -> str:
        """Return the detail in one line."""
        shown = json.dumps(entry.detail, ensure_ascii=False) if entry.detail else ""
        return masking.abbreviate(shown, DETAIL_LENGTH)
