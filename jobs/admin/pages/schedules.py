"""Schedules: when each was and is due, its last job, and buttons to run, pause and resume it."""

from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

import structlog
from django.contrib import admin, messages
from django.http import Http404, HttpRequest, HttpResponse, HttpResponseRedirect
from django.template.response import TemplateResponse
from django.urls import URLPattern, path, reverse
from django.utils.translation import gettext as _
from django.views.decorators.http import require_POST

from jobs.admin.parts.readonly import ReadOnlyAdmin, require_permission
from jobs.core.job import JobLog, Status
from jobs.queue.enqueue import Duplicate
from jobs.schedules import actions, registry
from jobs.schedules.registry import Schedule
from jobs.schedules.state import LATE_SECONDS, ScheduleState

log = structlog.get_logger("jobs.admin.schedules")


@dataclass(frozen=True)
class Line:
    """A schedule as the page shows it."""

    name: str
    state: ScheduleState | None  # None until a cluster has started with it
    schedule: Schedule | None  # None when the settings do not have it, or it is wrong
    job: JobLog | None  # the last one
    faults: list[registry.Fault] = field(default_factory=list)

    @property
    def next_tick(self) -> datetime | None:
        """Return when it is due next; None while it is paused or not followed."""
        return None if self.state is None or self.state.paused_at else self.state.next_tick

    def is_troubled(self, now: datetime) -> bool:
        """Return whether it is wrong, its last job is dead, or its time has passed and no cluster has ticked it."""
        dead = self.job is not None and self.job.status == Status.DLQ
        late = self.next_tick is not None and (now - self.next_tick).total_seconds() > LATE_SECONDS
        return bool(self.faults or dead or late or (self.state and self.state.error))


def load_lines() -> list[Line]:
    """Return the schedules of the settings and of the clusters, by name. Two queries."""
    states = {state.name: state for state in ScheduleState.objects.all()}
    ids = [state.last_job_id for state in states.values() if state.last_job_id]
    jobs = {job.job_id: job for job in JobLog.objects.filter(job_id__in=ids).defer("payload", "stack_trace")}
    schedules, faults = registry.all_schedules(), registry.faults()
    names = sorted({*states, *schedules, *(fault.name for fault in faults)})
    return [
        Line(
            name,
            state := states.get(name),
            schedules.get(name),
            jobs.get(state.last_job_id) if state else None,
            [fault for fault in faults if fault.name == name],
        )
        for name in names
    ]


@admin.register(ScheduleState)
class ScheduleStateAdmin(ReadOnlyAdmin):
    def get_urls(self) -> list[URLPattern]:
        """Return one page and three buttons; the settings define the schedules."""
        guard = self.admin_site.admin_view
        return [
            path("", guard(self.changelist_view), name="jobs_schedulestate_changelist"),
            path("run/", guard(require_POST(self._run)), name="jobs_schedulestate_run"),
            path("pause/", guard(require_POST(self._pause)), name="jobs_schedulestate_pause"),
            path("resume/", guard(require_POST(self._resume)), name="jobs_schedulestate_resume"),
            path("<str:object_id>/change/", guard(self._one), name="jobs_schedulestate_change"),
        ]

    def changelist_view(self, request: HttpRequest, extra_context: object = None) -> HttpResponse:
        """GET: show every schedule with its state."""
        require_permission(request, "view_schedulestate")
        context = self.page(
            request,
            title=_("Schedules"),
            lines=load_lines(),
            may_operate=request.user.has_perm("jobs.operate_schedulestate"),
            may_view_jobs=request.user.has_perm("jobs.view_joblog"),
        )
        return TemplateResponse(request, "admin/jobs/schedulestate/change_list.html", context)

    def _one(self, request: HttpRequest, object_id: str) -> HttpResponse:
        return _to_list()

    def _run(self, request: HttpRequest) -> HttpResponse:
        name, who = self._asked(request)
        try:
            job = actions.run_now(name, who=who)
        except Duplicate:
            messages.warning(request, _("%s was started just now.") % name)
        except LookupError:
            messages.error(request, _("%s is wrong or no longer in the settings, so it cannot be run.") % name)
        except Exception as error:  # the task's arguments, or a limit of its own
            log.exception("schedule could not be run", schedule=name, error=type(error).__name__)
            messages.error(request, _("%(name)s could not be run: %(error)s") % {"name": name, "error": _kind(error)})
        else:
            messages.success(request, _("%(name)s was started as job %(job)s.") % {"name": name, "job": job.job_id})
        return _to_list()

    def _pause(self, request: HttpRequest) -> HttpResponse:
        name, who = self._asked(request)
        why = request.POST.get("why", "").replace("\x00", "").strip()
        if not why:
            messages.error(request, _("Give a reason: the next operator will need it."))
        elif actions.pause(name, who=who, why=why):
            messages.success(request, _("%s is paused: it is not due until it is resumed.") % name)
        else:
            messages.warning(request, _("%s was already paused.") % name)
        return _to_list()

    def _resume(self, request: HttpRequest) -> HttpResponse:
        name, who = self._asked(request)
        if actions.resume(name, who=who):
            messages.success(request, _("%s runs again.") % name)
        else:
            messages.warning(request, _("%s was not paused.") % name)
        return _to_list()

    def _asked(self, request: HttpRequest) -> tuple[str, str]:
        """Return the schedule that a button named, and the operator. Raises PermissionDenied, and Http404."""
        require_permission(request, "operate_schedulestate")
        name = request.POST.get("name", "").replace("\x00", "")
        if name not in {line.name for line in load_lines()}:
            raise Http404
        return name, request.user.get_username()


def _kind(error: Any) -> str:
    return type(error).__name__


def _to_list() -> HttpResponse:
    return HttpResponseRedirect(reverse("admin:jobs_schedulestate_changelist"))
