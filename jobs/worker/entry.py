"""The functions that messages name; django-q2's workers call them."""

import time
from collections.abc import Sequence

import structlog
from django.db import Error, connection

from jobs.brokers.django_q import Receipt, timeout_postponed
from jobs.conf import conf
from jobs.core import sql
from jobs.core.job import JobLog
from jobs.core.scoreboard import process_context
from jobs.worker.batch import Attempt, Batch
from jobs.worker.executor import Executor

log = structlog.get_logger("jobs.worker.entry")

RETRY_SECONDS = 0.5  # between two tries while the database is away


def run(pk: int, attempt: int, receipts: Sequence[Receipt] = ()) -> None:
    """Run attempt number `attempt` of job `pk`.

    Does nothing if that attempt must not be made.
    """
    run_many([(pk, attempt)], receipts)


def run_many(attempts: list[Attempt], receipts: Sequence[Receipt] = ()) -> None:
    """Run a batch of (job, attempt) pairs.

    receipts: of the messages of `attempts`, in the same order; dropped when their jobs are settled. Raises only for a
    timeout, which must end this process (django-q2 starts another).
    """
    context = process_context()
    context.executor = context.executor or Executor(conf.JOB_BATCH_SIZE)
    by_job = dict(zip((pk for pk, _ in attempts), receipts, strict=False))
    claimed, context.claimed = context.claimed, None
    batch = Batch(attempts, by_job, context.executor, context.worker, claimed)
    try:
        batch.work()
    except Error as away:
        if not sql.is_away(away):
            raise
        batch.database_was_away = True
        log.warning("database away, messages left for later", error=str(away))
        connection.close()
    if batch.database_was_away:
        release()


def release(**_: object) -> None:
    """End the leases of jobs that this worker claimed without hearing of it: the answer was lost with the connection.

    Waits for the database until those leases have ended, or the cluster is to stop.
    """
    until = time.monotonic() + conf.JOB_LEASE_SECONDS
    with timeout_postponed():
        while time.monotonic() < until and not process_context().scoreboard.draining:
            try:
                if released := JobLog.objects.leased_by(process_context().worker).expire_leases():
                    log.warning("claims whose answer was lost are released", jobs=released)
                return
            except Error as away:
                if not sql.is_away(away):
                    raise
                connection.close()
                time.sleep(RETRY_SECONDS)
