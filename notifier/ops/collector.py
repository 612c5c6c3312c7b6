"""The metrics of /metrics, read from the database's indexes and counters at each scrape.

A sum covers all processes and hosts, since it is in the database. Everything is read in one snapshot, so that sums made
of a counter and of rows (a job that ends moves from one to the other) never decrease.
"""

from collections import defaultdict
from collections.abc import Iterable, Iterator
from typing import Any

from django.conf import settings
from django.db import connection, transaction
from django.db.models import Count as CountRows
from django.db.models.functions import Now
from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily, HistogramMetricFamily, Metric

from accounts import synthetic
from accounts.alerts.mail_rules import disk_free
from accounts.events.endpoint import EventEndpoint
from accounts.mail.providers.configured import configured
from jobs.cluster import clusters
from jobs.core import counters, pauses, sql
from jobs.core.counters import BUCKETS, INFINITY, Count
from jobs.core.job import WAITING, JobLog, Status
from jobs.schedules.state import ScheduleState
from jobs.stats.gauges import NEXT_TICK

Sums = dict[Count, tuple[int, float]]

COUNTERS: dict[str, tuple[str, tuple[str, ...], str]] = {
    "completed": ("notifier_jobs_completed", ("job_type",), "Jobs that completed."),
    "dead": ("notifier_dead_letters", ("job_type", "reason"), "Jobs that became dead letters."),
    "replayed": ("notifier_jobs_replayed", ("job_type",), "Dead letters that were replayed."),
    "discarded": ("notifier_jobs_discarded", ("job_type",), "Jobs that were discarded."),
    "pruned": (
        "notifier_jobs_pruned",
        ("job_type", "status"),
        "Jobs whose rows retention deleted.",
    ),
    "attempts": (
        "notifier_attempts",
        ("job_type", "outcome", "error_class"),
        "Attempts by outcome: completed, failed (retried later), dlq, discarded, lost (the lease expired).",
    ),
    "stale": ("notifier_stale_settlements", ("job_type",), "Settlements refused because the lease was lost."),
    "rate_limited": ("notifier_rate_limited", ("job_type",), "Jobs refused by a user's hourly limit."),
    "mails": (
        "notifier_mails",
        ("outcome", "provider"),
        "Emails by the server's reply: accepted, or the class of the error.",
    ),
}
HISTOGRAMS: dict[str, tuple[str, tuple[str, ...], str]] = {
    "pickup": ("notifier_pickup_seconds", ("job_type", "lane"), "Time from due to claimed."),
    "run": ("notifier_run_seconds", ("job_type",), "Time from claimed to settled, for each attempt."),
    "end_to_end": ("notifier_end_to_end_seconds", ("job_type",), "Time from enqueued to completed."),
    "sign_in": ("notifier_sign_in_receiver_seconds", (), "Time that recording the sign-in adds to it."),
}


class Collector:
    """A prometheus_client collector. `collect` raises django.db.Error when the database is away."""

    def collect(self) -> Iterable[Metric]:
        own = not connection.in_atomic_block
        with transaction.atomic():
            if own:
                sql.read_one_snapshot()
            sums, waiting = counters.read(), _waiting()
            counted = [*_sums(sums), *_histograms(sums), *_combined(sums, waiting)]
            return [*counted, *_queue(), *_types(), *_clusters(), *_schedules(), *_outside()]


def _waiting() -> dict[str, int]:
    """Count the jobs in each status that is not final, from the partial indexes alone."""
    jobs = JobLog.objects.order_by()
    wrong = jobs.filter(status__in=[Status.FAILED, Status.DLQ]).count()
    dead = jobs.filter(status=Status.DLQ).count()
    waiting = jobs.filter(status__in=[Status.ENQUEUED, Status.FAILED]).count()
    return {
        Status.ENQUEUED: waiting - (wrong - dead),
        Status.FAILED: wrong - dead,
        Status.DLQ: dead,
        Status.PROCESSING: jobs.filter(status=Status.PROCESSING).count(),
    }


