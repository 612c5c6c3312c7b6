"""The newest requests of each key, one row each: the time, the call, the status and the problem.

`accounts.sites.api_requests` counts every request. These rows say which ones they were, and there are few of them: a
key keeps MOST_KEPT that succeeded and as many that did not, for seven days, so that a busy client hides no error.

A request is noted in the memory of its process (`note`), so it costs a request nothing. A web process writes what it
noted every two seconds (`write_noted`), the newest MOST_NOTED of a key and outcome.
"""

import threading
from collections import Counter as Tally
from collections import deque
from datetime import datetime

from django.db import Error, models
from django.utils import timezone
from django.utils.translation import gettext_lazy as _

from accounts.sites.keys import ApiKey

MOST_KEPT = 1_000
MOST_NOTED = 50  # between two writes, of a key and an outcome
MOST_GROUPS = 1_000  # keys and outcomes in memory, while nothing can be written
TRIM_EVERY = 200  # rows of a key and outcome that a process writes before it deletes the oldest
MOST_SHOWN = 100  # rows of a page
FAILED_FROM = 400  # statuses

Group = tuple[int, bool]
"""A key, and whether its requests failed."""


class ApiCallQuerySet(models.QuerySet["ApiCall"]):
    """Requests of a key."""

    def newest(self, key: ApiKey, *, failed: bool | None = None, before: int | None = None) -> list["ApiCall"]:
        """Return a page of a key's requests and the first of the next page; failed: None for all of them."""
        rows = self.filter(key=key) if failed is None else self.filter(key=key, failed=failed)
        if before is not None:
            rows = rows.filter(pk__lt=before)
        return list(rows.order_by("-pk")[: MOST_SHOWN + 1])

    def trim(self, key: int, failed: bool) -> None:
        """Delete the rows of a key and an outcome but for the newest MOST_KEPT."""
        rows = self.filter(key_id=key, failed=failed)
        oldest = rows.order_by("-pk").values_list("pk", flat=True)[MOST_KEPT - 1 : MOST_KEPT].first()
        if oldest is not None:
            rows.filter(pk__lt=oldest).delete()


class ApiCall(models.Model):
    """One request of a key."""

    key = models.ForeignKey(
        ApiKey, models.CASCADE, db_index=False, db_constraint=False, related_name="+", verbose_name=_("API key")
    )
    at = models.DateTimeField(_("time"))
    method = models.CharField(_("method"), max_length=8)
    route = models.CharField(_("path"), max_length=100)
    """The pattern of the URL, which holds no id."""
    status = models.PositiveSmallIntegerField(_("status"))
    failed = models.BooleanField()
    problem = models.CharField(_("problem"), max_length=40, blank=True)
    """The name of the error, "" for a success."""
    request_id = models.CharField(_("request"), max_length=32, blank=True)
    """The id that the response, the log lines and the jobs of the request have."""

    objects = ApiCallQuerySet.as_manager()

    class Meta:
        db_table = "api_calls"
        default_permissions = ()
        indexes = [
            models.Index(fields=["key", "failed", "-id"], name="api_call_key"),
            models.Index(fields=["at"], name="api_call_at"),
        ]

    def __str__(self) -> str:
        return f"{self.key_id} {self.at:%H:%M:%S} {self.status}"


_noted: dict[Group, deque[ApiCall]] = {}
_written: Tally[Group] = Tally()
_lock = threading.Lock()


def note(
    key: int,
    *,
    method: str,
    route: str,
    status: int,
    problem: str = "",
    request_id: str = "",
    at: datetime | None = None,
) -> None:
    """Note one request in this process's memory, for the next write."""
    failed = status >= FAILED_FROM
    call = ApiCall(key_id=key, at=at or timezone.now(), method=method[:8], route=route[:100], status=status)
    call.failed, call.problem, call.request_id = failed, problem[:40], request_id[:32]
    with _lock:
        _keep(call)


def drain() -> list[ApiCall]:
    """Return what was noted since the last call, the oldest of each key and outcome first."""
    with _lock:
        taken = [call for calls in _noted.values() for call in calls]
        _noted.clear()
    return sorted(taken, key=lambda call: call.at)


def write_noted() -> None:
    """Write what this process has noted, if anything. Keep it when the database refuses it."""
    if not (taken := drain()):
        return
    for call in taken:
        call.pk = None  # that an earlier write gave it before its commit failed
    try:
        ApiCall.objects.bulk_create(taken)
    except Error:
        with _lock:
            for call in taken:
                _keep(call)
        raise
    _written.update((call.key_id, call.failed) for call in taken)
    for group in [group for group, count in _written.items() if count >= TRIM_EVERY]:
        ApiCall.objects.trim(*group)
        del _written[group]


def _keep(call: ApiCall) -> None:
    group = (call.key_id, call.failed)
    if group in _noted or len(_noted) < MOST_GROUPS:
        _noted.setdefault(group, deque(maxlen=MOST_NOTED)).append(call)
