"""A task leaves nothing behind: no open transaction, language or time zone that the next job would meet."""

from collections.abc import Iterator
from contextlib import contextmanager

import structlog
from django.conf import settings
from django.db import connections
from django.utils import timezone, translation

from jobs.core import sql
from jobs.core.errors import Permanent

log = structlog.get_logger("jobs.tasks")


@contextmanager
def contained() -> Iterator[None]:
    """Run the block in the site's language and time zone; roll back a transaction that it leaves open.

    Raises Permanent when the block ends without an error and leaves a transaction open: what it wrote there is lost.
    """
    with translation.override(settings.LANGUAGE_CODE), timezone.override(None), no_open_transaction() as left:
        yield
    if left:
        raise Permanent(
            f"the task returned inside an open transaction of the database {', '.join(left)}: what it wrote there was "
            "rolled back. Leave every atomic() block, and commit before set_autocommit(False) ends."
        )


@contextmanager
def no_open_transaction() -> Iterator[list[str]]:
    """Roll back the transactions that the block opens and leaves open; yield the list of their databases.

    The list is filled when the block ends. A transaction that was open before is the caller's, and stays.
    """
    before = {alias for alias in connections if sql.in_transaction(connections[alias])}
    left: list[str] = []
    try:
        yield left
    finally:
        for alias in connections:
            if alias not in before and sql.in_transaction(connections[alias]):
                left.append(alias)
                sql.abandon(connections[alias])
        if left:
            log.warning("a transaction was left open, rolled back", databases=left)
