"""Requests of the API by key, minute and result, kept for seven days: what a developer's client sent, and the answers.

A request is counted in the memory of its process (`note`), so it costs a request nothing. A web process writes its
counts every two seconds (`write_noted`), each as one row for a key, a minute, an operation and a result.
"""

import threading
from collections import Counter as Tally
from collections.abc import Iterator
from datetime import datetime
from typing import Any, NamedTuple, cast

from django.db import Error, connection, models
from django.db.models import Sum
from django.utils import timezone
from django.utils.translation import gettext_lazy as _

from accounts.sites.keys import ApiKey
from jobs.core import sql
from jobs.stats.minutes import floor

DAYS_KEPT = 7
MOST_NOTED = 10_000  # kinds of requests in memory, while they cannot be written
MOST_SHOWN = 100  # rows of a page

COLUMNS = "key_id, minute, method, route, status, problem"
PLACES = "(%s, %s, %s, %s, %s, %s, %s)"
UPSERT = (
    f"INSERT INTO api_requests ({COLUMNS}, count) VALUES {{values}} "  # noqa: S608
    f"ON CONFLICT ({COLUMNS}) DO UPDATE SET count = api_requests.count + excluded.count"
)


class Kind(NamedTuple):
    """Requests that are counted together."""

    key: int
    minute: datetime
    method: str
    route: str
    """The pattern of the URL, which holds no id."""
    status: int
    problem: str
    """The name of the error, "" for a success."""


class ApiRequestQuerySet(models.QuerySet["ApiRequest"]):
    """Requests by key and result."""

    def newest(self, key: ApiKey) -> list["ApiRequest"]:
        """Return the newest rows of a key, MOST_SHOWN at most."""
        return list(self.filter(key=key).order_by("-minute", "-pk")[:MOST_SHOWN])

    def total(self) -> int:
        """Return how many requests these rows stand for."""
        return self.aggregate(total=Sum("count"))["total"] or 0


class ApiRequest(models.Model):
    """The requests of one key in one minute that had the same result."""

    key = models.ForeignKey(
        ApiKey, models.CASCADE, db_index=False, db_constraint=False, related_name="+", verbose_name=_("API key")
    )
    minute = models.DateTimeField(_("minute"))
    method = models.CharField(_("method"), max_length=8)
    route = models.CharField(_("path"), max_length=100)
    status = models.PositiveSmallIntegerField(_("status"))
    problem = models.CharField(_("problem"), max_length=40, blank=True)
    count = models.PositiveIntegerField(_("requests"), default=0)

    objects = ApiRequestQuerySet.as_manager()

    class Meta:
        db_table = "api_requests"
        default_permissions = ()
        constraints = [models.UniqueConstraint(fields=Kind._fields, name="one_row_a_kind_of_request")]
        indexes = [models.Index(fields=["minute"], name="api_request_minute")]

    def __str__(self) -> str:
        return f"{self.key_id} {self.minute:%H:%M} {self.status}"


_noted: Tally[Kind] = Tally()
_lock = threading.Lock()


def note(key: int, *, method: str, route: str, status: int, problem: str = "") -> None:
    """Count one request in this process's memory, for the next write."""
    kind = Kind(key, floor(timezone.now()), method[:8], route[:100], status, problem[:40])
    with _lock:
        if kind in _noted or len(_noted) < MOST_NOTED:
            _noted[kind] += 1


def drain() -> Tally[Kind]:
    """Return the counts that were noted since the last call."""
    with _lock:
        taken = Tally(_noted)
        _noted.clear()
    return taken


def write_noted() -> None:
    """Write what this process has noted, if anything. Put it back when the database refuses it."""
    if not (taken := drain()):
        return
    try:
        sql.execute(UPSERT.format(values=", ".join([PLACES] * len(taken))), list(_values(taken)))
    except Error:
        with _lock:
            _noted.update(taken)
        raise


def _values(taken: Tally[Kind]) -> Iterator[Any]:
    """Return the values of the rows, in one order, so that two processes cannot deadlock."""
    names = (*Kind._fields, "count")
    fields = [cast(models.Field, ApiRequest._meta.get_field(name)) for name in names]
    for kind in sorted(taken):
        for field, value in zip(fields, (*kind, taken[kind]), strict=True):
            yield field.get_db_prep_save(value, connection)
