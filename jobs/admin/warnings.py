"""What is wrong right now, and what to do about it. Nothing wrong: no warning."""

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import datetime, timedelta

from django.urls import reverse
from django.utils.translation import gettext as _
from django.utils.translation import ngettext

from jobs.admin import advice, durations, error_classes, masking, paging
from jobs.admin.dead_letters import Group
from jobs.clusters import SILENT_SECONDS, Cluster
from jobs.errors import ErrorClass
from jobs.figures import Recent
from jobs.pauses import JobTypeState

MANY_FAIL = 0.2  # of the attempts of the last minutes


@dataclass(frozen=True)
class Warning:
    """what: is wrong. do: about it. link, label: the page where it is done, if there is one. grave: red, not yellow."""

    what: str
    do: str
    link: str = ""
    label: str = ""
    grave: bool = True


@dataclass(frozen=True)
class Situation:
    """All that the warnings are drawn from. oldest: seconds."""

    now: datetime
    waiting: int
    oldest: float
    recent: Recent
    clusters: list[Cluster]
    held: list[JobTypeState]
    groups: list[Group]

    @property
    def alive(self) -> list[Cluster]:
        return [each for each in self.clusters if is_alive(each, self.now)]


def is_alive(cluster: Cluster, now: datetime) -> bool:
    """Whether it has beaten lately and was not stopped."""
    return cluster.stopped_at is None and (now - cluster.seen_at).total_seconds() <= SILENT_SECONDS


def failing(recent: Recent) -> bool:
    """Whether many attempts failed lately, and still do."""
    return recent.failed > 0 and recent.failure_rate >= MANY_FAIL and not recent.over


def of(now: Situation) -> list[Warning]:
    """The warnings, the gravest first."""
    return [*_clusters(now), *_held(now), *_failures(now), *_waits(now), *_dead(now), *_figures(now)]


def _clusters(now: Situation) -> Iterator[Warning]:
    there = reverse("admin:jobs_cluster_changelist")
    if not now.alive:
        yield Warning(
            _("No cluster is alive: nothing is worked off."),
            _("Start manage.py qcluster. Jobs are still accepted, and none is lost."),
            there,
            _("Clusters"),
        )
        return
    for silent in now.clusters:
        if silent.stopped_at is None and not is_alive(silent, now.now):
            since = durations.ago(silent.seen_at, now.now)
            yield Warning(
                _("The cluster %(name)s was last heard of %(ago)s.") % {"name": silent.name, "ago": since},
                _("Look whether its machine runs; others have taken its jobs over. The line goes after a day."),
                there,
                _("Clusters"),
                grave=False,
            )


def _held(now: Situation) -> Iterator[Warning]:
    for state in now.held:
        told = advice.held(state)
        said = masking.text(masking.cut(state.breaker_error, masking.LONGEST_VALUE)) if not state.paused_at else ""
        yield Warning(
            f"{told.why} {said}".strip(),
            told.what,
            reverse("admin:jobs_jobtypestate_changelist"),
            _("Job types"),
            grave=not state.paused_at,
        )


def _failures(now: Situation) -> Iterator[Warning]:
    if not failing(now.recent):
        return
    figures = {"failed": f"{now.recent.failed:,}", "all": f"{now.recent.attempts:,}"}
    worst = max(now.recent.failures, key=lambda name: now.recent.failures[name])
    yield Warning(
        _("%(failed)s of %(all)s attempts failed in the last 5 minutes.") % figures + f" ({error_classes.name(worst)})",
        _remedy(worst),
        f"{reverse('admin:jobs_joblog_changelist')}?status=wrong&within=1h",
        _("Jobs that need attention"),
    )


def _remedy(error_class: str) -> str:
    match error_class:
        case ErrorClass.UNREACHABLE:
            return _("The mail server cannot be reached: see whether it runs, and EMAIL_HOST and EMAIL_PORT.")
        case ErrorClass.THROTTLED:
            return _("The mail server asks us to be slower. Nothing to do: the attempts do not count, it gets by.")
        case ErrorClass.CONFIGURATION:
            return _("The mail server refuses our settings: see the password, TLS and the sender.")
        case ErrorClass.PERMANENT:
            return _("The mail server refuses these mails for good: read what it says on one of them.")
        case "lost":
            return _("Workers die: look at their logs and memory.")
    return _("Jobs are tried again by themselves. If it lasts, read the error of one of them.")


def _waits(now: Situation) -> Iterator[Warning]:
    if now.alive and not now.held and now.oldest > advice.LATE.total_seconds():
        told = {"waiting": paging.spoken(now.waiting), "age": durations.spell(timedelta(seconds=now.oldest))}
        yield Warning(
            _("%(waiting)s jobs wait, the oldest has been due for %(age)s.") % told,
            _("Too few workers, or a slow mail server: compare run times below; start more with --workers."),
            f"{reverse('admin:jobs_joblog_changelist')}?status=enqueued&order=oldest",
            _("What waits"),
        )


def _dead(now: Situation) -> Iterator[Warning]:
    count = sum(group.count for group in now.groups)
    if count:
        said = ngettext("%(n)s dead letter.", "%(n)s dead letters.", count) % {"n": f"{count:,}"}
        most = _("The most frequent error: %s.") % (now.groups[0].fingerprint or "—")
        yield Warning(
            f"{said} {most}",
            _("Open the group, read one, mend the cause; then replay the group, or discard it."),
            reverse("admin:jobs_joblog_dead"),
            _("Dead letters by error"),
            grave=False,
        )


def _figures(now: Situation) -> Iterator[Warning]:
    if now.alive and now.recent.behind:
        yield Warning(
            _("The figures below are not being counted."),
            _("Look at the log of manage.py qcluster for “keeper could not do its round”."),
            grave=False,
        )
