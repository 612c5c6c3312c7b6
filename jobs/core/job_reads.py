"""Questions about jobs that need no status: whose they are, and how long they have waited."""

import json
from collections.abc import Iterable
from typing import Any, Generic, Self, TypeVar

from django.db import models
from django.db.models import CharField, F, Value
from django.db.models.expressions import Combinable
from django.db.models.fields.json import KeyTextTransform
from django.db.models.functions import Coalesce, Lower, Now

from jobs.core import sql
from jobs.core.pauses import Lane

Row = TypeVar("Row", bound=models.Model)


def text_in_payload(keys: Iterable[str]) -> Combinable:
    """Return the expression of the first of these texts that a job's payload has; "" without one, and without keys."""
    texts = [KeyTextTransform(key, "payload") for key in keys]
    return Coalesce(*texts, Value(""), Value(""), output_field=CharField())  # it takes two expressions at least


class JobReads(models.QuerySet[Row], Generic[Row]):
    """A queryset of jobs that answers these questions."""

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
