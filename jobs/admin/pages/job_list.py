"""The list of jobs: tabs, filters, and the actions on the selected jobs."""

from collections.abc import Callable
from dataclasses import dataclass, replace
from datetime import datetime
from typing import Any

from django.contrib import messages
from django.db.models.functions import Left
from django.http import HttpRequest, HttpResponse, HttpResponseRedirect
from django.template.response import TemplateResponse
from django.utils import timezone
from django.utils.functional import Promise
from django.utils.translation import gettext as _

from jobs.admin.panels import present
from jobs.admin.panels.names import KnownUser, UserKey, find, name_in_payload, shown
from jobs.admin.parts import durations, paging, verbs
from jobs.admin.parts.filters import ALL, TABS, WRONG, WRONG_STATES, JobFilter
from jobs.admin.parts.readonly import ReadOnlyAdmin, require_permission
from jobs.admin.parts.timeline import is_scheduled
from jobs.core import masking
from jobs.core.job import JobLog, Reason, Status
from jobs.core.sql.keys import parse_key

ERROR_LENGTH = 160
MAX_SELECTED = 500
LIST_COLUMNS: tuple[str, ...] = (
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
LIST_COLUMNS += ("attempt_count", "max_attempts", "created_at", "run_at", "processed_at", "processing_at")


@dataclass(frozen=True)
class Row:
    """A job as a row of the list."""

    job: JobLog
    user: KnownUser
    error: str
    ago: str
    note: str  # next to its status: what follows
    status: str | Promise

    def allows(self, verb: verbs.OperatorAction) -> bool:
        """Return whether an action applies to the job."""
        return self.job.status in verb.states


def make_rows(jobs: list[JobLog], now: datetime, may: Callable[[str], bool]) -> list[Row]:
    """Return the jobs as rows. Their users cost one query. may: whether the operator has a permission."""
    keys = {job.pk: UserKey(job.source, job.user_id) for job in jobs}
    known = find(keys.values())
    return [
        Row(
            job=job,
            user=_user(keys[job.pk], known, getattr(job, "payload_name", ""), may),
            error=masking.abbreviate(getattr(job, "error_start", "")),
            ago=durations.format_ago(job.created_at, now),
            note=_note(job, now),
            status=_status(job, now),
        )
        for job in jobs
    ]


def _user(key: UserKey, known: dict[UserKey, KnownUser], name: str, may: Callable[[str], bool]) -> KnownUser:
    """Return the user as a row shows one: with the link only for those who may open the page."""
    user = shown(key, known.get(key), name)
    return user if not user.permission or may(user.permission) else replace(user, page="")


def _status(job: JobLog, now: datetime) -> str | Promise:
    if is_scheduled(job, now):
        return _("Scheduled")
    return TABS.get(job.status, job.status) if job.status != Status.DLQ else job.get_status_display()


def _note(job: JobLog, now: datetime) -> str:
    match job.status:
        case Status.DLQ:
            return job.get_dlq_reason_display()
        case Status.FAILED if job.run_at > now:
            return _("again in %s") % durations.format_duration(job.run_at - now)
        case Status.ENQUEUED if is_scheduled(job, now):
            return _("due in %s") % durations.format_duration(job.run_at - now)
        case Status.DISCARDED if job.dlq_reason == Reason.CANCELLED:
            return job.get_dlq_reason_display()
        case Status.ENQUEUED | Status.FAILED:
            return _("due for %s") % durations.format_duration(now - job.run_at)
        case Status.COMPLETED:
            return _("after %s") % durations.format_between(job.created_at, job.processed_at)
        case Status.PROCESSING:
            return _("for %s") % durations.format_between(job.processing_at, now)
    return ""


def show_list(admin: ReadOnlyAdmin, request: HttpRequest) -> HttpResponse:
    """GET: show the list."""
    form = JobFilter(request.GET)
    valid = form.is_valid()
    try:
        with paging.time_limit():
            found = _find(form)
        counts = paging.count_by_status(form.all_jobs())
    except paging.TooBroad:
        found, counts = None, {}
    now = timezone.now()
    rows = make_rows(found.jobs, now, request.user.has_perm) if found else []
    context = admin.page(
        request,
        title=_("Jobs"),
        form=form,
        valid=valid,
        too_broad=found is None,
        rows=rows,
        chips=form.chips if valid else [],
        clear=form.cleared if valid else "",
        tab_label=TABS[form.tab] if valid else "",
        elsewhere=_elsewhere(form, counts) if valid and not rows else [],
        now=now,
        refresh=present.REFRESH_SECONDS,
        newer=bool(valid and form.cleaned_data["cursor"] is not None),
        older=form.link(cursor=found.next_key) if found and found.next_key else "",
        tabs=_tabs(form, counts),
        suspended=present.load(request).suspended,
        **_offers(request, form, rows),
    )
    return TemplateResponse(request, "admin/jobs/joblog/change_list.html", context)


def _find(form: JobFilter) -> paging.Page:
    if not form.is_valid():
        return paging.Page([], None)
    listed = form.jobs().only(*LIST_COLUMNS).annotate(error_start=Left("error", ERROR_LENGTH))
    listed = listed.annotate(payload_name=name_in_payload())
    chosen = form.cleaned_data
    return paging.load_page(listed, oldest_first=chosen["order"] == "oldest", after=chosen["cursor"])


def _tabs(form: JobFilter, counts: dict[str, int]) -> list[dict[str, Any]]:
    counts = dict(counts)
    if counts:
        counts[ALL] = sum(counts.values())
        counts[WRONG] = sum(counts[state] for state in WRONG_STATES)
    current = form.tab if form.is_valid() else None
    return [
        {
            "name": name,
            "label": label,
            "count": paging.format_count(counts[name]) if counts else "",
            "link": form.link(status=name),
            "current": name == current,
            "alarm": name in (WRONG, Status.DLQ) and bool(counts.get(name)),
        }
        for name, label in TABS.items()
    ]


def _elsewhere(form: JobFilter, counts: dict[str, int]) -> list[tuple[str | Promise, str, str]]:
    """Return the tabs in which the same filters find jobs: label, query string, and how many."""
    found = [(name, count) for name, count in counts.items() if count]
    return [(TABS[name], form.link(status=name), paging.format_count(count)) for name, count in found if name in TABS]


def _offers(request: HttpRequest, form: JobFilter, rows: list[Row]) -> dict[str, Any]:
    """Return which buttons this operator may use here, and the jobs of this page to which one of them applies."""
    permitted = {name: verb for name, verb in verbs.ACTIONS.items() if request.user.has_perm(f"jobs.{verb.permission}")}
    useful = {name for name, verb in permitted.items() if any(row.allows(verb) for row in rows)}
    may_replay = "replay" in permitted
    return {
        "may_replay": "replay" in useful,
        "may_discard": "discard" in useful,
        "movable": {row.job.pk for row in rows if any(row.allows(verb) for verb in permitted.values())},
        "export": form.link(),
        "bulk": form.link() if may_replay and form.is_valid() and form.bulk() is not None else "",
    }


def move_selected(request: HttpRequest) -> HttpResponse:
    """POST `action` with `_selected_action` keys: do it, and show the same view with the outcome."""
    back = HttpResponseRedirect(request.get_full_path())
    verb = verbs.ACTIONS.get(request.POST.get("action", ""))
    if verb is None:
        messages.error(request, _("There is no such action."))
        return back
    require_permission(request, verb.permission)
    selected = set(map(parse_key, request.POST.getlist("_selected_action")))
    keys = [key for key in selected if key is not None]
    if not keys:
        messages.warning(request, _("No job was selected."))
    elif len(keys) > MAX_SELECTED:
        messages.error(request, _("At most %s jobs in one step; use the bulk replay for more.") % MAX_SELECTED)
    else:
        done = verbs.apply_action(verb, JobLog.objects.filter(pk__in=keys), request.user.get_username())
        verbs.report_outcome(request, verb, done=done, asked=len(keys))
    return back
