"""Event endpoints in the admin: list, add (the secret is shown once), history, and the buttons of one endpoint."""

import uuid
from collections.abc import Callable
from datetime import timedelta
from typing import Any, cast

from django import forms
from django.contrib import admin, messages
from django.core.exceptions import PermissionDenied
from django.db.models import QuerySet
from django.http import HttpRequest, HttpResponse, HttpResponseRedirect
from django.shortcuts import get_object_or_404
from django.template.response import TemplateResponse
from django.urls import URLPattern, path, reverse
from django.utils import timezone
from django.utils.translation import gettext as _
from django.utils.translation import gettext_lazy, ngettext
from django.views.decorators.http import require_POST

from accounts.events import emit, replay
from accounts.events.endpoint import CHOSEN_TYPES, EventEndpoint, EventType
from jobs.admin.parts.readonly import ReadOnlyAdmin
from jobs.core import audit
from jobs.core.job import WAITING
from jobs.core.sql.keys import parse_key

PAGE = "admin:accounts_eventendpoint_change"
SHOWN = 50  # deliveries on one page
DAYS = 7  # of the button that sends everything again that failed
CHANGE = "accounts.change_eventendpoint"
STATES = {
    "on": gettext_lazy("on"),
    "failing": gettext_lazy("failing"),
    "off": gettext_lazy("off"),
}


class EventEndpointForm(forms.ModelForm):
    types = forms.MultipleChoiceField(
        label=gettext_lazy("Types"),
        choices=[choice for choice in EventType.choices if choice[0] in CHOSEN_TYPES],
        widget=forms.CheckboxSelectMultiple,
        required=False,
        help_text=gettext_lazy("None chosen: all of them."),
    )

    class Meta:
        model = EventEndpoint
        fields = ("site", "url", "types")


