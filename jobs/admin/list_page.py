"""The list of jobs: tabs, filters, and the actions on the jobs that are ticked."""

from dataclasses import dataclass
from datetime import datetime
from typing import Any

from django.contrib import messages
from django.db.models.functions import Left
from django.http import HttpRequest, HttpResponse, HttpResponseRedirect
from django.template.response import TemplateResponse
from django.utils import timezone
from django.utils.functional import Promise
from django.utils.translation import gettext as _

from jobs import pauses
from jobs.admin import durations, masking, paging, verbs
from jobs.admin.filters import ALL, BIGGEST_ID, TABS, WRONG, WRONG_STATES, JobFilter
from jobs.admin.readonly import ReadOnlyAdmin, demand
from jobs.models import JobLog, Status

EXCERPT = 160
MOST_TICKED = 500
COLUMNS: tuple[str, ...] = (
    "id",
    "job_id",
    "job_type",
    "user_id",
    "source",
    "status",
    "error_class",
    "fingerprint",
    "dlq_reason",
)
COLUMNS += ("attempt_count", "max_attempts", "created_at", "run_at", "processed_at", "processing_at")


@dataclass(frozen=True)
class Row:
    """A job as a line of the list. note: what follows for it, said beside its status."""

    job: JobLog
    user: str
    error: str
    ago: str
    note: str
    status: str | Promise


def rows(jobs: list[JobLog], now: datetime) -> list[Row]:
    return [
        Row(
            job=job,
            user=masking.text(job.user_id),
            error=masking.text(getattr(job, "error_start", "")),
            ago=durations.ago(job.created_at, now),
            note=_note(job, now),
            status=TABS.get(job.status, job.status) if job.status != Status.DLQ else job.get_status_display(),
        )
        for job in jobs
    ]


def _note(job: JobLog, now: datetime) -> str:
    match job.status:
        case Status.DLQ:
            return job.get_dlq_reason_display()
        case Status.FAILED if job.run_at > now:
            return _("again in %s") % durations.spell(job.run_at - now)
        case Status.ENQUEUED | Status.FAILED:
            return _("due for %s") % durations.spell(now - job.run_at)
        case Status.COMPLETED:
            return _("after %s") % durations.between(job.created_at, job.processed_at)
        case Status.PROCESSING:
            return _("for %s") % durations.between(job.processing_at, now)
    return ""


def show(admin: ReadOnlyAdmin, request: HttpRequest) -> HttpResponse:
    """GET: the list."""
    form = JobFilter(request.GET)
    valid = form.is_valid()
    try:
        with paging.bounded():
            found = _find(form)
            counts = paging.by_status()
            held = list(pauses.held())
    except paging.TooBroad:
        found, counts, held = None, {}, []
    context = admin.page(
        request,
        title=_("Jobs"),
        form=form,
        valid=valid,
        too_broad=found is None,
        rows=rows(found.jobs, timezone.now()) if found else [],
        newer=bool(valid and form.cleaned_data["cursor"] is not None),
        older=form.link(cursor=found.next_key) if found and found.next_key else "",
        tabs=_tabs(form, counts),
        held=held,
        **_offers(request, form),
    )
    return TemplateResponse(request, "admin/jobs/joblog/change_list.html", context)


def _find(form: JobFilter) -> paging.Page:
    if not form.is_valid():
        return paging.Page([], None)
    listed = form.jobs().only(*COLUMNS).annotate(error_start=Left("error", EXCERPT))
    chosen = form.cleaned_data
    return paging.page(listed, oldest_first=chosen["order"] == "oldest", after=chosen["cursor"])


def _tabs(form: JobFilter, counts: dict[str, int]) -> list[dict[str, Any]]:
    counts = dict(counts)
    if counts:
        counts[ALL] = sum(counts.values())
        counts[WRONG] = sum(counts[state] for state in WRONG_STATES)
    now = form.tab if form.is_valid() else None
    return [
        {
            "name": name,
            "label": label,
            "count": paging.spoken(counts[name]) if counts else "",
            "link": form.link(status=name),
            "now": name == now,
            "alarm": name in (WRONG, Status.DLQ) and bool(counts.get(name)),
        }
        for name, label in TABS.items()
    ]


def _offers(request: HttpRequest, form: JobFilter) -> dict[str, Any]:
    """What this operator may press here."""
    may_replay = request.user.has_perm("jobs.replay_joblog")
    return {
        "may_replay": may_replay,
        "may_discard": request.user.has_perm("jobs.discard_joblog"),
        "narrowed": form.narrowed if form.is_valid() else ["wrong"],
        "export": form.link(),
        "bulk": form.link() if may_replay and form.is_valid() and form.bulk() is not None else "",
    }


def act(request: HttpRequest) -> HttpResponse:
    """POST `action` with `_selected_action` ids: does it, and shows the same view again with the outcome."""
    back = HttpResponseRedirect(request.get_full_path())
    verb = verbs.VERBS.get(request.POST.get("action", ""))
    if verb is None:
        messages.error(request, _("There is no such action."))
        return back
    demand(request, verb.permission)
    ticked = {text for text in request.POST.getlist("_selected_action") if text.isascii() and text.isdigit()}
    keys = [int(text) for text in ticked if len(text) < 20 and int(text) <= BIGGEST_ID]
    if not keys:
        messages.warning(request, _("No job was selected."))
    elif len(keys) > MOST_TICKED:
        messages.error(request, _("At most %s jobs at once; use the bulk replay for more.") % MOST_TICKED)
    else:
        done = verbs.apply(verb, JobLog.objects.filter(pk__in=keys), request.user.get_username())
        verbs.tell(request, verb, done=done, asked=len(keys))
    return back
