"""The page of one job: why it is where it is, what happened to it, what it carries, and the mail it makes."""

import json
from typing import Any

from django.contrib import messages
from django.http import Http404, HttpRequest, HttpResponse, HttpResponseRedirect
from django.template.response import TemplateResponse
from django.urls import reverse
from django.utils import timezone
from django.utils.translation import gettext as _

from jobs import audit, registry
from jobs.admin import advice, durations, error_classes, mail, masking, timeline, verbs
from jobs.admin.filters import BIGGEST_ID
from jobs.admin.readonly import ReadOnlyAdmin, demand
from jobs.models import JobLog
from jobs.pauses import JobTypeState, held


def find(object_id: str) -> JobLog:
    """The job with that key, as it stands in the URL. Raises Http404."""
    if not (object_id.isascii() and object_id.isdigit() and len(object_id) < 20 and int(object_id) <= BIGGEST_ID):
        raise Http404
    job = JobLog.objects.filter(pk=int(object_id)).first()
    if job is None:
        raise Http404
    return job


def show(admin: ReadOnlyAdmin, request: HttpRequest, object_id: str, *, revealed: bool = False) -> HttpResponse:
    """GET: the page. revealed: with its personal data unmasked."""
    job, now = find(object_id), timezone.now()
    attempts = list(job.attempts.order_by("-number")[: timeline.SHOWN + 1])
    acts = list(audit.AuditEntry.objects.filter(target=job.job_id).order_by("-id")[: timeline.SHOWN])
    state: JobTypeState | None = held().filter(job_type=job.job_type).first()
    context = admin.page(
        request,
        title=_("Job %s") % job.job_id,
        job=job,
        user_shown=masking.text(job.user_id),
        error=masking.text(masking.cut(job.error)),
        error_class=error_classes.name(job.error_class),
        advice=advice.give(job, state, now),
        moments=timeline.build(job, attempts, acts, now),
        total=durations.between(job.created_at, job.processed_at),
        payload=_payload(job, revealed),
        revealed=revealed,
        mails=mail.subjects(job),
        **_offers(request, job),
    )
    return TemplateResponse(request, "admin/jobs/joblog/job.html", context)


def _payload(job: JobLog, revealed: bool) -> str:
    shown = job.payload if revealed else masking.payload(job.payload, registry.names(job.job_type))
    return masking.cut(json.dumps(shown, ensure_ascii=False, indent=2))


def _offers(request: HttpRequest, job: JobLog) -> dict[str, Any]:
    """Which buttons stand on the page: those that this operator may press and that would do something."""
    offered = {
        f"can_{name}": job.status in verb.states and request.user.has_perm(f"jobs.{verb.permission}")
        for name, verb in verbs.VERBS.items()
    }
    kind = registry.find(job.job_type)
    about = kind.person(job) if kind and kind.person and request.user.has_perm(kind.person_permission) else ""
    return {**offered, "about_person": about, "can_reveal": request.user.has_perm("jobs.reveal_joblog")}


def act(request: HttpRequest, object_id: str, name: str) -> HttpResponse:
    """POST: replays or discards this job. A page that is out of date does nothing, and says so."""
    verb, job = verbs.VERBS[name], find(object_id)
    demand(request, verb.permission)
    done = verbs.apply(verb, JobLog.objects.filter(pk=job.pk), request.user.get_username())
    if done:
        said = _("Replayed: it has a fresh round of attempts.") if name == "replay" else _("Discarded.")
        messages.success(request, said)
    else:
        job.refresh_from_db(fields=["status"])
        messages.warning(request, _("Nothing was done: the job is %s by now.") % job.get_status_display())
    return HttpResponseRedirect(reverse("admin:jobs_joblog_change", args=[job.pk]))


def reveal(admin: ReadOnlyAdmin, request: HttpRequest, object_id: str) -> HttpResponse:
    """POST: the page with its personal data; who looked is written to the audit first."""
    demand(request, "reveal_joblog")
    audit.record(request.user.get_username(), audit.AuditEntry.Act.REVEAL, find(object_id).job_id)
    return show(admin, request, object_id, revealed=True)