@admin.register(EventEndpoint)
class EventEndpointAdmin(ReadOnlyAdmin):
    form = EventEndpointForm
    list_display = ("host_name", "site", "state_name", "last_success_at", "failing_since", "type_names")
    list_filter = ("site",)
    list_select_related = ("site",)
    list_per_page = 50
    change_form_template = "admin/accounts/eventendpoint/endpoint.html"
    readonly_fields = ("host_name", "type_names", "state_name")
    fields = (
        *(
            "host_name",
            "site",
            "type_names",
            "state_name",
            "off_reason",
            "off_at",
            "last_success_at",
            "last_failure_at",
        ),
        *("failing_since", "former_until", "made_by", "created_at"),
    )

    @admin.display(description=gettext_lazy("host"))
    def host_name(self, endpoint: EventEndpoint) -> str:
        return endpoint.host

    @admin.display(description=gettext_lazy("types"))
    def type_names(self, endpoint: EventEndpoint) -> str:
        return ", ".join(endpoint.types) or _("all")

    @admin.display(description=gettext_lazy("state"))
    def state_name(self, endpoint: EventEndpoint) -> str:
        return str(STATES[endpoint.state])

    def has_add_permission(self, request: HttpRequest) -> bool:
        return request.user.has_perm("accounts.add_eventendpoint")

    def get_fields(self, request: HttpRequest, obj: EventEndpoint | None = None) -> Any:
        return self.fields if obj else EventEndpointForm.Meta.fields

    def get_readonly_fields(self, request: HttpRequest, obj: EventEndpoint | None = None) -> Any:
        return self.readonly_fields if obj else ()

    def get_urls(self) -> list[URLPattern]:
        buttons: dict[str, Callable[[HttpRequest, EventEndpoint], HttpResponse]] = {
            "ping": self._ping,
            "rotate": self._rotate,
            "turn": self._turn,
            "replay": self._replay,
        }
        own = [
            path(
                f"<int:pk>/{name}/",
                self.admin_site.admin_view(require_POST(self._button(work))),
                name=f"accounts_eventendpoint_{name}",
            )
            for name, work in buttons.items()
        ]
        return [*own, *super().get_urls()]

    def add_view(
        self, request: HttpRequest, form_url: str = "", extra_context: dict[str, Any] | None = None
    ) -> HttpResponse:
        """Show the form without the buttons that would lead away from the new secret."""
        plain = {"show_save_and_add_another": False, "show_save_and_continue": False}
        return super().add_view(request, form_url, plain | (extra_context or {}))

    def save_model(self, request: HttpRequest, obj: EventEndpoint, form: Any, change: bool) -> None:
        """Create the endpoint; its secret exists in this request only."""
        who = request.user.get_username()
        made, secret = EventEndpoint.objects.make(obj.site, obj.url, obj.types, who=who)
        obj.__dict__.update(made.__dict__)
        obj.shown_secret = secret  # type: ignore[attr-defined]

    def response_add(self, request: HttpRequest, obj: EventEndpoint, post_url_continue: Any = None) -> HttpResponse:
        """Show the secret in the response itself: a redirect would have to store it."""
        return self._show_secret(request, obj, cast(Any, obj).shown_secret)

    def change_view(
        self, request: HttpRequest, object_id: str, form_url: str = "", extra_context: dict[str, Any] | None = None
    ) -> HttpResponse:
        """Show the endpoint with its deliveries, the latest first; `before` continues the list."""
        shown: dict[str, Any] = {"may_change": request.user.has_perm(CHANGE), "days": DAYS}
        endpoint = self.get_object(request, object_id)
        if isinstance(endpoint, EventEndpoint) and self.has_view_permission(request):
            shown |= _deliveries(endpoint, request.GET.get("before", ""))
        return super().change_view(request, object_id, form_url, shown | (extra_context or {}))

    def _button(self, work: Callable[[HttpRequest, EventEndpoint], HttpResponse]) -> Callable[..., HttpResponse]:
        """Return the view of a button: it finds the endpoint, and needs the permission to change it."""

        def view(request: HttpRequest, pk: int) -> HttpResponse:
            if not (self.has_view_permission(request) and request.user.has_perm(CHANGE)):
                raise PermissionDenied
            known = EventEndpoint.objects.select_related("site")
            return work(request, get_object_or_404(known, pk=pk))

        return view

    def _ping(self, request: HttpRequest, endpoint: EventEndpoint) -> HttpResponse:
        if not endpoint.is_on:
            messages.warning(request, _("Nothing was sent: the endpoint is off."))
            return _back(endpoint)
        emit.ping(endpoint, key=str(uuid.uuid4()))
        act = audit.AuditEntry.Act.CHANGE_ENDPOINT
        audit.record(request.user.get_username(), act, endpoint.audit_name, change="ping")
        messages.success(request, _("A test event is on its way. Reload the page to see its result."))
        return _back(endpoint)

    def _rotate(self, request: HttpRequest, endpoint: EventEndpoint) -> HttpResponse:
        return self._show_secret(request, endpoint, endpoint.rotate(who=request.user.get_username()))

    def _turn(self, request: HttpRequest, endpoint: EventEndpoint) -> HttpResponse:
        """Turn the endpoint on or off, as the POSTed `to` says."""
        on = request.POST.get("to") == "on"
        endpoint.change(who=request.user.get_username(), on=on)
        messages.success(request, _("The endpoint is on.") if on else _("The endpoint is off: no event is sent to it."))
        return _back(endpoint)

    def _replay(self, request: HttpRequest, endpoint: EventEndpoint) -> HttpResponse:
        """Send one event again, the POSTed `event`, or without one all that failed in the last days."""
        who, event = request.user.get_username(), request.POST.get("event", "").replace("\x00", "")[:200]
        if not endpoint.is_on:
            messages.warning(request, _("Nothing was sent: the endpoint is off."))
            return _back(endpoint)
        if event:
            job = replay.replay_one(endpoint, event, who=who)
            done = int(job is not None and job.status in WAITING)
        else:
            done = replay.replay_since(endpoint, timezone.now() - timedelta(days=DAYS), who=who)
        text = ngettext("%(done)d event is sent again.", "%(done)d events are sent again.", done) % {"done": done}
        messages.add_message(request, messages.SUCCESS if done else messages.WARNING, text)
        return _back(endpoint)

    def _show_secret(self, request: HttpRequest, endpoint: EventEndpoint, secret: str) -> HttpResponse:
        context = self.page(request, endpoint=endpoint, secret=secret, title=_("The secret of the event endpoint"))
        template = "admin/accounts/eventendpoint/secret.html"
        return TemplateResponse(request, template, context, headers={"Cache-Control": "no-store"})


def _deliveries(endpoint: EventEndpoint, before: str) -> dict[str, Any]:
    """Return one page of the history: each delivery with its masked request, and where the next page begins."""
    rows: QuerySet[Any] = endpoint.deliveries.order_by("-pk")
    if (key := parse_key(before)) is not None:
        rows = rows.filter(pk__lt=key)
    page = list(rows[: SHOWN + 1])
    shown = page[:SHOWN]
    bodies = replay.bodies_of(endpoint, shown)
    deliveries = [(row, bodies.get(row.event_id)) for row in shown]
    return {"deliveries": deliveries, "next": shown[-1].pk if len(page) > SHOWN else None}


def _back(endpoint: EventEndpoint) -> HttpResponse:
    return HttpResponseRedirect(reverse(PAGE, args=[endpoint.pk]))
