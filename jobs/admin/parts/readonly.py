"""The read-only base of the operators' pages."""

from typing import Any

from django.contrib import admin
from django.core.exceptions import PermissionDenied
from django.http import HttpRequest, HttpResponse
from django.utils.text import capfirst


class ReadOnlyAdmin(admin.ModelAdmin):
    """No add, no change, no delete, whatever the operator's permissions; view needs the model's view permission."""

    actions = None
    show_full_result_count = False

    def has_add_permission(self, request: HttpRequest) -> bool:
        return False

    def has_change_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        return False

    def has_delete_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        return False

    def has_view_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        return request.user.has_perm(f"{self.opts.app_label}.view_{self.opts.model_name}")

    def changelist_view(self, request: HttpRequest, extra_context: dict[str, Any] | None = None) -> HttpResponse:
        """Show the list under its own name, without Django's "select"."""
        title = capfirst(self.opts.verbose_name_plural)
        return super().changelist_view(request, {"title": title, **(extra_context or {})})

    def page(self, request: HttpRequest, **context: Any) -> dict[str, Any]:
        """Return the context of one of this model's pages."""
        return {**self.admin_site.each_context(request), "opts": self.opts, **context}


def require_permission(request: HttpRequest, permission: str) -> None:
    """Raise PermissionDenied (403) unless the operator has `permission`, one of this app's."""
    if not request.user.has_perm(f"jobs.{permission}"):
        raise PermissionDenied
