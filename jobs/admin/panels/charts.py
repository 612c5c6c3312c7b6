"""The charts of the overview, each with its table, whose numbers lead to the jobs of their time."""

from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any
from urllib.parse import urlencode

from django.utils import timezone
from django.utils.functional import Promise
from django.utils.translation import gettext_lazy

from jobs.admin.panels.deploys import Deploy
from jobs.admin.parts import durations
from jobs.core.job import Status
from jobs.stats import overview

LISTED = {"done": Status.COMPLETED, "failed": "wrong"}  # the tab of the list for numbers of jobs
IN_A_LINK = "%Y-%m-%dT%H:%M"


@dataclass(frozen=True)
class Chart:
    """A chart and its table."""

    name: str
    title: str | Promise
    unit: str  # "s" for seconds, "n" for numbers
    columns: tuple[tuple[str | Promise, str, str], ...]  # label, attribute of a point, and line, dashed or bar

    def rows(self, points: list[overview.Point], step: timedelta, deploy: Deploy | None) -> list[dict[str, Any]]:
        """Return the table's rows, oldest first; that in which the last deployment falls is marked with its version."""
        return [
            {
                "at": point.at,
                "mark": deploy.version if deploy and point.at <= deploy.at < point.at + step else "",
                "cells": [self._cell(point, key, step) for _label, key, _kind in self.columns],
            }
            for point in points
        ]

    def _cell(self, point: overview.Point, key: str, step: timedelta) -> dict[str, Any]:
        value = getattr(point, key)
        if value is None:
            return {"value": "", "text": "–", "link": ""}
        shown = durations.format_duration(timedelta(seconds=value)) if self.unit == "s" else f"{value:,.1f}"
        link = _link(LISTED[key], point.at, point.at + step) if key in LISTED and value else ""
        return {"value": f"{value:.4f}", "text": shown, "link": link}


def _link(status: str, begin: datetime, end: datetime) -> str:
    """Return the query string of the list of jobs that were enqueued in this time."""
    after, before = (timezone.localtime(at).strftime(IN_A_LINK) for at in (begin, end))
    return urlencode({"status": status, "after": after, "before": before})


MEDIAN, MOST_OF_THEM = gettext_lazy("median (half within)"), gettext_lazy("95 % within")

CHARTS = (
    Chart(
        "waits",
        gettext_lazy("Time until a worker takes a due job"),
        "s",
        (
            (MEDIAN, "pickup_p50", "line"),
            (MOST_OF_THEM, "pickup_p95", "line"),
            (gettext_lazy("oldest waiting job"), "oldest", "dashed"),
        ),
    ),
    Chart(
        "runs",
        gettext_lazy("Time that a job runs"),
        "s",
        ((MEDIAN, "run_p50", "line"), (MOST_OF_THEM, "run_p95", "line")),
    ),
    Chart(
        "done",
        gettext_lazy("Done per minute"),
        "n",
        ((gettext_lazy("completed"), "done", "bar"), (gettext_lazy("failed attempts"), "failed", "bar")),
    ),
)
