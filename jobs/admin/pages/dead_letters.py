"""Dead letters grouped by error, and replay or discard of a whole group."""

from dataclasses import dataclass
from datetime import datetime

from django.contrib import messages
from django.db.models import Count, Max, Min
from django.http import HttpRequest, HttpResponse, HttpResponseRedirect, QueryDict
from django.template.response import TemplateResponse
from django.urls import reverse
from django.utils import timezone
from django.utils.translation import gettext as _

from jobs.admin.panels import present
from jobs.admin.parts import durations, error_classes, paging, verbs
from jobs.admin.parts.filters import JobFilter
from jobs.admin.parts.readonly import ReadOnlyAdmin, require_permission
from jobs.core.job import JobLog, Reason, Status
from jobs.queue import bulk_replay
from jobs.queue.criteria import JobCriteria

MAX_GROUPS = 100
FILTERS = ("type", "reason", "error_class", "lane", "source", "within", "after", "before")  # those of the page
MAX_DISCARDS = 1_000  # in one request; they are few, and each is final


@dataclass(frozen=True)
class Group:
    """The dead letters with one fingerprint, class of error and reason."""

    fingerprint: str
    error_class: str
    reason: str
    count: int
    first: datetime
    last: datetime
    last_ago: str
    link: str  # the query string of the list that shows them


def load_groups(form: JobFilter | None = None) -> list[Group]:
    """Return the biggest groups, at most MAX_GROUPS. form: narrows the dead letters; None for all."""
    now = timezone.now()
    dead = form.criteria().dead_letters() if form else JobLog.objects.dead()
    found = (
        dead.order_by()
        .values("fingerprint", "error_class", "dlq_reason")
        .annotate(count=Count("*"), first=Min("processed_at"), last=Max("processed_at"))
        .order_by("-count", "-last")[:MAX_GROUPS]
    )
    return [
        Group(
            fingerprint=row["fingerprint"],
            error_class=error_classes.label_of(row["error_class"]),
            reason=str(dict(Reason.choices).get(row["dlq_reason"], row["dlq_reason"])),
            count=row["count"],
            first=row["first"],
            last=row["last"],
            last_ago=durations.format_ago(row["last"], now),
            link=_link(form, fingerprint=row["fingerprint"], reason=row["dlq_reason"]),
        )
        for row in found
    ]


def _link(form: JobFilter | None, **chosen: str) -> str:
    """Return the list's query string of the dead letters that have all of `chosen`, and match the form."""
    values = {"status": Status.DLQ, **{name: value for name, value in chosen.items() if value}}
    if form is not None:
        return form.link(**values)
    query = QueryDict(mutable=True)
    query.update(values)
    return query.urlencode()


def show_groups(admin: ReadOnlyAdmin, request: HttpRequest) -> HttpResponse:
    """GET: show the groups of the dead letters that match the filters of the query string."""
    form = JobFilter(request.GET)
    valid = form.is_valid()
    try:
        with paging.time_limit(one_index=True):
            found = load_groups(form if form.narrowed else None) if valid else []
    except paging.TooBroad:
        found = []
        messages.error(request, _("There are too many dead letters to group them quickly; use the list's filters."))
    context = admin.page(
        request,
        title=_("Dead letters"),
        form=form,
        fields=[form[name] for name in FILTERS],
        valid=valid,
        chips=form.chips if valid else [],
        groups=found,
        total=sum(group.count for group in found),
        may_replay=request.user.has_perm("jobs.replay_joblog"),
        may_discard=request.user.has_perm("jobs.discard_joblog"),
        now=timezone.now(),
        refresh=present.REFRESH_SECONDS,
    )
    return TemplateResponse(request, "admin/jobs/joblog/dead_letters.html", context)


def confirm_group(admin: ReadOnlyAdmin, request: HttpRequest, name: str) -> HttpResponse:
    """GET: count the dead letters of the query string and ask for confirmation.

    POST: replay or discard them.
    """
    verb = verbs.ACTIONS[name]
    require_permission(request, verb.permission)
    form = JobFilter(request.GET)
    chosen = form.bulk() if form.is_valid() else None
    if chosen is None:
        messages.error(request, _("Choose dead letters first; this view cannot be replayed or discarded as a whole."))
        return HttpResponseRedirect(reverse("admin:jobs_joblog_dead"))
    if request.method == "POST":
        return _replay(request, chosen) if name == "replay" else _discard(request, form)
    context = admin.page(
        request,
        title=_("Replay all of these?") if name == "replay" else _("Discard all of these?"),
        name=name,
        matched=chosen.dead_letters().count(),
        chosen=[form.describe(name) for name in form.narrowed],
        back=form.link(),
        limit=MAX_DISCARDS,
        rate=bulk_replay.RATE,
    )
    return TemplateResponse(request, "admin/jobs/joblog/confirm.html", context)


def _replay(request: HttpRequest, chosen: JobCriteria) -> HttpResponse:
    batch = bulk_replay.start(chosen, who=request.user.get_username(), why=_why(request))
    messages.success(request, _("The bulk replay has started with one job; the others follow when it succeeds."))
    return HttpResponseRedirect(reverse("admin:jobs_bulkreplay_change", args=[batch.pk]))


def _discard(request: HttpRequest, form: JobFilter) -> HttpResponse:
    keys = list(form.jobs().order_by("pk").values_list("pk", flat=True)[: MAX_DISCARDS + 1])
    verb = verbs.ACTIONS["discard"]
    done = verbs.apply_action(
        verb, JobLog.objects.filter(pk__in=keys[:MAX_DISCARDS]), request.user.get_username(), why=_why(request)
    )
    verbs.report_outcome(request, verb, done=done, asked=len(keys[:MAX_DISCARDS]))
    if len(keys) > MAX_DISCARDS:
        messages.warning(request, _("There are more: at most %s are discarded in one step.") % MAX_DISCARDS)
    return HttpResponseRedirect(reverse("admin:jobs_joblog_dead"))


def _why(request: HttpRequest) -> str:
    return request.POST.get("why", "").replace("\x00", "")[:200]
