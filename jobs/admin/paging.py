"""Pages and counts that stay quick at millions of rows: by key, never by offset, and never counting to the end."""

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

from django.db import OperationalError, connection, transaction
from django.db.models import QuerySet

from jobs.models import JobLog, JobQuerySet, Status

SIZE = 50
MOST = 10_000  # nobody reads on; counting further costs what the answer is not worth
PATIENCE_MS = 2_500
LIMITS = "SELECT set_config('statement_timeout', %s, true), set_config('enable_bitmapscan', %s, true)"


class TooBroad(Exception):
    """The database gave up within PATIENCE_MS: the view must be narrowed."""


@contextmanager
def bounded(*, one_index: bool = False) -> Iterator[None]:
    """Queries inside end within PATIENCE_MS (PostgreSQL), or it raises TooBroad: one page never holds the database.

    one_index: keeps PostgreSQL from combining two partial indexes of one condition; it takes them for independent,
    expects next to no rows, and reads the table instead of the index alone.
    """
    try:
        with transaction.atomic():
            if connection.vendor == "postgresql":
                with connection.cursor() as cursor:
                    cursor.execute(LIMITS, [str(PATIENCE_MS), "off" if one_index else "on"])
            yield
            _lift()
    except OperationalError as error:
        if getattr(error.__cause__, "sqlstate", "") != "57014":
            raise
        raise TooBroad from error


def _lift() -> None:
    """In an outer transaction the limit would outlive the block."""
    if connection.vendor == "postgresql" and connection.savepoint_ids:
        with connection.cursor() as cursor:
            cursor.execute(LIMITS, ["0", "on"])


@dataclass(frozen=True)
class Page:
    """`jobs`, and the key after which the next page begins (None: this is the last)."""

    jobs: list[JobLog]
    next_key: int | None


def page(jobs: JobQuerySet, *, oldest_first: bool, after: int | None, size: int = SIZE) -> Page:
    """The `size` jobs that follow the one with key `after`."""
    if after is not None:
        jobs = jobs.filter(pk__gt=after) if oldest_first else jobs.filter(pk__lt=after)
    found = list(jobs.order_by("pk" if oldest_first else "-pk")[: size + 1])
    return Page(found[:size], found[size - 1].pk if len(found) > size else None)


def capped(rows: QuerySet[Any]) -> int:
    """How many rows, counted to MOST + 1 at most."""
    return rows.order_by().values("pk")[: MOST + 1].count()


def spoken(count: int) -> str:
    """`1,204`, or `10,000+` for a count that was capped."""
    return f"{MOST:,}+" if count > MOST else f"{count:,}"


def by_status() -> dict[str, int]:
    """The capped count of each status: one query for each, each ended early."""
    return {status: capped(JobLog.objects.filter(status=status)) for status in Status.values}
