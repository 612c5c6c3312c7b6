"""Writing down what became of jobs: outcome, counts and the end of the message, in one transaction."""

import random
import time
from collections.abc import Iterable

import structlog
from django.conf import settings
from django.db import InterfaceError, OperationalError, connection, transaction

from jobs import broker, counters, measures, pauses, retries
from jobs.errors import ErrorClass, Failure
from jobs.models import JobLog, Reason, Status
from jobs.senders import Outcome

log = structlog.get_logger("jobs.worker")

FINAL = (Reason.POISON, Reason.EXPIRED, Reason.SUPPRESSED)  # decided before the attempt: there is nothing to retry


def settle(outcomes: list[Outcome], messages: Iterable[broker.Receipt], until: float) -> None:
    """Settles the jobs of `outcomes` and drops their messages.

    The mails may be out already, so a database that is away is waited for until `until` (time.monotonic()); then its
    error is raised. A job whose lease was lost meanwhile is left as it is.
    """
    noted = counters.drain()
    while True:
        try:
            with transaction.atomic():
                won = _write(outcomes)
                measured = (_measured(outcome, outcome.job.pk in won) for outcome in outcomes)
                counters.add(noted, *measured)
                broker.forget(messages)
            break
        except (OperationalError, InterfaceError) as away:
            if time.monotonic() > until:
                raise
            log.warning("database away, settling again", jobs=len(outcomes), error=str(away))
            connection.close()
            time.sleep(0.5)
    for outcome in outcomes:
        _tell(outcome, outcome.job.pk in won)


def _write(outcomes: list[Outcome]) -> set[int]:
    """The keys of those that were ours to settle."""
    won = JobLog.objects.complete_many([outcome.job for outcome in outcomes if outcome.failure is None])
    return won | {outcome.job.pk for outcome in outcomes if outcome.failure and _fail(outcome.job, outcome.failure)}


def _fail(job: JobLog, failure: Failure) -> bool:
    if failure.error_class in FINAL:
        return job.bury(failure, failure.error_class)
    match retries.decide(
        failure.error_class,
        left=job.attempts_left,
        max_attempts=settings.JOB_MAX_ATTEMPTS,
        backoff=settings.JOB_BACKOFF_SECONDS,
        jitter=random.random(),  # noqa: S311  (spreads load, guards nothing)
        retry_after=failure.retry_after,
    ):
        case retries.Bury(reason):
            return job.bury(failure, reason)
        case retries.Retry(wait, give_back):
            if not job.retry(failure, wait, give_back):
                return False
            if failure.error_class == ErrorClass.CONFIGURATION:
                pauses.open_breaker(job.job_type, failure)
            broker.send(job.pk, job.attempt_count + 1, delay=wait)
            return True


def _measured(outcome: Outcome, won: bool) -> counters.Sums:
    return measures.settled(outcome.job, outcome.failure, outcome.seconds) if won else measures.stale(outcome.job)


def _tell(outcome: Outcome, won: bool) -> None:
    job, failure = outcome.job, outcome.failure
    whose = {"request_id": job.request_id, "job_id": job.job_id, "attempt": job.attempt_count}
    if not won:
        log.warning("stale settlement refused", **whose)
        return
    tell = log.info if job.status == Status.COMPLETED else log.warning
    why = {"error": failure.fingerprint, "error_class": failure.error_class} if failure else {}
    tell(
        f"job {job.status}",
        **whose,
        job_type=job.job_type,
        outcome=job.status,
        ms=round(outcome.seconds * 1000),
        **why,
    )
