"""The admin's first page: what is wrong, how the queue performs, and links to what to do."""

from collections import Counter
from dataclasses import dataclass
from datetime import timedelta
from typing import Any

from django.contrib import admin
from django.http import HttpRequest, HttpResponse
from django.utils import timezone
from django.utils.functional import Promise
from django.utils.translation import gettext as _
from django.utils.translation import gettext_lazy

from jobs.admin.pages import dead_letters, schedules
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


@dataclass(frozen=True)
class Chart:
    """A chart and its table."""

    name: str
    title: str | Promise
    unit: str  # "s" for seconds, "n" for numbers
    columns: tuple[tuple[str | Promise, str, str], ...]  # label, attribute of a point, and line, dashed or bar

    def rows(self, points: list[overview.Point]) -> list[dict[str, Any]]:
        """Return the table's rows, oldest first."""
        return [
            {"at": point.at, "cells": [self._cell(getattr(point, key)) for _label, key, _kind in self.columns]}
            for point in points
        ]

    def _cell(self, value: float | None) -> dict[str, Any]:
        if value is None:
            return {"value": "", "text": "–"}
        shown = durations.format_duration(timedelta(seconds=value)) if self.unit == "s" else f"{value:,.1f}"
        return {"value": f"{value:.4f}", "text": shown}


CHARTS = (
    Chart(
        "waits",
        gettext_lazy("Time until a worker takes a due job"),
        "s",
        (
            (gettext_lazy("half within"), "pickup_p50", "line"),
            (gettext_lazy("95 % within"), "pickup_p95", "line"),
            (gettext_lazy("oldest waiting job"), "oldest", "dashed"),
        ),
    ),
    Chart(
        "runs",
        gettext_lazy("Time that a job runs"),
        "s",
        ((gettext_lazy("half within"), "run_p50", "line"), (gettext_lazy("95 % within"), "run_p95", "line")),
    ),
    Chart(
        "done",
        gettext_lazy("Done per minute"),
        "n",
        ((gettext_lazy("completed"), "done", "bar"), (gettext_lazy("failed attempts"), "failed", "bar")),
    ),
)


def index(request: HttpRequest) -> HttpResponse:
    """GET: show the admin's first page, with the overview for operators who may see jobs."""
    seen = {"title": _("Overview"), **context(request)} if request.user.has_perm("jobs.view_joblog") else {}
    return admin.site.index(request, seen)


def context(request: HttpRequest) -> dict[str, Any]:
    """Return the overview's context. `?span=` chooses how far the charts reach back."""
    span, now = request.GET.get("span", ""), timezone.now()
    span = span if span in overview.SPANS else "1h"
    try:
        with paging.time_limit(one_index=True):
            groups = dead_letters.load_groups()
    except paging.TooBroad:
        groups = []
    waiting = paging.count_each_capped([JobLog.objects.filter(status__in=WAITING, lane=lane) for lane in Lane])
    situation = warnings.Situation(
        now=now,
        waiting=sum(waiting),
        waits=JobLog.objects.runnable().oldest_waits(),
        recent=overview.load_recent(now),
        clusters=list(Cluster.objects.all()[:20]),
        suspended=list(pauses.suspended()),
        providers=list(pauses.open_providers().order_by("provider")),
        groups=groups,
        last_errors=_last_errors(),
        schedules=schedules.load_lines(),
    )
    points = overview.load_points(span, now)
    return {
        "now": now,
        "span": span,
        "spans": SPAN_NAMES.items(),
        "warnings": warnings.active_warnings(situation),
        "tiles": _tiles(situation),
        "charts": [{"chart": chart, "rows": chart.rows(points)} for chart in CHARTS],
        "lanes": _lanes(waiting, situation.waits),
        "by_reason": _by_reason(groups),
        "groups": groups[:TOP],
        "clusters": [
            (each, durations.format_ago(each.seen_at, now), cluster_states.state_of(each, now))
            for each in situation.clusters
        ],
        "suspended": situation.suspended,
        "batches": list(BulkReplay.objects.filter(state__in=bulk_replay.OPEN)[:5]),
    }


def _last_errors() -> dict[str, str]:
    """Return what the servers said to the jobs that failed last, by class of error. One query over an index."""
    wrong = JobLog.objects.filter(status__in=[Status.FAILED, Status.DLQ]).order_by("-id")
    return dict(reversed(list(wrong.values_list("error_class", "error")[:LAST])))


def _tiles(now: warnings.Situation) -> list[dict[str, Any]]:
    """Return the figures at the top: name, value, and the note below it."""
    oldest = durations.format_duration(timedelta(seconds=now.oldest)) if now.oldest else ""
    recent = now.recent
    dead = sum(group.count for group in now.groups)
    return [
        {
            "name": _("Waiting"),
            "value": paging.format_count(now.waiting),
            "note": _("the oldest has been due for %s") % oldest if oldest else _("none is due"),
            "bad": now.oldest > advice.NO_WORKER_AFTER.total_seconds(),
        },
        {"name": _("Done per minute"), "value": f"{recent.per_minute:,.1f}", "note": _("in the last 5 minutes")},
        {
            "name": _("Failed attempts"),
            "value": f"{100 * recent.failure_rate:.1f} %",
            "note": _("%(failed)s of %(all)s") % {"failed": f"{recent.failed:,}", "all": f"{recent.attempts:,}"},
            "bad": warnings.failing(recent),
        },
        {"name": _("Dead letters"), "value": f"{dead:,}", "note": "", "bad": dead > 0},
        {"name": _("Clusters alive"), "value": str(len(now.alive)), "note": "", "bad": not now.alive},
    ]


def _lanes(waiting: list[int], waits: dict[str, float]) -> list[tuple[Lane, str, str]]:
    """Return each lane, how many jobs wait in it, and for how long the oldest has been due. waits: in seconds."""
    oldest = {lane: durations.format_duration(timedelta(seconds=waits[lane])) if waits[lane] else "–" for lane in Lane}
    return [(lane, paging.format_count(count), oldest[lane]) for lane, count in zip(Lane, waiting, strict=True)]


def _by_reason(groups: list[dead_letters.Group]) -> list[tuple[str, int]]:
    counts: Counter[str] = Counter()
    for group in groups:
        counts[group.reason] += group.count
    return counts.most_common()
