"""The first page after log-in: is anything wrong, how does the queue do, and what to press."""

from collections import Counter
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

from django.contrib import admin
from django.http import HttpRequest, HttpResponse
from django.utils import timezone
from django.utils.functional import Promise
from django.utils.translation import gettext as _
from django.utils.translation import gettext_lazy

from jobs import bulk, figures, pauses
from jobs.admin import advice, dead_letters, durations, paging, warnings
from jobs.bulk import BulkReplay
from jobs.clusters import Cluster
from jobs.models import WAITING, JobLog

SPAN_NAMES = {"1h": gettext_lazy("an hour"), "24h": gettext_lazy("24 hours"), "7d": gettext_lazy("7 days")}
TOP = 8


@dataclass(frozen=True)
class Chart:
    """A chart and its table. columns: label, attribute of a point, and how it is drawn (line, dashed or bar)."""

    name: str
    title: str | Promise
    unit: str
    columns: tuple[tuple[str | Promise, str, str], ...]

    def rows(self, points: list[figures.Point]) -> list[dict[str, Any]]:
        """The table's rows, oldest first."""
        return [
            {"at": point.at, "cells": [self._cell(getattr(point, key)) for _label, key, _kind in self.columns]}
            for point in points
        ]

    def _cell(self, value: float | None) -> dict[str, Any]:
        if value is None:
            return {"value": "", "text": "–"}
        shown = durations.spell(timedelta(seconds=value)) if self.unit == "s" else f"{value:,.1f}"
        return {"value": f"{value:.4f}", "text": shown}


CHARTS = (
    Chart(
        "waits",
        gettext_lazy("Time until a worker takes a due job"),
        "s",
        (
            (gettext_lazy("half within"), "pickup_p50", "line"),
            (gettext_lazy("95 % within"), "pickup_p95", "line"),
            (gettext_lazy("oldest that still waited"), "oldest", "dashed"),
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
        gettext_lazy("Done a minute"),
        "n",
        ((gettext_lazy("completed"), "done", "bar"), (gettext_lazy("failed attempts"), "failed", "bar")),
    ),
)


def index(request: HttpRequest) -> HttpResponse:
    """GET the admin's first page; with the overview on it for operators who may see jobs."""
    seen = {"title": _("Overview"), **context(request)} if request.user.has_perm("jobs.view_joblog") else {}
    return admin.site.index(request, seen)


def context(request: HttpRequest) -> dict[str, Any]:
    """All that the overview shows. `?span=` chooses how far the charts reach back."""
    span = request.GET.get("span", "")
    span = span if span in figures.SPANS else "1h"
    now = timezone.now()
    try:
        with paging.bounded(one_index=True):
            groups = dead_letters.groups()
    except paging.TooBroad:
        groups = []
    situation = warnings.Situation(
        now=now,
        waiting=paging.capped(JobLog.objects.filter(status__in=WAITING)),
        oldest=JobLog.objects.due().waited(),
        recent=figures.recent(now),
        clusters=list(Cluster.objects.all()[:20]),
        held=list(pauses.held()),
        groups=groups,
    )
    points = figures.points(span, now)
    return {
        "now": now,
        "span": span,
        "spans": SPAN_NAMES.items(),
        "warnings": warnings.of(situation),
        "tiles": _tiles(situation),
        "charts": [{"chart": chart, "rows": chart.rows(points)} for chart in CHARTS],
        "by_reason": _by_reason(groups),
        "groups": groups[:TOP],
        "clusters": [(each, durations.ago(each.seen_at, now), _state(each, now)) for each in situation.clusters],
        "held": situation.held,
        "batches": list(BulkReplay.objects.filter(state__in=bulk.OPEN)[:5]),
    }


def _tiles(now: warnings.Situation) -> list[dict[str, Any]]:
    """The figures at the top: name, value, and what stands below it."""
    oldest = durations.spell(timedelta(seconds=now.oldest)) if now.oldest else ""
    recent = now.recent
    dead = sum(group.count for group in now.groups)
    return [
        {
            "name": _("Waiting"),
            "value": paging.spoken(now.waiting),
            "note": _("the oldest has been due for %s") % oldest if oldest else _("none is due"),
            "bad": now.oldest > advice.LATE.total_seconds(),
        },
        {"name": _("Done a minute"), "value": f"{recent.per_minute:,.1f}", "note": _("in the last 5 minutes")},
        {
            "name": _("Attempts that fail"),
            "value": f"{100 * recent.failure_rate:.1f} %",
            "note": _("%(failed)s of %(all)s") % {"failed": f"{recent.failed:,}", "all": f"{recent.attempts:,}"},
            "bad": warnings.failing(recent),
        },
        {"name": _("Dead letters"), "value": f"{dead:,}", "note": "", "bad": dead > 0},
        {"name": _("Clusters alive"), "value": str(len(now.alive)), "note": "", "bad": not now.alive},
    ]


def _by_reason(groups: list[dead_letters.Group]) -> list[tuple[str, int]]:
    counts: Counter[str] = Counter()
    for group in groups:
        counts[group.reason] += group.count
    return counts.most_common()


def _state(cluster: Cluster, now: datetime) -> str:
    if cluster.stopped_at:
        return _("stopped")
    return _("alive") if warnings.is_alive(cluster, now) else _("silent")
