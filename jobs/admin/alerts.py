"""The alerts: each rule with its state and what to do, the channels, and a test of each channel."""

from dataclasses import dataclass
from datetime import datetime

from django.contrib import admin, messages
from django.http import Http404, HttpRequest, HttpResponse, HttpResponseRedirect
from django.template.response import TemplateResponse
from django.urls import URLPattern, path, reverse
from django.utils import timezone
from django.utils.translation import gettext as _
from django.views.decorators.http import require_POST

from jobs.admin.parts.readonly import ReadOnlyAdmin, require_permission
from jobs.alerts import channels, rules
from jobs.alerts.channels import Alert, NotSent
from jobs.alerts.rules import Rule
from jobs.alerts.states import AlertNotice, AlertState
from jobs.core import audit

PAGE = "admin:jobs_alertstate_changelist"


@dataclass(frozen=True)
class ShownRule:
    """A rule as a row of the page."""

    rule: Rule
    state: AlertState

    @property
    def firing(self) -> bool:
        """Return whether it fires."""
        return self.state.firing_since is not None

    @property
    def since(self) -> datetime | None:
        """Return since when it has its state; None when it has always had it."""
        return self.state.firing_since or self.state.pending_since or self.state.cleared_at


def load_rules() -> list[ShownRule]:
    """Return every rule with its state, those that fire first."""
    states = AlertState.objects.in_bulk()
    shown = [ShownRule(rule, states.get(rule.name) or AlertState(name=rule.name)) for rule in rules.all_rules()]
    return sorted(shown, key=lambda each: not each.firing)


@admin.register(AlertState)
class AlertStateAdmin(ReadOnlyAdmin):
    def get_urls(self) -> list[URLPattern]:
        """Return one page and the button of each channel; the code defines the rules."""
        guard = self.admin_site.admin_view
        return [
            path("", guard(self.changelist_view), name="jobs_alertstate_changelist"),
            path("test/", guard(require_POST(self._test)), name="jobs_alertstate_test"),
            path("<str:object_id>/change/", guard(self._one), name="jobs_alertstate_change"),
        ]

    def changelist_view(self, request: HttpRequest, extra_context: object = None) -> HttpResponse:
        """GET: show every rule with its state, and the channels."""
        require_permission(request, "view_alertstate")
        context = self.page(
            request,
            title=_("Alerts"),
            rules=load_rules(),
            channels=channels.configured(),
            evaluated=channels.any_configured(),
            may_test=request.user.has_perm("jobs.test_alertstate"),
        )
        return TemplateResponse(request, "admin/jobs/alertstate/change_list.html", context)

    def _one(self, request: HttpRequest, object_id: str) -> HttpResponse:
        return HttpResponseRedirect(reverse(PAGE))

    def _test(self, request: HttpRequest) -> HttpResponse:
        """Send a test alert through the POSTed `channel`, and say whether it was taken."""
        require_permission(request, "test_alertstate")
        channel = channels.find(request.POST.get("channel", ""))
        if channel is None:
            raise Http404
        audit.record(request.user.get_username(), audit.AuditEntry.Act.TEST_ALERT, channel.name)
        now = timezone.now()
        try:
            channel.send(Alert(None, AlertNotice.FIRING, now, now))
        except NotSent as failed:
            messages.error(
                request, _("%(channel)s did not take it: %(why)s") % {"channel": channel.name, "why": failed}
            )
        else:
            messages.success(request, _("%(channel)s took the test alert.") % {"channel": channel.name})
        return HttpResponseRedirect(reverse(PAGE))
