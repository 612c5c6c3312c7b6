"""The admin's first page: what is wrong, how the queue performs, and links to what to do."""

from collections import Counter
from collections.abc import Callable
from datetime import datetime, timedelta
from typing import Any

from django.contrib import admin
from django.http import HttpRequest, HttpResponse
from django.urls import reverse
from django.utils import timezone
from django.utils.translation import gettext as _
from django.utils.translation import gettext_lazy

from jobs.admin.pages import dead_letters, schedules
from jobs.admin.panels import deploys, latest, present, registry
from jobs.admin.panels.charts import CHARTS
from jobs.admin.panels.registry import Place
from jobs.admin.parts import advice, cluster_states, durations, paging, warnings
from jobs.cluster.clusters import Cluster
from jobs.core import pauses
from jobs.core.job import WAITING, JobLog, Status
from jobs.core.pauses import Lane
from jobs.queue import bulk_replay
from jobs.queue.bulk_replay import BulkReplay
from jobs.stats import overview

SPAN_NAMES = {"1h": gettext_lazy("an hour"), "24h": gettext_lazy("24 hours"), "7d": gettext_lazy("7 days")}
TOP = 8
LAST = 20


def index(request: HttpRequest) -> HttpResponse:
    """GET: show the admin's first page, with the overview for operators who may see jobs."""
    seen = {"title": _("Overview"), **context(request)} if request.user.has_perm("jobs.view_joblog") else {}
    return admin.site.index(request, seen)


def context(request: HttpRequest) -> dict[str, Any]:
    """Return the overview's context. `?span=` chooses how far the charts and the numbers reach back."""
    span, now = request.GET.get("span", ""), timezone.now()
    span = span if span in overview.SPANS else "1h"
    groups = _groups()
    waiting = paging.count_each_capped([JobLog.objects.filter(status__in=WAITING, lane=lane) for lane in Lane])
    situation = _situation(request, now, groups, sum(waiting))
    recent_jobs = latest.load(span, now)
    view = registry.View(request, now, recent_jobs)
    return {
        "now": now,
        "span": span,
        "spans": SPAN_NAMES.items(),
        "refresh": present.REFRESH_SECONDS,
        "first": registry.load(Place.FIRST, view),
        "warnings": warnings.active_warnings(situation),
        "tiles": _tiles(situation),
        "latest": recent_jobs,
        "outcome_names": latest.OUTCOMES.values(),
        "panels": registry.load(Place.NUMBERS, view),
        "lanes": _lanes(waiting, situation.waits),
        "by_reason": _by_reason(groups),
        "groups": groups[:TOP],
        "suspended": situation.suspended,
        "batches": list(BulkReplay.objects.filter(state__in=bulk_replay.OPEN)[:5]),
        **_clusters_and_charts(situation, span),
    }


def _groups() -> list[dead_letters.Group]:
    try:
        with paging.time_limit(one_index=True):
            return dead_letters.load_groups()
    except paging.TooBroad:
        return []


def _situation(
    request: HttpRequest, now: datetime, groups: list[dead_letters.Group], waiting: int
) -> warnings.Situation:
    shared = present.load(request)
    return warnings.Situation(
        now=now,
        waiting=waiting,
        waits=JobLog.objects.runnable().oldest_waits(),
        recent=overview.load_recent(now),
        clusters=list(Cluster.objects.all()[:20]),
        suspended=shared.suspended,
        providers=list(pauses.open_providers().order_by("provider")),
        groups=groups,
        last_errors=_last_errors(),
        schedules=schedules.load_lines(),
        fresh=shared.fresh,
    )


def _clusters_and_charts(situation: warnings.Situation, span: str) -> dict[str, Any]:
    now, deploy = situation.now, deploys.find_last(situation.clusters)
    points, step = overview.load_points(span, now), overview.SPANS[span][1]
    return {
        "deploy": deploy,
        "charts": [{"chart": chart, "rows": chart.rows(points, step, deploy)} for chart in CHARTS],
        "clusters": [
            (each, durations.format_ago(each.seen_at, now), cluster_states.state_of(each, now))
            for each in situation.clusters
        ],
    }


def _last_errors() -> dict[str, str]:
    """Return what the servers said to the jobs that failed last, by class of error. One query over an index."""
    wrong = JobLog.objects.filter(status__in=[Status.FAILED, Status.DLQ]).order_by("-id")
    return dict(reversed(list(wrong.values_list("error_class", "error")[:LAST])))


def _tiles(now: warnings.Situation) -> list[dict[str, Any]]:
    """Return the figures at the top: name, value, the note below it, and the page that shows what is behind it."""
    oldest = durations.format_duration(timedelta(seconds=now.oldest)) if now.oldest else ""
    recent, jobs = now.recent, reverse("admin:jobs_joblog_changelist")
    dead = sum(group.count for group in now.groups)
    return [
        {
            "name": _("Clusters alive"),
            "value": str(len(now.alive)),
            "bad": not now.alive and not now.fresh,
            "link": reverse("admin:jobs_cluster_changelist"),
        },
        {
            "name": _("Waiting"),
            "value": paging.format_count(now.waiting),
            "note": _("the oldest has been due for %s") % oldest if oldest else _("none is due"),
            "bad": now.oldest > advice.NO_WORKER_AFTER.total_seconds() and not now.fresh,
            "link": f"{jobs}?status=enqueued&order=oldest",
        },
        {
            "name": _("Done per minute"),
            "value": f"{recent.per_minute:,.1f}",
            "note": _("in the last 5 minutes"),
            "link": f"{jobs}?status=completed&within=1h",
        },
        _median_tile(_("Median wait for a worker"), recent.pickup, f"{jobs}?status=completed&within=1h"),
        _median_tile(_("Median run time"), recent.run, f"{jobs}?status=completed&within=1h"),
        {
            "name": _("Failed attempts"),
            "value": f"{100 * recent.failure_rate:.1f} %",
            "note": _("%(failed)s of %(all)s") % {"failed": f"{recent.failed:,}", "all": f"{recent.attempts:,}"},
            "bad": warnings.failing(recent),
            "link": f"{jobs}?status=wrong&within=1h",
        },
        {"name": _("Dead letters"), "value": f"{dead:,}", "bad": dead > 0, "link": reverse("admin:jobs_joblog_dead")},
    ]


def _median_tile(name: str, percentile: Callable[[float], float | None], link: str) -> dict[str, Any]:
    median, most = percentile(0.5), percentile(0.95)
    if median is None or most is None:
        return {"name": name, "value": "–", "note": _("no job in the last 5 minutes"), "link": link}
    shown, below = (durations.format_duration(timedelta(seconds=seconds)) for seconds in (median, most))
    return {"name": name, "value": shown, "note": _("95 %% within %s") % below, "link": link}


def _lanes(waiting: list[int], waits: dict[str, float]) -> list[tuple[Lane, str, str]]:
    """Return each lane, how many jobs wait in it, and for how long the oldest has been due. waits: in seconds."""
    oldest = {lane: durations.format_duration(timedelta(seconds=waits[lane])) if waits[lane] else "–" for lane in Lane}
    return [(lane, paging.format_count(count), oldest[lane]) for lane, count in zip(Lane, waiting, strict=True)]


def _by_reason(groups: list[dead_letters.Group]) -> list[tuple[str, int]]:
    counts: Counter[str] = Counter()
    for group in groups:
        counts[group.reason] += group.count
    return counts.most_common()
