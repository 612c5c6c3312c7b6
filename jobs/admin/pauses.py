"""Job types: which are held and why, and the buttons to pause and resume them."""

from dataclasses import dataclass

from django.contrib import admin, messages
from django.http import Http404, HttpRequest, HttpResponse, HttpResponseRedirect
from django.template.response import TemplateResponse
from django.urls import URLPattern, path, reverse
from django.utils.translation import gettext as _
from django.views.decorators.http import require_POST

from jobs import pauses, registry
from jobs.admin import masking
from jobs.admin.readonly import ReadOnlyAdmin, demand
from jobs.pauses import JobTypeState


@dataclass(frozen=True)
class Kind:
    """A registered type and its state."""

    name: str
    state: JobTypeState | None
    breaker_error: str


@admin.register(JobTypeState)
class JobTypeStateAdmin(ReadOnlyAdmin):
    def get_urls(self) -> list[URLPattern]:
        """One page and two buttons; types come from the code, so there is nothing to add or change."""
        guard = self.admin_site.admin_view
        return [
            path("", guard(self.changelist_view), name="jobs_jobtypestate_changelist"),
            path("pause/", guard(require_POST(self._pause)), name="jobs_jobtypestate_pause"),
            path("resume/", guard(require_POST(self._resume)), name="jobs_jobtypestate_resume"),
            path("<str:object_id>/change/", guard(self._one), name="jobs_jobtypestate_change"),
        ]

    def changelist_view(self, request: HttpRequest, extra_context: object = None) -> HttpResponse:
        """GET: every type with its state."""
        demand(request, "view_jobtypestate")
        states = {state.job_type: state for state in JobTypeState.objects.all()}
        names = dict.fromkeys([kind.name for kind in registry.all_types()] + list(states))
        kinds = [Kind(name, states.get(name), _said(states.get(name))) for name in names]
        may_pause = request.user.has_perm("jobs.pause_jobtypestate")
        context = self.page(request, title=_("Job types"), kinds=kinds, may_pause=may_pause)
        return TemplateResponse(request, "admin/jobs/jobtypestate/change_list.html", context)

    def _one(self, request: HttpRequest, object_id: str) -> HttpResponse:
        return HttpResponseRedirect(reverse("admin:jobs_jobtypestate_changelist"))

    def _pause(self, request: HttpRequest) -> HttpResponse:
        demand(request, "pause_jobtypestate")
        name, why = self._named(request), request.POST.get("why", "").replace("\x00", "").strip()
        if not why:
            messages.error(request, _("Say why: the next operator will want to know."))
        elif pauses.pause(name, who=request.user.get_username(), why=why):
            messages.success(request, _("%s is paused. Jobs are still accepted and wait.") % name)
        else:
            messages.warning(request, _("%s was paused already.") % name)
        return HttpResponseRedirect(reverse("admin:jobs_jobtypestate_changelist"))

    def _resume(self, request: HttpRequest) -> HttpResponse:
        demand(request, "pause_jobtypestate")
        name = self._named(request)
        if pauses.resume(name, who=request.user.get_username()):
            messages.success(request, _("%s runs again.") % name)
        else:
            messages.warning(request, _("%s was not paused.") % name)
        return HttpResponseRedirect(reverse("admin:jobs_jobtypestate_changelist"))

    def _named(self, request: HttpRequest) -> str:
        name = request.POST.get("job_type", "")
        if registry.find(name) is None and not JobTypeState.objects.filter(job_type=name.replace("\x00", "")).exists():
            raise Http404
        return name


def _said(state: JobTypeState | None) -> str:
    return masking.text(masking.cut(state.breaker_error, masking.LONGEST_VALUE)) if state else ""
