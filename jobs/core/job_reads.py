"""The statuses of a job, and questions about jobs: their state, whose they are, how long they have waited."""

import json
from collections.abc import Iterable
from typing import Any, Generic, Self, TypeVar

from django.db import models
from django.db.models import CharField, F, Q, Value
from django.db.models.expressions import Combinable
from django.db.models.fields.json import KeyTextTransform
from django.db.models.functions import Coalesce, Lower, Now
from django.utils.translation import gettext_lazy as _

from jobs.core import pauses, sql
from jobs.core.pauses import Lane


class Status(models.TextChoices):
    """Where a job is in its life."""

    ENQUEUED = "enqueued", _("waiting")
    PROCESSING = "processing", _("running")
    COMPLETED = "completed", _("completed")
    FAILED = "failed", _("failed, will be tried again")
    DLQ = "dlq", _("dead letter")
    DISCARDED = "discarded", _("discarded")


WAITING = (Status.ENQUEUED, Status.FAILED)
CLAIMABLE = (*WAITING, Status.PROCESSING)  # due, due again, or with an expired lease
Row = TypeVar("Row", bound=models.Model)


def text_in_payload(keys: Iterable[str]) -> Combinable:
    """Return the expression of the first of these texts that a job's payload has; "" without one, and without keys."""
    texts = [KeyTextTransform(key, "payload") for key in keys]
    return Coalesce(*texts, Value(""), Value(""), output_field=CharField())  # it takes two expressions at least


class JobReads(models.QuerySet[Row], Generic[Row]):
    """A queryset of jobs that answers these questions."""

    def due(self) -> Self:
        """Return the waiting jobs that are due."""
        return self.filter(status__in=WAITING, run_at__lte=Now())

    def runnable(self) -> Self:
        """Return the waiting jobs that are due and that no suspension holds."""
        return self.due().exclude(pauses.held())

    def lease_expired(self) -> Self:
        """Return the running jobs whose lease has expired."""
        return self.filter(status=Status.PROCESSING, lease_until__lt=Now())

    def dead(self) -> Self:
        """Return the dead letters."""
        return self.filter(status=Status.DLQ)

    def leased_by(self, owner: str) -> Self:
        """Return the running jobs whose lease a worker holds; owner: of a cluster ("name/") or of one worker."""
        mine = Q(worker__startswith=owner) if owner.endswith("/") else Q(worker=owner)
        return self.filter(mine, status=Status.PROCESSING, lease_until__gt=Now())

    def lease_left(self, pk: int, attempt: int) -> float | None:
        """Return the seconds until the lease of an attempt ends; None when the attempt is not running."""
        running = self.filter(pk=pk, status=Status.PROCESSING, attempt_count=attempt, lease_until__isnull=False)
        left = running.values_list(F("lease_until") - Now(), flat=True).first()
        return left.total_seconds() if left is not None else None

    def next_attempt(self, pk: int) -> tuple[int, float] | None:
        """Return the number of a waiting job's next attempt, and the seconds until it is due (0 or less: it is)."""
        waiting = self.filter(pk=pk, status__in=WAITING)
        found = waiting.values_list(F("attempt_count") + 1, F("run_at") - Now()).first()
        return (found[0], found[1].total_seconds()) if found else None

    def of_site(self, source: str) -> Self:
        """Return those of another site, by its index: see `JobLog.Meta`."""
        return self.annotate(lower_source=Lower("source")).filter(lower_source=source.lower(), source=source)

    def from_row(self, columns: list[str], row: tuple[Any, ...]) -> Row:
        """Return the job of a row that a statement of PostgreSQL returned; other columns become attributes."""
        values = dict(zip(columns, row, strict=True))
        fields = self.model._meta.concrete_fields
        read = [values.pop(field.attname) for field in fields]
        job: Any = self.model.from_db(self.db, [field.attname for field in fields], read)
        for name, value in {**values, "payload": json.loads(job.payload)}.items():
            setattr(job, name, value)
        made: Row = job
        return made

    def oldest_waits(self) -> dict[str, float]:
        """Return the seconds since the first of these jobs of each lane was due; 0 in a lane without jobs."""
        first = [self.filter(lane=lane).order_by("run_at").values_list(Now() - F("run_at"))[:1] for lane in Lane.values]
        waits = [0.0 if waited is None else sql.seconds_of(waited) for waited in sql.fetch_each(first)]
        return {lane: max(0.0, waited) for lane, waited in zip(Lane.values, waits, strict=True)}

    def oldest_wait(self) -> float:
        """Return the seconds since the first of these jobs was due; 0 without jobs."""
        return max(self.oldest_waits().values())
