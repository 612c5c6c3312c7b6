"""What the alert rules read: gauges, and counters with their values of the last hour, as Prometheus would have them.

Apps register sources of gauges. Counters are sampled once a minute into a table, so that `increase` means the same
here as in Prometheus, whichever process evaluates.
"""

from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import datetime, timedelta

from django.db import models
from django.db.models.functions import Now

from jobs.core import counters, sql

KEPT = timedelta(minutes=65)  # the longest window of a rule, and a little more
SAMPLE_EVERY = timedelta(seconds=55)
COUNTED = ("attempts", "dead", "mails", "sign_in")  # names of counters that rules read
Gauges = dict[tuple[str, str], float]  # by metric and label value; "" for a metric without labels
Key = tuple[str, ...]  # a counter's name and its labels, and for a histogram the bucket

_sources: list[Callable[[], Gauges]] = []


def register_source(source: Callable[[], Gauges]) -> None:
    """Add a function that reads gauges from the database or this machine."""
    if source not in _sources:
        _sources.append(source)


class AlertSample(models.Model):
    """The counters that rules read, at one time."""

    at = models.DateTimeField(primary_key=True)
    values = models.JSONField(default=dict)
    """Counts by their joined key."""

    class Meta:
        db_table = "alert_samples"
        default_permissions = ()

    def __str__(self) -> str:
        return self.at.isoformat()


@dataclass(frozen=True)
class Readings:
    """What the rules see at one time."""

    now: datetime
    gauges: Gauges = field(default_factory=dict)
    counts: dict[Key, float] = field(default_factory=dict)
    history: list[tuple[datetime, dict[Key, float]]] = field(default_factory=list)
    """Earlier counts, the oldest first."""

    def gauge(self, metric: str) -> dict[str, float]:
        """Return the values of a metric by label; empty when nothing reported it."""
        return {label: value for (name, label), value in self.gauges.items() if name == metric}

    def labels_above(self, metric: str, threshold: float) -> list[str]:
        """Return the labels whose value is above a threshold, sorted."""
        return sorted(label for label, value in self.gauge(metric).items() if value > threshold)

    def increases(self, name: str, window: timedelta) -> dict[Key, float]:
        """Return by how much each counter `name` grew in the window, by its labels.

        Without a sample in the window nothing grew. A counter that no sample has began at zero.
        """
        base = next((counts for at, counts in self.history if at >= self.now - window), None)
        if base is None:
            return {}
        mine = {key: count for key, count in self.counts.items() if key[0] == name}
        return {key[1:]: max(0.0, count - base.get(key, 0.0)) for key, count in mine.items()}


def read() -> Readings:
    """Read everything now, and keep a sample of the counters. Raise django.db.Error when the database is away."""
    gauges: Gauges = {}
    for source in _sources:
        gauges |= source()
    counts = _counts()
    restarts: dict[Key, float] = {
        ("restarts", label): value for (name, label), value in gauges.items() if name.endswith("_restarts")
    }
    counts |= restarts
    now = sql.now()
    rows = AlertSample.objects.filter(at__gt=now - KEPT).order_by("at").values_list("at", "values")
    history = [(at, {tuple(key.split("\n")): count for key, count in values.items()}) for at, values in rows]
    if not history or now - history[-1][0] >= SAMPLE_EVERY:
        _keep(now, counts)
    return Readings(now, gauges, counts, history)


def _counts() -> dict[Key, float]:
    found: dict[Key, float] = {}
    for what, (count, _) in counters.read(*COUNTED).items():
        found[what.name, *what.labels, *([what.bucket] if what.bucket else [])] = count
    return found


def _keep(now: datetime, counts: dict[Key, float]) -> None:
    values = {"\n".join(key): count for key, count in counts.items()}
    AlertSample.objects.update_or_create(at=now, defaults={"values": values})
    AlertSample.objects.filter(at__lt=Now() - KEPT).delete()
