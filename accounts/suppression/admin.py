"""The suppression list in the admin: read it, search it by a whole address, reactivate an entry."""

from typing import Any

from django.contrib import admin, messages
from django.core.exceptions import PermissionDenied
from django.db import transaction
from django.db.models import QuerySet
from django.http import Http404, HttpRequest, HttpResponse, HttpResponseRedirect
from django.urls import URLPattern, path, reverse
from django.utils.translation import gettext as _
from django.utils.translation import gettext_lazy
from django.views.decorators.http import require_POST

from accounts.mail import dates
from accounts.mail.addresses import LONGEST
from accounts.suppression.entries import SuppressedAddress
from jobs.admin.parts.capped import CappedPaginator
from jobs.admin.parts.readonly import ReadOnlyAdmin
from jobs.core import audit

LIST = "admin:accounts_suppressedaddress_changelist"
PAGE = "admin:accounts_suppressedaddress_change"


class State(admin.SimpleListFilter):
    title = gettext_lazy("state")
    parameter_name = "state"

    def lookups(self, request: HttpRequest, model_admin: Any) -> list[tuple[str, Any]]:
        return [("active", gettext_lazy("suppressed")), ("over", gettext_lazy("expired or reactivated"))]

    def queryset(self, request: HttpRequest, queryset: QuerySet[SuppressedAddress]) -> QuerySet[SuppressedAddress]:
        active = SuppressedAddress.objects.active().values("pk")
        match self.value():
            case "active":
                return queryset.filter(pk__in=active)
            case "over":
                return queryset.exclude(pk__in=active)
        return queryset


@admin.register(SuppressedAddress)
class SuppressedAddressAdmin(ReadOnlyAdmin):
    list_display = ("masked", "why", "state", "reported_by", "from_day", "to_day", "reactivated_day")
    list_filter = (State, "why", "reported_by")
    list_per_page = 50
    paginator = CappedPaginator
    fields = (
        "masked",
        "why",
        "state",
        "reported_by",
        "since",
        "until",
        "reactivated_at",
        "reactivated_by",
        "times",
        "code",
    )
    change_list_template = "admin/accounts/suppressedaddress/list.html"
    change_form_template = "admin/accounts/suppressedaddress/entry.html"

    def get_urls(self) -> list[URLPattern]:
        guard = self.admin_site.admin_view
        return [
            path("search/", guard(require_POST(self._search)), name="accounts_suppressedaddress_search"),
            path(
                "<int:pk>/reactivate/",
                guard(require_POST(transaction.atomic(self._reactivate))),  # one transaction with its audit row
                name="accounts_suppressedaddress_reactivate",
            ),
            *super().get_urls(),
        ]

    @admin.display(description=gettext_lazy("suppressed"), boolean=True)
    def state(self, entry: SuppressedAddress) -> bool:
        return entry.active

    @admin.display(description=gettext_lazy("since"), ordering="since")
    def from_day(self, entry: SuppressedAddress) -> str:
        return dates.format_day(entry.since)

    @admin.display(description=gettext_lazy("until"), ordering="until")
    def to_day(self, entry: SuppressedAddress) -> str:
        return dates.format_day(entry.until)

    @admin.display(description=gettext_lazy("reactivated"), ordering="reactivated_at")
    def reactivated_day(self, entry: SuppressedAddress) -> str | None:
        return dates.format_day(entry.reactivated_at) if entry.reactivated_at else None

    def _search(self, request: HttpRequest) -> HttpResponse:
        """Redirect a POSTed address to its entry: no URL or log contains the address."""
        if not self.has_view_permission(request):
            raise PermissionDenied
        found = (
            SuppressedAddress.objects.for_addresses([request.POST.get("q", "").strip()[: LONGEST + 1]])
            .order_by("-until")
            .first()
        )
        if found is None:
            messages.info(request, _("There is no entry for exactly this address."))
            return HttpResponseRedirect(reverse(LIST))
        return HttpResponseRedirect(reverse(PAGE, args=[found.pk]))

    def _reactivate(self, request: HttpRequest, pk: int) -> HttpResponse:
        """Reactivate the entry, with the POSTed reason `why`.

        An entry that is not active stays as it is.
        """
        if not (self.has_view_permission(request) and request.user.has_perm("accounts.reactivate_suppressedaddress")):
            raise PermissionDenied
        entries = SuppressedAddress.objects.filter(pk=pk)
        if not entries.exists():
            raise Http404
        who = request.user.get_username()
        if entries.reactivate(who):
            why = request.POST.get("why", "").replace("\x00", "")[:200]
            audit.record(who, audit.AuditEntry.Act.REACTIVATE, f"suppressed:{pk}", why=why)
            messages.success(request, _("Reactivated: emails are sent to this address again."))
            messages.info(
                request,
                _(
                    "Its dead letters are not replayed: find them under Jobs by the address and replay them. "
                    "The email service may keep a suppression list of its own: remove the address there, too."
                ),
            )
        else:
            messages.warning(request, _("Nothing was done: the address was not suppressed."))
        return HttpResponseRedirect(reverse(PAGE, args=[pk]))
