"""The numbers of /metrics, asked of the database at the moment of the scrape: its indexes and its counters alone.

Every sum is one for all processes and hosts, since it is in the database. All of it is read in one snapshot, so that
sums which are made of a counter and of rows (a job that ends moves from one to the other) never go backwards.
"""

from collections import defaultdict
from collections.abc import Iterable, Iterator
from typing import Any

from django.db import connection, transaction
from django.db.models.functions import Now
from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily, HistogramMetricFamily, Metric

from jobs import clusters, counters, pauses
from jobs.counters import BEYOND, BOUNDS, Count
from jobs.models import JobLog, Status

Sums = dict[Count, tuple[int, float]]

COUNTERS: dict[str, tuple[str, tuple[str, ...], str]] = {
    "completed": ("notifier_jobs_completed", ("job_type",), "Jobs whose work is done."),
    "dead": ("notifier_dead_letters", ("job_type", "reason"), "Jobs that became dead letters."),
    "replayed": ("notifier_jobs_replayed", ("job_type",), "Dead letters that were tried again."),
    "discarded": ("notifier_jobs_discarded", ("job_type",), "Jobs that were given up."),
    "pruned": ("notifier_jobs_pruned", ("job_type", "status"), "Jobs whose rows retention deleted."),
    "attempts": (
        "notifier_attempts",
        ("job_type", "outcome", "error_class"),
        "Attempts by outcome: completed, failed (tried again), dlq, lost (the lease lapsed).",
    ),
    "stale": ("notifier_stale_settlements", ("job_type",), "Settlements refused because the lease was lost."),
    "rate_limited": ("notifier_rate_limited", ("job_type",), "Jobs refused by the hourly limit of a user."),
    "mails": ("notifier_mails", ("outcome",), "Mails by what the server said: accepted, or the class of the error."),
}
HISTOGRAMS: dict[str, tuple[str, tuple[str, ...], str]] = {
    "pickup": ("notifier_pickup_seconds", ("job_type",), "From due to claimed."),
    "run": ("notifier_run_seconds", ("job_type",), "From claimed to settled, each attempt."),
    "end_to_end": ("notifier_end_to_end_seconds", ("job_type",), "From enqueued to completed."),
    "sign_in": ("notifier_sign_in_receiver_seconds", (), "What the notice adds to a sign-in."),
}


class Collector:
    """What prometheus_client asks for at each scrape. Raises django.db.Error when the database is away."""

    def collect(self) -> Iterable[Metric]:
        own = not connection.in_atomic_block
        with transaction.atomic():
            if own and connection.vendor == "postgresql":
                with connection.cursor() as cursor:
                    cursor.execute("SET TRANSACTION ISOLATION LEVEL REPEATABLE READ READ ONLY")
            sums, waiting = counters.read(), _waiting()
            return [*_sums(sums), *_histograms(sums), *_made_of_both(sums, waiting), *_queue(), *_types(), *_clusters()]


def _waiting() -> dict[str, int]:
    """How many jobs are in each status that does not last, from the partial indexes alone."""
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


def _of(sums: Sums, name: str) -> int:
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
            for bound in (*map(str, BOUNDS), BEYOND):
                seen += buckets.get(bound, (0, 0.0))[0]
                cumulated.append((bound, seen))
            family.add_metric(_padded(values, labels), cumulated, sum(total for _, total in buckets.values()))
        yield family


def _padded(values: tuple[str, ...], labels: tuple[str, ...]) -> list[str]:
    """Values as stored, an empty last one included."""
    return [*values, *[""] * (len(labels) - len(values))]


def _made_of_both(sums: Sums, waiting: dict[str, int]) -> Iterator[Metric]:
    """A job is counted when it ends, so those that began are the ended ones and the rows of the others."""
    gone = {
        status: sum(n for what, (n, _) in sums.items() if what.name == "pruned" and what.labels[1:] == (status,))
        for status in Status.values
    }
    ended: dict[str, int] = {
        status: _of(sums, status) - gone[status] for status in (Status.COMPLETED, Status.DISCARDED)
    }
    now: dict[str, int] = {**waiting, **ended}
    jobs = GaugeMetricFamily("notifier_jobs", "Jobs by status.", labels=["status"])
    for status, count in now.items():
        jobs.add_metric([status], count)
    yield jobs
    enqueued = _of(sums, Status.COMPLETED) + _of(sums, Status.DISCARDED) + sum(waiting.values()) + gone[Status.DLQ]
    yield CounterMetricFamily("notifier_jobs_enqueued", "Jobs that were accepted.", value=enqueued)
    claims = _of(sums, "attempts") + waiting[Status.PROCESSING]
    yield CounterMetricFamily("notifier_claims", "Attempts that were begun.", value=claims)


def _queue() -> Iterator[Metric]:
    held = pauses.held().values("job_type")
    due = JobLog.objects.due().exclude(job_type__in=held).order_by("run_at").annotate(now=Now())
    oldest = due.values_list("now", "run_at").first()
    late = (oldest[0] - oldest[1]).total_seconds() if oldest else 0.0
    text = "How long the oldest due job has been waiting; jobs of held types are not counted."
    yield GaugeMetricFamily("notifier_oldest_due_seconds", text, value=late)
    lapsed = JobLog.objects.lapsed().order_by().count()
    yield GaugeMetricFamily("notifier_leases_lapsed", "Running jobs whose lease has lapsed.", value=lapsed)


def _types() -> Iterator[Metric]:
    breaker = GaugeMetricFamily(
        "notifier_breaker_open", "1: the mail server's settings are wrong.", labels=["job_type"]
    )
    paused = GaugeMetricFamily("notifier_paused", "1: an operator holds this type.", labels=["job_type"])
    for state in pauses.JobTypeState.objects.order_by("job_type"):
        breaker.add_metric([state.job_type], int(state.breaker_opened_at is not None))
        paused.add_metric([state.job_type], int(state.paused_at is not None))
    yield from (breaker, paused)


def _clusters() -> Iterator[Metric]:
    running = clusters.Cluster.objects.filter(stopped_at=None).annotate(now=Now())
    yield GaugeMetricFamily("notifier_clusters", "Clusters that beat.", value=clusters.alive().count())
    families: dict[str, tuple[str, Any]] = {
        "notifier_cluster_heartbeat_age_seconds": (
            "Since a cluster's last heartbeat.",
            lambda row: (row.now - row.seen_at).total_seconds(),
        ),
        "notifier_cluster_workers": ("Worker processes of a cluster.", lambda row: row.workers),
        "notifier_cluster_in_flight": ("Workers in the middle of a job.", lambda row: row.in_flight),
        "notifier_cluster_restarts": ("Times a cluster was replaced.", lambda row: row.restarts),
    }
    rows = list(running)
    for name, (text, value) in families.items():
        family = GaugeMetricFamily(name, text, labels=["cluster"])
        for row in rows:
            family.add_metric([row.name], max(0, value(row)))
        yield family
