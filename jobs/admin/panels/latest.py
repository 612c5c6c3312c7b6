"""The latest jobs by site, type, lane and outcome: at most MOST of them, so that millions of others cost nothing."""

from collections import Counter
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from datetime import datetime
from functools import cached_property
from typing import Any
from urllib.parse import urlencode

from django.db.models import Case, Count, Q, Value, When
from django.utils.functional import Promise
from django.utils.translation import gettext as _
from django.utils.translation import gettext_lazy

from jobs.core import job_types
from jobs.core.job import CLAIMABLE, THIS_SITE, JobLog, JobQuerySet, Reason, Status
from jobs.core.pauses import Lane
from jobs.stats import overview

MOST = 10_000
TOP = 12  # lines of a table

SENT, OPEN, SUPPRESSED, DEAD, DISCARDED = "completed", "open", "suppressed", "dlq", "discarded"
OUTCOMES: dict[str, str | Promise] = {
    SENT: gettext_lazy("completed"),
    OPEN: gettext_lazy("waiting or running"),
    SUPPRESSED: gettext_lazy("suppressed"),
    DEAD: gettext_lazy("dead letters"),
    DISCARDED: gettext_lazy("discarded"),
}
SUPPRESSED_JOBS = Q(status=Status.DLQ, dlq_reason=Reason.SUPPRESSED)
CONDITIONS = {
    SENT: Q(status=Status.COMPLETED),
    OPEN: Q(status__in=CLAIMABLE),
    SUPPRESSED: SUPPRESSED_JOBS,
    DEAD: Q(status=Status.DLQ) & ~SUPPRESSED_JOBS,
    DISCARDED: Q(status=Status.DISCARDED),
}
"""The jobs of each outcome: every job has exactly one."""
CHOSEN: dict[str, dict[str, str]] = {
    SENT: {"status": Status.COMPLETED},
    SUPPRESSED: {"status": Status.DLQ, "reason": Reason.SUPPRESSED},
    DEAD: {"status": Status.DLQ},
    DISCARDED: {"status": Status.DISCARDED},
}
"""The filters of the list that show the jobs of an outcome. OPEN has none: its jobs have several statuses."""


@dataclass(frozen=True)
class Group:
    """How many of the latest jobs have these values."""

    source: str
    job_type: str
    lane: str
    outcome: str
    count: int


@dataclass(frozen=True)
class Cell:
    """A number, and the query string of the list that shows its jobs; "" when no list does."""

    count: int
    link: str = ""


@dataclass(frozen=True)
class Line:
    """A line of a table: a name, and a number for each of OUTCOMES."""

    name: str | Promise
    link: str
    total: int
    cells: list[Cell]


@dataclass(frozen=True)
class Table:
    """A table of the latest jobs by one of their values."""

    name: str
    title: str | Promise
    lines: list[Line]


@dataclass(frozen=True)
class Latest:
    """The latest jobs of a span of time."""

    span: str
    """One of `overview.SPANS`; the list has filters of the same names."""
    since: datetime
    first_key: int
    """No job of them has a smaller key."""

    def jobs(self) -> JobQuerySet:
        """Return these jobs, in no order."""
        return JobLog.objects.filter(pk__gte=self.first_key, created_at__gte=self.since).order_by()

    @cached_property
    def groups(self) -> list[Group]:
        """The jobs in groups. One query."""
        outcome = Case(*(When(condition, then=Value(name)) for name, condition in CONDITIONS.items()))
        counted = self.jobs().values_list("source", "job_type", "lane", outcome).annotate(Count("pk"))
        return [Group(*values) for values in counted]

    @property
    def count(self) -> int:
        """How many jobs they are."""
        return sum(group.count for group in self.groups)

    @property
    def is_cut(self) -> bool:
        """Whether the span has more jobs than were read."""
        return self.count >= MOST

    def link(self, **chosen: str) -> str:
        """Return the query string of the list of these jobs, narrowed."""
        return urlencode({"status": "all", **chosen, "within": self.span})

    def outcomes(self) -> list[tuple[str | Promise, Cell]]:
        """Return the emails among them by outcome."""
        mail = set(job_types.mail_types())
        counts = _count(group for group in self.groups if group.job_type in mail)
        return [(label, Cell(counts[outcome], self._list_of(outcome, {}))) for outcome, label in OUTCOMES.items()]

    def tables(self) -> list[Table]:
        """Return them by site, by type and by lane."""
        lanes, sites = dict(Lane.choices), {THIS_SITE: _("this site")}
        return [
            Table("sites", _("By site"), self._lines("source", lambda name: sites.get(name, name))),
            Table("types", _("By type"), self._lines("job_type", lambda name: name, parameter="type")),
            Table("lanes", _("By lane"), self._lines("lane", lambda name: lanes.get(name, name))),
        ]

    def _lines(self, value: str, label: Callable[[str], Any], parameter: str = "") -> list[Line]:
        parameter = parameter or value
        names = sorted({getattr(group, value) for group in self.groups})
        lines = []
        for name in names:
            counts = _count(group for group in self.groups if getattr(group, value) == name)
            listed = parameter != "type" or job_types.is_registered(name)
            chosen: dict[str, str] | None = {parameter: str(name)} if listed else None
            cells = [Cell(counts[outcome], self._list_of(outcome, chosen)) for outcome in OUTCOMES]
            lines.append(Line(label(name), "" if chosen is None else self.link(**chosen), counts.total(), cells))
        return sorted(lines, key=lambda line: -line.total)[:TOP]

    def _list_of(self, outcome: str, chosen: dict[str, str] | None) -> str:
        """Return the query string of the list; "" when it has no such filter. chosen: None when it has not."""
        return "" if chosen is None or outcome not in CHOSEN else self.link(**chosen, **CHOSEN[outcome])


def load(span: str, now: datetime) -> Latest:
    """Return the latest jobs of a span, at most MOST. One query, which reads MOST entries of an index."""
    keys = JobLog.objects.order_by("-pk").values_list("pk", flat=True)
    return Latest(span, now - overview.SPANS[span][0], next(iter(keys[MOST - 1 : MOST]), 0))


def _count(groups: Iterable[Group]) -> Counter[str]:
    counts: Counter[str] = Counter()
    for group in groups:
        counts[group.outcome] += group.count
    return counts
