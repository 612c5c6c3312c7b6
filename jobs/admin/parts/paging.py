"""Pages and counts that stay fast with millions of rows: by key, never by offset, and with a limited count."""

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

from django.db import OperationalError, connection, transaction
from django.db.models import QuerySet

from jobs.core import sql
from jobs.core.job import JobLog, JobQuerySet, Status

PAGE_SIZE = 50
COUNT_LIMIT = 10_000  # no operator reads on, and a higher count costs more than it is worth
PAGE_TIMEOUT_MS = 1_500  # for each query of a page: less than a request may wait in all
COUNT_TIMEOUT_MS = 150  # for each count of a filtered list, which is shown without counts rather than late


class TooBroad(Exception):
    """A query reached PAGE_TIMEOUT_MS: the view needs a narrower filter."""


@contextmanager
def time_limit(milliseconds: int = PAGE_TIMEOUT_MS, *, one_index: bool = False) -> Iterator[None]:
    """Stop queries inside after this time and raise TooBroad (PostgreSQL): no page occupies the database.

    one_index: keep PostgreSQL from combining two partial indexes (see `sql.limit_queries`).
    """
    try:
        with transaction.atomic():
            sql.limit_queries(milliseconds, bitmap_scans=not one_index)
            yield
            if connection.savepoint_ids:  # in an outer transaction the limit would outlive the block
                sql.limit_queries(0)
    except OperationalError as error:
        if getattr(error.__cause__, "sqlstate", "") != "57014":
            raise
        raise TooBroad from error


@dataclass(frozen=True)
class Page:
    """One page of jobs."""

    jobs: list[JobLog]
    next_key: int | None  # the key after which the next page begins; None on the last page


def load_page(jobs: JobQuerySet, *, oldest_first: bool, after: int | None, size: int = PAGE_SIZE) -> Page:
    """Return the `size` jobs that follow the one with key `after`."""
    if after is not None:
        jobs = jobs.filter(pk__gt=after) if oldest_first else jobs.filter(pk__lt=after)
    found = list(jobs.order_by("pk" if oldest_first else "-pk")[: size + 1])
    return Page(found[:size], found[size - 1].pk if len(found) > size else None)


def count_capped(rows: QuerySet[Any]) -> int:
    """Count the rows, to COUNT_LIMIT + 1 at most."""
    return rows.order_by().values("pk")[: COUNT_LIMIT + 1].count()


def count_each_capped(rows: Sequence[QuerySet[Any]], *order: str) -> list[int]:
    """Count the rows of each queryset, to COUNT_LIMIT + 1 at most, with one statement.

    order: the columns of an index to count by, which keeps PostgreSQL from reading the table from its start.
    """
    capped = [each.order_by(*order).values("pk")[: COUNT_LIMIT + 1] for each in rows]
    return sql.fetch_each(capped, within="SELECT count(*) FROM ({}) AS counted")


def format_count(count: int) -> str:
    """Format as `1,204`, or `10,000+` for a count that reached the limit."""
    return f"{COUNT_LIMIT:,}+" if count > COUNT_LIMIT else f"{count:,}"


def count_by_status(jobs: JobQuerySet | None = None) -> dict[str, int]:
    """Return the limited count of each status, with one query for each.

    jobs: those to count, else all. Returns nothing when one of their counts would take too long.
    """
    milliseconds = PAGE_TIMEOUT_MS if jobs is None else COUNT_TIMEOUT_MS
    counted = JobLog.objects.all() if jobs is None else jobs
    try:
        with time_limit(milliseconds):
            return {status: count_capped(counted.filter(status=status)) for status in Status.values}
    except TooBroad:
        if jobs is None:
            raise
        return {}
