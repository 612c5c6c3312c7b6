"""Undeliverable addresses in the admin: to look at, to find by the address one has in hand, and to lift."""

from typing import Any

from django.contrib import admin, messages
from django.core.exceptions import PermissionDenied
from django.db.models import QuerySet
from django.http import Http404, HttpRequest, HttpResponse, HttpResponseRedirect
from django.urls import URLPattern, path, reverse
from django.utils.translation import gettext as _
from django.utils.translation import gettext_lazy
from django.views.decorators.http import require_POST

from accounts import moments
from accounts.addresses import LONGEST
from accounts.undeliverable import Undeliverable
from jobs import audit
from jobs.admin.capped import CappedPaginator
from jobs.admin.filters import BIGGEST_ID
from jobs.admin.readonly import ReadOnlyAdmin

LIST = "admin:accounts_undeliverable_changelist"
PAGE = "admin:accounts_undeliverable_change"


class State(admin.SimpleListFilter):
    title = gettext_lazy("state")
    parameter_name = "state"

    def lookups(self, request: HttpRequest, model_admin: Any) -> list[tuple[str, Any]]:
        return [("standing", gettext_lazy("holds mails back")), ("over", gettext_lazy("over or lifted"))]

    def queryset(self, request: HttpRequest, queryset: QuerySet[Undeliverable]) -> QuerySet[Undeliverable]:
        standing = Undeliverable.objects.standing().values("pk")
        match self.value():
            case "standing":
                return queryset.filter(pk__in=standing)
            case "over":
                return queryset.exclude(pk__in=standing)
        return queryset


@admin.register(Undeliverable)
class UndeliverableAdmin(ReadOnlyAdmin):
    list_display = ("masked", "why", "state", "told_by", "from_day", "to_day", "lifted_day")
    list_filter = (State, "why", "told_by")
    list_per_page = 50
    paginator = CappedPaginator
    fields = ("masked", "why", "state", "told_by", "since", "until", "lifted_at", "lifted_by", "times", "code")
    change_list_template = "admin/accounts/undeliverable/list.html"
    change_form_template = "admin/accounts/undeliverable/entry.html"

    def get_urls(self) -> list[URLPattern]:
        guard = self.admin_site.admin_view
        return [
            path("search/", guard(require_POST(self._search)), name="accounts_undeliverable_search"),
            path("<int:pk>/lift/", guard(require_POST(self._lift)), name="accounts_undeliverable_lift"),
            *super().get_urls(),
        ]

    @admin.display(description=gettext_lazy("holds mails back"), boolean=True)
    def state(self, entry: Undeliverable) -> bool:
        return entry.standing

    @admin.display(description=gettext_lazy("since"), ordering="since")
    def from_day(self, entry: Undeliverable) -> str:
        return moments.day(entry.since)

    @admin.display(description=gettext_lazy("until"), ordering="until")
    def to_day(self, entry: Undeliverable) -> str:
        return moments.day(entry.until)

    @admin.display(description=gettext_lazy("lifted"), ordering="lifted_at")
    def lifted_day(self, entry: Undeliverable) -> str | None:
        return moments.day(entry.lifted_at) if entry.lifted_at else None

    def _search(self, request: HttpRequest) -> HttpResponse:
        """An address becomes its entry, so that it never stands in a URL or a log."""
        if not self.has_view_permission(request):
            raise PermissionDenied
        found = Undeliverable.objects.of([request.POST.get("q", "").strip()[: LONGEST + 1]]).order_by("-until").first()
        if found is None:
            messages.info(request, _("Nothing is known against exactly this address."))
            return HttpResponseRedirect(reverse(LIST))
        return HttpResponseRedirect(reverse(PAGE, args=[found.pk]))

    def _lift(self, request: HttpRequest, pk: int) -> HttpResponse:
        """POST `why`: mails go to the address again. An entry that holds nothing back is left as it is."""
        if not (self.has_view_permission(request) and request.user.has_perm("accounts.lift_undeliverable")):
            raise PermissionDenied
        entries = Undeliverable.objects.filter(pk=pk)
        if pk > BIGGEST_ID or not entries.exists():
            raise Http404
        who = request.user.get_username()
        if entries.lift(who):
            why = request.POST.get("why", "").replace("\x00", "")[:200]
            audit.record(who, audit.AuditEntry.Act.LIFT, f"undeliverable:{pk}", why=why)
            messages.success(request, _("Lifted: mails go to this address again."))
            messages.info(
                request,
                _(
                    "Its dead letters stay dead: find them under Jobs by the address and press Replay. "
                    "The mail service may keep a list of its own: take the address out there, too."
                ),
            )
        else:
            messages.warning(request, _("Nothing was done: it holds no mails back."))
        return HttpResponseRedirect(reverse(PAGE, args=[pk]))
