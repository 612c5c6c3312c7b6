"""Job types and lanes: which are suspended and why, and buttons to pause and resume them, and all email."""

from dataclasses import dataclass, field

from django.contrib import admin, messages
from django.http import Http404, HttpRequest, HttpResponse, HttpResponseRedirect
from django.template.response import TemplateResponse
from django.urls import URLPattern, path, reverse
from django.utils import timezone
from django.utils.translation import gettext as _
from django.views.decorators.http import require_POST

from jobs.admin.panels import present, registry
from jobs.admin.panels.registry import Place
from jobs.admin.parts import policies
from jobs.admin.parts.readonly import ReadOnlyAdmin, require_permission
from jobs.core import job_types, masking
from jobs.core.pauses import JobTypeState, Lane, LaneState
from jobs.queue import actions


@dataclass(frozen=True)
class Kind:
    """What may be paused: a registered type, a lane or all email."""

    target: str  # as `actions.pause` takes it
    name: str
    state: JobTypeState | LaneState | None  # None when nothing was ever suspended
    paused: bool = False
    breaker_error: str = ""
    policy: list[tuple[str, str]] = field(default_factory=list)  # (label, value); only of a type that this version has


def load_kinds(active: list[JobTypeState | LaneState]) -> list[Kind]:
    """Return all email, the lanes and the types, each with its state. active: what operators paused."""
    paused = {str(state): state for state in active}
    mail = [paused.get(name) for name in job_types.mail_types()]
    first = mail[0] if mail and all(mail) else None
    kinds = [Kind(actions.ALL_MAIL, _("All email"), first, paused=first is not None)]
    for lane, target in zip(Lane, actions.LANE_TARGETS, strict=True):
        kinds.append(Kind(target, _("Lane %s") % lane.label, paused.get(target), target in paused))
    states = {state.job_type: state for state in JobTypeState.objects.all()}
    names = dict.fromkeys([kind.name for kind in job_types.all_types()] + list(states))
    return kinds + [_load_type(name, states.get(name), name in paused) for name in names]


def _load_type(name: str, state: JobTypeState | None, paused: bool) -> Kind:
    return Kind(name, name, state, paused, _breaker_error(state), policies.describe_policy(name))


@admin.register(JobTypeState)
class JobTypeStateAdmin(ReadOnlyAdmin):
    def get_urls(self) -> list[URLPattern]:
        """Return one page and two buttons; the code defines the types."""
        guard = self.admin_site.admin_view
        return [
            path("", guard(self.changelist_view), name="jobs_jobtypestate_changelist"),
            path("pause/", guard(require_POST(self._pause)), name="jobs_jobtypestate_pause"),
            path("resume/", guard(require_POST(self._resume)), name="jobs_jobtypestate_resume"),
            path("<str:object_id>/change/", guard(self._one), name="jobs_jobtypestate_change"),
        ]

    def changelist_view(self, request: HttpRequest, extra_context: object = None) -> HttpResponse:
        """GET: show every type with its state."""
        require_permission(request, "view_jobtypestate")
        may_pause = request.user.has_perm("jobs.pause_jobtypestate")
        panels = registry.load(Place.SENDING, registry.View(request, timezone.now()))
        kinds = load_kinds(present.load(request).pauses)
        context = self.page(request, title=_("Sending"), kinds=kinds, may_pause=may_pause, panels=panels)
        return TemplateResponse(request, "admin/jobs/jobtypestate/change_list.html", context)

    def _one(self, request: HttpRequest, object_id: str) -> HttpResponse:
        return HttpResponseRedirect(reverse("admin:jobs_jobtypestate_changelist"))

    def _pause(self, request: HttpRequest) -> HttpResponse:
        require_permission(request, "pause_jobtypestate")
        name, why = self._named(request), request.POST.get("why", "").replace("\x00", "").strip()
        try:
            hours = request.POST.get("hours")
            until = actions.find_end(float(hours) if hours else None, request.POST.get("until"))
        except ValueError:
            messages.error(request, _("The end of a pause must be a time in the future."))
            return HttpResponseRedirect(reverse("admin:jobs_jobtypestate_changelist"))
        if not why:
            messages.error(request, _("Give a reason: the next operator will need it."))
        elif actions.pause(name, who=request.user.get_username(), why=why, until=until):
            messages.success(request, _("%s is paused. Jobs are still accepted, and wait.") % _shown(name))
        else:
            messages.warning(request, _("%s was already paused.") % _shown(name))
        return HttpResponseRedirect(reverse("admin:jobs_jobtypestate_changelist"))

    def _resume(self, request: HttpRequest) -> HttpResponse:
        require_permission(request, "pause_jobtypestate")
        name = self._named(request)
        if actions.resume(name, who=request.user.get_username()):
            messages.success(request, _("%s runs again.") % _shown(name))
        else:
            messages.warning(request, _("%s was not paused.") % _shown(name))
        return HttpResponseRedirect(reverse("admin:jobs_jobtypestate_changelist"))

    def _named(self, request: HttpRequest) -> str:
        name = request.POST.get("job_type", "")
        if name == actions.ALL_MAIL or name in actions.LANE_TARGETS:
            return name
        if (
            not job_types.is_registered(name)
            and not JobTypeState.objects.filter(job_type=name.replace("\x00", "")).exists()
        ):
            raise Http404
        return name


def _shown(target: str) -> str:
    """Return what operators read for a target."""
    return _("All email") if target == actions.ALL_MAIL else target


def _breaker_error(state: JobTypeState | None) -> str:
    return masking.abbreviate(state.breaker_error, masking.LONGEST_VALUE) if state else ""
