"""The page of one job: advice, timeline, payload, and the email that it sends."""

import json
from datetime import datetime
from typing import Any

from django import forms
from django.contrib import messages
from django.http import Http404, HttpRequest, HttpResponse, HttpResponseRedirect
from django.template.response import TemplateResponse
from django.urls import reverse
from django.utils import timezone
from django.utils.translation import gettext as _
from django.utils.translation import gettext_lazy as _lazy

from jobs.admin.panels import names
from jobs.admin.parts import advice, durations, error_classes, preview, timeline, verbs
from jobs.admin.parts.readonly import ReadOnlyAdmin, require_permission
from jobs.core import audit, job_types, masking, pauses
from jobs.core.job import WAITING, JobLog, Status
from jobs.core.sql.keys import parse_key
from jobs.queue import actions
from jobs.queue.enqueue import LONGEST_DELAY, check_run_at
from jobs.tasks.names import PREFIX as TASK
from jobs.tasks.stored import TaskResultRow

RESCHEDULE = "jobs.replay_joblog"  # an operator who may run a job again may also run it at another time


def get_job(object_id: str) -> JobLog:
    """Return the job with that key from the URL. Raises Http404."""
    key = parse_key(object_id)
    job = None if key is None else JobLog.objects.filter(pk=key).first()
    if job is None:
        raise Http404
    return job


def show_job(admin: ReadOnlyAdmin, request: HttpRequest, object_id: str, *, revealed: bool = False) -> HttpResponse:
    """GET: show the page. revealed: whether its personal data is unmasked."""
    job, now = get_job(object_id), timezone.now()
    context = admin.page(
        request,
        title=_("Job %s") % job.job_id,
        job=job,
        recipient=_user(job),
        error=masking.abbreviate(job.error),
        error_class=error_classes.label_of(job.error_class),
        advice=advice.advise(job, pauses.find_hold(job.job_type, job.lane), now),
        events=timeline.load_timeline(job, now),
        total=durations.format_between(job.created_at, job.processed_at),
        payload=_payload(job, revealed),
        task=_task(job, revealed),
        revealed=revealed,
        mails=preview.render_all(job),
        scheduled=timeline.is_scheduled(job, now),
        **_offers(request, job),
    )
    return TemplateResponse(request, "admin/jobs/joblog/job.html", context)


def _user(job: JobLog) -> names.KnownUser:
    """Return the job's user with a masked name; one query."""
    key = names.UserKey(job.source, job.user_id)
    payload = job.payload if isinstance(job.payload, dict) else {}
    own = [value for name in job_types.name_keys(job.job_type) if isinstance(value := payload.get(name), str)]
    return names.shown(key, names.find([key]).get(key), next(iter(own), ""))


def _payload(job: JobLog, revealed: bool) -> str:
    return _masked(job.payload, revealed, job_types.name_keys(job.job_type))


def _masked(value: Any, revealed: bool, names: frozenset[str] = frozenset()) -> str:
    shown = value if revealed else masking.abbreviate_payload(value, names)
    return masking.cut(json.dumps(shown, ensure_ascii=False, indent=2), masking.LONGEST_TEXT)


def _task(job: JobLog, revealed: bool) -> dict[str, Any] | None:
    """Return what the page shows of a task: its path, progress and result; None for a job of another kind."""
    if not job.job_type.startswith(TASK):
        return None
    row = TaskResultRow.objects.filter(pk=job.pk).first()
    percent = round(100 * row.done / row.total) if row and row.done is not None and row.total else None
    completed = job.status == Status.COMPLETED
    return {
        "path": job.job_type.removeprefix(TASK),
        "row": row,
        "percent": percent,
        "result": _masked(row.value if row else None, revealed) if completed and job.payload else "",
    }


def _offers(request: HttpRequest, job: JobLog) -> dict[str, Any]:
    """Return the buttons that this operator may use and that have an effect."""
    offered = {
        f"can_{name}": job.status in verb.states and request.user.has_perm(f"jobs.{verb.permission}")
        for name, verb in verbs.ACTIONS.items()
    }
    return {
        **offered,
        "about_user": _user_page(request, job),
        "reschedule": RescheduleForm() if job.status in WAITING and request.user.has_perm(RESCHEDULE) else None,
        "can_reveal": request.user.has_perm("jobs.reveal_joblog"),
    }


def _user_page(request: HttpRequest, job: JobLog) -> str:
    kind = job_types.get_or_none(job.job_type)
    if kind is None or kind.presentation.user_page is None:
        return ""
    return kind.presentation.user_page(job) if request.user.has_perm(kind.presentation.user_page_permission) else ""


def move_job(request: HttpRequest, object_id: str, name: str) -> HttpResponse:
    """POST: replay or discard this job; report it when the job has moved meanwhile."""
    verb, job = verbs.ACTIONS[name], get_job(object_id)
    require_permission(request, verb.permission)
    done = verbs.apply_action(verb, JobLog.objects.filter(pk=job.pk), request.user.get_username())
    if done:
        done_message = _("Replayed: the job has a fresh round of attempts.") if name == "replay" else _("Discarded.")
        messages.success(request, done_message)
    else:
        job.refresh_from_db(fields=["status"])
        messages.warning(request, _("Nothing was done: the job is now %s.") % job.get_status_display())
    return HttpResponseRedirect(reverse("admin:jobs_joblog_change", args=[job.pk]))


class RescheduleForm(forms.Form):
    """When a waiting job is to be due, in the time zone of the page."""

    run_at = forms.DateTimeField(
        label=_lazy("Due at"),
        widget=forms.DateTimeInput(attrs={"type": "datetime-local"}, format="%Y-%m-%dT%H:%M"),
    )

    def clean_run_at(self) -> datetime:
        """Refuse a time at which no job may be due."""
        try:
            return check_run_at(self.cleaned_data["run_at"])
        except ValueError:
            raise forms.ValidationError(_("At most %s days ahead.") % LONGEST_DELAY.days) from None


def reschedule_job(request: HttpRequest, object_id: str) -> HttpResponse:
    """POST `run_at`: change when this job is due; report it when it waits no longer."""
    require_permission(request, RESCHEDULE.removeprefix("jobs."))
    job, form = get_job(object_id), RescheduleForm(request.POST)
    if not form.is_valid():
        messages.error(request, " ".join(str(fault) for faults in form.errors.values() for fault in faults))
    elif actions.reschedule(job, form.cleaned_data["run_at"], who=request.user.get_username()):
        messages.success(request, _("Rescheduled. A time that has passed means now."))
    else:
        job.refresh_from_db(fields=["status"])
        messages.warning(request, _("Nothing was done: the job is now %s.") % job.get_status_display())
    return HttpResponseRedirect(reverse("admin:jobs_joblog_change", args=[job.pk]))


def reveal_payload(admin: ReadOnlyAdmin, request: HttpRequest, object_id: str) -> HttpResponse:
    """POST: record it in the audit, then show the page with its personal data."""
    require_permission(request, "reveal_joblog")
    audit.record(request.user.get_username(), audit.AuditEntry.Act.REVEAL, get_job(object_id).job_id)
    return show_job(admin, request, object_id, revealed=True)
