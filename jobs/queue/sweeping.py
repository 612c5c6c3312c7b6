"""Work on many rows of which one may fail: it holds up no other."""

from collections.abc import Callable, Iterable
from typing import TypeVar

import structlog
from django.db import transaction

from jobs.core import sql

log = structlog.get_logger("jobs.queue.sweeping")

Row = TypeVar("Row")
LOGGED = 3  # failures of one call, each with its traceback


def work_on_each(rows: Iterable[Row], work: Callable[[Row], object]) -> int:
    """Call `work` for each row, in a transaction of its own; return how many calls failed.

    A failure is logged, and its row is left for the next time. Raises only when the database is away, since then every
    call would fail.
    """
    failed = 0
    for row in rows:
        try:
            with transaction.atomic():
                work(row)
        except Exception as error:
            if sql.is_away(error):
                raise
            failed += 1
            if failed <= LOGGED:
                log.exception("a row could not be processed, it is left for later", row=str(row))
    return failed
