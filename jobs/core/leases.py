"""Leader leases: one host at a time does a maintenance task."""

from datetime import timedelta

from django.db import models
from django.db.models.functions import Now


class LeaderLease(models.Model):
    """A lease on a task. The host that updates `acquired_at` holds it."""

    name = models.CharField(max_length=32, primary_key=True)
    acquired_at = models.DateTimeField(db_default=Now())


def acquire(name: str, every: float) -> bool:
    """Acquire the lease; True for one caller in `every` seconds, across all hosts."""
    late = Now() - timedelta(seconds=every)
    if LeaderLease.objects.filter(name=name, acquired_at__lte=late).update(acquired_at=Now()):
        return True
    return LeaderLease.objects.get_or_create(name=name)[1]


def renew(name: str) -> None:
    """Take the lease from any holder: the task was done in another way."""
    LeaderLease.objects.update_or_create(name=name, defaults={"acquired_at": Now()})