def _total(sums: Sums, name: str) -> int:
    return sum(count for what, (count, _) in sums.items() if what.name == name)


def _sums(sums: Sums) -> Iterator[Metric]:
    for name, (metric, labels, text) in COUNTERS.items():
        family = CounterMetricFamily(metric, text, labels=labels)
        for what, (count, _) in sums.items():
            if what.name == name:
                family.add_metric(_padded(what.labels, labels), count)
        yield family


def _histograms(sums: Sums) -> Iterator[Metric]:
    for name, (metric, labels, text) in HISTOGRAMS.items():
        family = HistogramMetricFamily(metric, text, labels=labels)
        series: dict[tuple[str, ...], dict[str, tuple[int, float]]] = defaultdict(dict)
        for what, sum_ in sums.items():
            if what.name == name:
                series[what.labels][what.bucket] = sum_
        for values, buckets in series.items():
            seen, cumulated = 0, []
            for bound in (*map(str, BUCKETS), INFINITY):
                seen += buckets.get(bound, (0, 0.0))[0]
                cumulated.append((bound, seen))
            family.add_metric(_padded(values, labels), cumulated, sum(total for _, total in buckets.values()))
        yield family


def _padded(values: tuple[str, ...], labels: tuple[str, ...]) -> list[str]:
    """Append the empty labels that the stored values omit."""
    return [*values, *[""] * (len(labels) - len(values))]


def _combined(sums: Sums, waiting: dict[str, int]) -> Iterator[Metric]:
    """Add counters of ended jobs and rows of the others: a job is counted when it ends."""
    pruned = {
        status: sum(n for what, (n, _) in sums.items() if what.name == "pruned" and what.labels[1:] == (status,))
        for status in Status.values
    }
    ended: dict[str, int] = {
        status: _total(sums, status) - pruned[status] for status in (Status.COMPLETED, Status.DISCARDED)
    }
    now: dict[str, int] = {**waiting, **ended}
    jobs = GaugeMetricFamily("notifier_jobs", "Jobs by status.", labels=["status"])
    for status, count in now.items():
        jobs.add_metric([status], count)
    yield jobs
    enqueued = (
        _total(sums, Status.COMPLETED) + _total(sums, Status.DISCARDED) + sum(waiting.values()) + pruned[Status.DLQ]
    )
    yield CounterMetricFamily("notifier_jobs_enqueued", "Jobs that were enqueued.", value=enqueued)
    claims = _total(sums, "attempts") + waiting[Status.PROCESSING]
    yield CounterMetricFamily("notifier_claims", "Attempts that were started.", value=claims)


def _queue() -> Iterator[Metric]:
    text = "How long the oldest due job of a lane has been waiting, without jobs of suspended types and lanes."
    oldest = GaugeMetricFamily("notifier_oldest_due_seconds", text, labels=["lane"])
    waiting = GaugeMetricFamily(
        "notifier_jobs_waiting", "Jobs that wait for their first or next attempt, by lane.", labels=["lane"]
    )
    counts = dict(JobLog.objects.filter(status__in=WAITING).order_by().values_list("lane").annotate(CountRows("pk")))
    for lane, waited in JobLog.objects.runnable().oldest_waits().items():
        oldest.add_metric([lane], waited)
        waiting.add_metric([lane], counts.get(lane, 0))
    yield from (oldest, waiting)
    expired = JobLog.objects.lease_expired().order_by().count()
    yield GaugeMetricFamily("notifier_leases_lapsed", "Running jobs whose lease has expired.", value=expired)


