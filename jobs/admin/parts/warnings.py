"""The overview's warnings: what is wrong now, and what to do about it."""

from collections.abc import Iterator
from dataclasses import dataclass, field
from datetime import datetime, timedelta

from django.urls import reverse
from django.utils.translation import gettext as _
from django.utils.translation import ngettext

from jobs.admin.pages.dead_letters import Group
from jobs.admin.pages.schedules import Line
from jobs.admin.parts import advice, durations, error_classes, paging
from jobs.cluster.clusters import Cluster
from jobs.core import masking
from jobs.core.errors import ErrorClass
from jobs.core.pauses import JobTypeState, ProviderState
from jobs.stats.overview import Recent

MANY_FAIL = 0.2  # share of the attempts of the last minutes


@dataclass(frozen=True)
class Warning:
    """One warning."""

    what: str  # what is wrong
    do: str  # what to do about it
    link: str = ""  # the page where the operator does it, and its label
    label: str = ""
    grave: bool = True  # red, not yellow
    quote: str = ""  # the error as it was received, in English


@dataclass(frozen=True)
class Situation:
    """The data that the warnings are made from."""

    now: datetime
    waiting: int
    waits: dict[str, float]  # of each lane, the seconds for which the oldest waiting job has been due
    recent: Recent
    clusters: list[Cluster]
    suspended: list[JobTypeState]
    providers: list[ProviderState]  # whose breaker is open
    groups: list[Group]
    last_errors: dict[str, str]  # of the jobs that failed last, by class of error
    schedules: list[Line] = field(default_factory=list)
    fresh: bool = False  # no worker has ever run here

    @property
    def oldest(self) -> float:
        return max(self.waits.values())

    @property
    def alive(self) -> list[Cluster]:
        return [each for each in self.clusters if each.is_alive(self.now)]


def failing(recent: Recent) -> bool:
    """Return whether many attempts failed lately, and still do."""
    return recent.failed > 0 and recent.failure_rate >= MANY_FAIL and not recent.over


def active_warnings(now: Situation) -> list[Warning]:
    """Return the warnings, the gravest first."""
    return [
        *_clusters(now),
        *_suspended(now),
        *_providers(now),
        *_failures(now),
        *_waits(now),
        *_dead(now),
        *_schedules(now),
        *_figures(now),
    ]


def _clusters(now: Situation) -> Iterator[Warning]:
    there = reverse("admin:jobs_cluster_changelist")
    if now.fresh:
        yield Warning(
            _("No worker has run here yet."),
            _("Start manage.py qcluster. Jobs are accepted meanwhile, and none is lost."),
            there,
            _("Clusters"),
            grave=False,
        )
        return
    if not now.alive:
        yield Warning(
            _("No cluster is alive: no jobs are being processed."),
            _("Start manage.py qcluster. Jobs are still accepted, and none is lost."),
            there,
            _("Clusters"),
        )
        return
    for silent in now.clusters:
        if silent.stopped_at is None and not silent.is_alive(now.now):
            since = durations.format_ago(silent.seen_at, now.now)
            yield Warning(
                _("The last heartbeat of the cluster %(name)s was %(ago)s.") % {"name": silent.name, "ago": since},
                _("Check whether its machine is running. Other clusters took over its jobs. The warning lasts a day."),
                there,
                _("Clusters"),
                grave=False,
            )


def _suspended(now: Situation) -> Iterator[Warning]:
    for state in now.suspended:
        advised = advice.advise_suspended(state)
        error = "" if state.paused_at else masking.abbreviate(state.breaker_error, masking.LONGEST_VALUE)
        yield Warning(
            str(advised.why),
            advised.what,
            reverse("admin:jobs_jobtypestate_changelist"),
            _("Sending"),
            grave=not state.paused_at,
            quote=error,
        )


def _providers(now: Situation) -> Iterator[Warning]:
    for state in now.providers:
        since = durations.format_ago(state.breaker_opened_at, now.now) if state.breaker_opened_at else ""
        out_of_use = _("The mail provider %(provider)s went out of use %(ago)s; emails go through another.")
        yield Warning(
            out_of_use % {"provider": state.provider, "ago": since},
            _("Fix the reported cause. It is used again automatically when its probe succeeds."),
            grave=False,
            quote=masking.abbreviate(state.breaker_error, masking.LONGEST_VALUE),
        )


def _failures(now: Situation) -> Iterator[Warning]:
    if not failing(now.recent):
        return
    worst = max(now.recent.failures, key=lambda name: now.recent.failures[name])
    kind = error_classes.label_of(worst)
    values = {"failed": f"{now.recent.failed:,}", "all": f"{now.recent.attempts:,}", "kind": kind}
    error = masking.abbreviate(now.last_errors.get(worst, ""), masking.LONGEST_VALUE)
    yield Warning(
        _("%(failed)s of %(all)s attempts failed in the last 5 minutes (%(kind)s).") % values,
        _remedy(worst),
        f"{reverse('admin:jobs_joblog_changelist')}?status=wrong&within=1h",
        _("Jobs that need attention"),
        quote=error,
    )


def _remedy(error_class: str) -> str:
    match error_class:
        case ErrorClass.UNREACHABLE:
            return _("The mail server cannot be reached: check whether it runs, and check EMAIL_HOST and EMAIL_PORT.")
        case ErrorClass.THROTTLED:
            return _("The mail server asks us to send more slowly. Nothing to do: these attempts do not count.")
        case ErrorClass.CONFIGURATION:
            return _("The mail server refuses our settings: check the password, TLS and the sender.")
        case ErrorClass.PERMANENT:
            return _("The mail server refuses these emails permanently: read the error of one of them.")
        case "lost":
            return _("Workers die: check their logs and memory.")
    return _("Jobs are retried automatically. If this lasts, read the error of one of them.")


def _waits(now: Situation) -> Iterator[Warning]:
    if now.alive and now.oldest > advice.NO_WORKER_AFTER.total_seconds():
        figures = {
            "waiting": paging.format_count(now.waiting),
            "age": durations.format_duration(timedelta(seconds=now.oldest)),
        }
        yield Warning(
            _("%(waiting)s jobs are waiting; the oldest has been due for %(age)s.") % figures,
            _("Too few workers, or a slow mail server: compare the run times below; start more with --workers."),
            f"{reverse('admin:jobs_joblog_changelist')}?status=enqueued&order=oldest",
            _("Waiting jobs"),
        )


def _dead(now: Situation) -> Iterator[Warning]:
    count = sum(group.count for group in now.groups)
    if count:
        counted = ngettext("%(n)s dead letter.", "%(n)s dead letters.", count) % {"n": f"{count:,}"}
        most = _("The most frequent error: %s.") % (now.groups[0].fingerprint or "—")
        yield Warning(
            f"{counted} {most}",
            _("Open the group, read one job and fix the cause; then replay the group, or discard it."),
            reverse("admin:jobs_joblog_dead"),
            _("Dead letters by error"),
            grave=False,
        )


def _schedules(now: Situation) -> Iterator[Warning]:
    troubled = [line.name for line in now.schedules if line.is_troubled(now.now)]
    if troubled:
        yield Warning(
            _("Schedules that need attention: %s.") % ", ".join(troubled),
            _("The page of the schedules says what is wrong with each."),
            reverse("admin:jobs_schedulestate_changelist"),
            _("Schedules"),
            grave=False,
        )


def _figures(now: Situation) -> Iterator[Warning]:
    if now.alive and now.recent.behind:
        yield Warning(
            _("The figures below are not up to date."),
            _("Check the log of manage.py qcluster for errors of the watchdog."),
            grave=False,
        )
