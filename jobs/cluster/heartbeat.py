"""The heartbeat of a cluster, which also finds out, in the same statement, which maintenance tasks are due.

So an idle cluster sends the database five statements a minute, and nothing else in it polls.
"""

import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass

import structlog
from django.db.models import QuerySet

from jobs.core import sql
from jobs.maintenance.faults import Faults, step_name

log = structlog.get_logger("jobs.cluster.heartbeat")

SLOW_SECONDS = 2.0  # a heartbeat that takes longer met a silent database
Query = tuple["MaintenanceTask", QuerySet]


@dataclass(frozen=True)
class MaintenanceTask:
    """Work that a cluster does in addition to jobs."""

    due: Callable[[], Sequence[QuerySet]]
    """Returns querysets; the task is due when one of them finds a row."""
    wake: Callable[[], object]
    """Called when the task is due."""


class Heartbeat:
    """Called every `clusters.HEARTBEAT_SECONDS`.

    record: records the heartbeat and returns which of the given querysets find a row. faults: notes the tasks whose
    query fails.
    """

    def __init__(
        self, record: Callable[[Sequence[QuerySet]], list[bool]], *tasks: MaintenanceTask, faults: Faults | None = None
    ) -> None:
        self._record, self._tasks = record, tasks
        self._faults = Faults() if faults is None else faults
        self._answers_since: float | None = None  # time.monotonic(); None while the database is silent

    @property
    def answered_for(self) -> float:
        """Seconds for which the database has answered each heartbeat quickly; 0 while it does not."""
        since = self._answers_since
        return 0.0 if since is None else time.monotonic() - since

    def __call__(self) -> None:
        """Record a heartbeat and wake the tasks that are due.

        Wakes all of them when the database refuses the query.
        """
        began = time.monotonic()
        try:
            due = self._beat()
        except BaseException:
            self._answers_since = None
            raise
        if self._answers_since is None or time.monotonic() - began > SLOW_SECONDS:
            self._answers_since = time.monotonic()
        for task in self._tasks:
            if task in due:
                task.wake()

    def _beat(self) -> set[MaintenanceTask]:
        """Record a heartbeat; return the tasks that are due."""
        queries = [found for task in self._tasks for found in self._queries(task)]
        try:
            found = self._record([query for _, query in queries])
        except Exception as refused:  # a migration has locked or removed a table: the cluster is still alive
            log.warning("due maintenance cannot be queried", error=type(refused).__name__)
            self._record([])
            if not sql.is_away(refused):  # a lock would hold up each query
                self._find_failing(queries)
            return set(self._tasks)
        return {task for (task, _), is_due in zip(queries, found, strict=True) if is_due}

    def _queries(self, task: MaintenanceTask) -> list[Query]:
        """Return a task's queries; none of a task that raises, which stops no other."""
        queries: list[Query] = []
        with self._faults.caught(step_name(task.due)):
            queries += [(task, query) for query in task.due()]
        return queries

    def _find_failing(self, queries: Sequence[Query]) -> None:
        """Query one after another to note which one the database refuses."""
        for _, query in queries:
            with self._faults.caught(f"the query of {query.model._meta.label}"):
                query.exists()
