"""The heartbeat of a cluster, and with it, in one statement, the question whether there is anything to do beside jobs.

So an idle cluster asks the database five times a minute, and nothing else in it polls.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import structlog
from django.db import DatabaseError, connection
from django.db.models import QuerySet

log = structlog.get_logger("jobs.pulse")

PATIENCE_MS = 5_000  # for the answer: less than what is left of a cluster's SILENT_SECONDS after two beats


@dataclass(frozen=True)
class Chore:
    """due: querysets, of which one finds something when there is something to do. wake: called then."""

    due: Callable[[], Sequence[QuerySet]]
    wake: Callable[[], object]


class Pulse:
    """Called every `clusters.BEAT_SECONDS`. beat: says that the cluster lives; which of its querysets find a row."""

    def __init__(self, beat: Callable[[Sequence[QuerySet]], list[bool]], *chores: Chore) -> None:
        self._beat, self._chores = beat, chores
        self._on: Any = None  # the database connection that was told our patience

    def __call__(self) -> None:
        """Beats, and wakes the chores that are due. Where that cannot be told, beats, and wakes all of them."""
        questions = [(chore, query) for chore in self._chores for query in chore.due()]
        try:
            self._be_patient()
            told = self._beat([query for _, query in questions])
        except DatabaseError as refused:  # a table is locked by a migration, or gone: the cluster lives all the same
            log.warning("what is due cannot be asked", error=type(refused).__name__)
            self._beat([])
            told = [True] * len(questions)
        for chore in {chore for (chore, _), there in zip(questions, told, strict=True) if there}:
            chore.wake()

    def _be_patient(self) -> None:
        if connection.vendor != "postgresql":
            return
        connection.ensure_connection()
        if self._on is not connection.connection:
            with connection.cursor() as cursor:
                cursor.execute("SET statement_timeout TO %s", [PATIENCE_MS])
            self._on = connection.connection
