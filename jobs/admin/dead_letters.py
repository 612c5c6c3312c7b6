"""Dead letters grouped by what killed them, and replay or discard of a whole group."""

from dataclasses import dataclass
from datetime import datetime

from django.contrib import messages
from django.db.models import Count, Max, Min
from django.http import HttpRequest, HttpResponse, HttpResponseRedirect, QueryDict
from django.template.response import TemplateResponse
from django.urls import reverse
from django.utils import timezone
from django.utils.translation import gettext as _

from jobs import bulk
from jobs.admin import durations, error_classes, paging, verbs
from jobs.admin.filters import JobFilter
from jobs.admin.readonly import ReadOnlyAdmin, demand
from jobs.models import JobLog, Reason, Status

GROUPS = 100
AT_ONCE = 1_000  # discards in one request; they are few, and each is final


@dataclass(frozen=True)
class Group:
    """The dead letters with one fingerprint and reason. link: the list's query string that shows them."""

    fingerprint: str
    error_class: str
    reason: str
    count: int
    first: datetime
    last: datetime
    last_ago: str
    link: str


def groups() -> list[Group]:
    """The biggest groups, at most GROUPS."""
    now = timezone.now()
    found = (
        JobLog.objects.dead()
        .order_by()
        .values("fingerprint", "error_class", "dlq_reason")
        .annotate(count=Count("*"), first=Min("processed_at"), last=Max("processed_at"))
        .order_by("-count", "-last")[:GROUPS]
    )
    return [
        Group(
            fingerprint=row["fingerprint"],
            error_class=error_classes.name(row["error_class"]),
            reason=str(dict(Reason.choices).get(row["dlq_reason"], row["dlq_reason"])),
            count=row["count"],
            first=row["first"],
            last=row["last"],
            last_ago=durations.ago(row["last"], now),
            link=link(fingerprint=row["fingerprint"], reason=row["dlq_reason"]),
        )
        for row in found
    ]


def link(**chosen: str) -> str:
    """The query string of the dead letters that have all of `chosen`."""
    query = QueryDict(mutable=True)
    query.update({"status": Status.DLQ, **{name: value for name, value in chosen.items() if value}})
    return query.urlencode()


def show(admin: ReadOnlyAdmin, request: HttpRequest) -> HttpResponse:
    """GET: the groups."""
    try:
        with paging.bounded(one_index=True):
            found = groups()
    except paging.TooBroad:
        found = []
        messages.error(request, _("There are too many dead letters to group them quickly; use the list's filters."))
    context = admin.page(
        request,
        title=_("Dead letters"),
        groups=found,
        total=sum(group.count for group in found),
        may_replay=request.user.has_perm("jobs.replay_joblog"),
        may_discard=request.user.has_perm("jobs.discard_joblog"),
    )
    return TemplateResponse(request, "admin/jobs/joblog/dead_letters.html", context)


def confirm(admin: ReadOnlyAdmin, request: HttpRequest, name: str) -> HttpResponse:
    """GET: how many dead letters the view in the query string means, and a form to do it. POST: does it."""
    verb = verbs.VERBS[name]
    demand(request, verb.permission)
    form = JobFilter(request.GET)
    chosen = form.bulk() if form.is_valid() else None
    if chosen is None:
        messages.error(request, _("Choose dead letters first; these filters cannot be acted on as a whole."))
        return HttpResponseRedirect(reverse("admin:jobs_joblog_dead"))
    if request.method == "POST":
        return _replay(request, chosen) if name == "replay" else _discard(request, form)
    context = admin.page(
        request,
        title=_("Replay all of these?") if name == "replay" else _("Discard all of these?"),
        name=name,
        matched=bulk.count(chosen),
        chosen=[(form.fields[field].label, form.cleaned_data[field]) for field in form.narrowed],
        back=form.link(),
        at_once=AT_ONCE,
        rate=bulk.RATE,
    )
    return TemplateResponse(request, "admin/jobs/joblog/confirm.html", context)


def _replay(request: HttpRequest, chosen: dict[str, str]) -> HttpResponse:
    batch = bulk.start(chosen, who=request.user.get_username(), why=_why(request))
    messages.success(request, _("The bulk replay has begun with one job; the rest follows when that one succeeds."))
    return HttpResponseRedirect(reverse("admin:jobs_bulkreplay_change", args=[batch.pk]))


def _discard(request: HttpRequest, form: JobFilter) -> HttpResponse:
    keys = list(form.jobs().order_by("pk").values_list("pk", flat=True)[: AT_ONCE + 1])
    verb = verbs.VERBS["discard"]
    done = verbs.apply(
        verb, JobLog.objects.filter(pk__in=keys[:AT_ONCE]), request.user.get_username(), why=_why(request)
    )
    verbs.tell(request, verb, done=done, asked=len(keys[:AT_ONCE]))
    if len(keys) > AT_ONCE:
        messages.warning(request, _("There are more: at most %s are discarded at once.") % AT_ONCE)
    return HttpResponseRedirect(reverse("admin:jobs_joblog_dead"))


def _why(request: HttpRequest) -> str:
    return request.POST.get("why", "").replace("\x00", "")[:200]
