"""Maintenance that fails: one step's error stops no other step, and operators see which one it is."""

from collections.abc import Callable, Iterator
from contextlib import contextmanager

import structlog
from django.db import connection

from jobs.core import sql

log = structlog.get_logger("jobs.maintenance.faults")

SHOWN = 255  # characters that the row of a cluster has for the names


def step_name(step: Callable[..., object]) -> str:
    """Return the name by which operators see a step, for example "accounts.sign_in.outbox.enqueue_pending"."""
    return f"{step.__module__}.{getattr(step, '__qualname__', type(step).__name__)}"


class Faults:
    """The steps that failed when they last ran, by name. Used by several threads: a set's methods are atomic."""

    def __init__(self) -> None:
        self._failing: set[str] = set()

    @contextmanager
    def caught(self, name: str) -> Iterator[None]:
        """Log what the block raises, and count the step as failing until it succeeds.

        A database that is away is not a fault of the step; the connection to it is dropped.
        """
        try:
            yield
        except Exception as error:
            if sql.is_away(error):
                log.warning("database away, maintenance waits", step=name, error=type(error).__name__)
                connection.close()
                return
            log.exception("a maintenance step failed", step=name, error=type(error).__name__)
            self._failing.add(name)
        else:
            self._failing.discard(name)

    def __bool__(self) -> bool:
        return bool(self._failing)

    def __str__(self) -> str:
        return ", ".join(sorted(self._failing))[:SHOWN]