def _types() -> Iterator[Metric]:
    breaker = GaugeMetricFamily(
        "notifier_breaker_open",
        "1: the mail server refuses our settings.",
        labels=["job_type"],
    )
    paused = GaugeMetricFamily("notifier_paused", "1: an operator paused this type.", labels=["job_type"])
    paused_now = set(pauses.paused_types().values_list("job_type", flat=True))
    for state in pauses.JobTypeState.objects.order_by("job_type"):
        breaker.add_metric([state.job_type], int(state.breaker_opened_at is not None))
        paused.add_metric([state.job_type], int(state.job_type in paused_now))
    lanes = GaugeMetricFamily("notifier_lane_paused", "1: an operator paused this lane.", labels=["lane"])
    paused_lanes = set(pauses.paused_lanes().values_list("lane", flat=True))
    for lane in pauses.Lane.values:
        lanes.add_metric([lane], int(lane in paused_lanes))
    yield from (breaker, paused, lanes)
    text = "1: a mail provider is out of use, emails go through another one."
    provider = GaugeMetricFamily("notifier_provider_breaker_open", text, labels=["provider"])
    out_of_use = set(pauses.open_providers().values_list("provider", flat=True))
    for each in configured():
        provider.add_metric([each.name], int(each.name in out_of_use))
    yield provider


def _outside() -> Iterator[Metric]:
    off = EventEndpoint.objects.just_turned_off().count()
    text = "Event endpoints that were turned off automatically within a day."
    yield GaugeMetricFamily("notifier_event_endpoints_off", text, value=off)
    yield GaugeMetricFamily("notifier_disk_free_bytes", "Free bytes of the disk of VAR_DIR.", value=disk_free())


def _clusters() -> Iterator[Metric]:
    running = clusters.Cluster.objects.filter(stopped_at=None).annotate(now=Now())
    yield GaugeMetricFamily("notifier_clusters", "Clusters with a recent heartbeat.", value=clusters.alive().count())
    families: dict[str, tuple[str, Any]] = {
        "notifier_cluster_heartbeat_age_seconds": (
            "Time since a cluster's last heartbeat.",
            lambda row: (row.now - row.seen_at).total_seconds(),
        ),
        "notifier_cluster_workers": ("Worker processes of a cluster.", lambda row: row.workers),
        "notifier_cluster_in_flight": ("Workers that are running a job.", lambda row: row.in_flight),
        "notifier_cluster_restarts": ("Number of times a cluster was replaced.", lambda row: row.restarts),
    }
    rows = list(running)
    for name, (text, value) in families.items():
        family = GaugeMetricFamily(name, text, labels=["cluster"])
        for row in rows:
            family.add_metric([row.name], max(0, value(row)))
        yield family
    failing = GaugeMetricFamily(
        "notifier_maintenance_failing", "1: a maintenance step fails in a running cluster.", labels=["step"]
    )
    for step in clusters.failing_maintenance():
        failing.add_metric([step], 1)
    yield failing


def _schedules() -> Iterator[Metric]:
    last = GaugeMetricFamily(
        "notifier_schedule_last_tick_timestamp_seconds", "When a schedule was due last.", labels=["schedule"]
    )
    following = GaugeMetricFamily(
        NEXT_TICK,
        "When a schedule is due next; none while it is paused. A time that has passed: no cluster ticks it.",
        labels=["schedule"],
    )
    paused = GaugeMetricFamily("notifier_schedule_paused", "1: an operator paused this schedule.", labels=["schedule"])
    for row in ScheduleState.objects.exclude(spec=""):
        paused.add_metric([row.name], int(row.paused_at is not None))
        if row.last_tick:
            last.add_metric([row.name], row.last_tick.timestamp())
        if row.next_tick and not row.paused_at:
            following.add_metric([row.name], row.next_tick.timestamp())
    yield from (last, following, paused)
    sent = GaugeMetricFamily(
        "notifier_synthetic_sign_in_sent_timestamp_seconds", "When the notice of the last synthetic sign-in was sent."
    )
    if settings.SYNTHETIC_SIGN_IN_USER:
        sent.add_metric([], synthetic.last_sent() or 0.0)
    yield sent
