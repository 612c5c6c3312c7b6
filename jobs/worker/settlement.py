"""Settlement: the outcome of jobs, their counts and the end of their messages, in one transaction."""

import random
import time
from collections import defaultdict
from collections.abc import Iterable
from dataclasses import dataclass

import structlog
from django.db import Error, connection, transaction

from jobs.brokers import django_q, messages
from jobs.brokers.django_q import Receipt, make_broker
from jobs.core import counters, job_types, pauses, retry_policy, sql
from jobs.core.errors import Failure
from jobs.core.job import JobLog, Status
from jobs.core.sql import short, together
from jobs.stats import job_counts
from jobs.worker.thread_pool import Outcome

log = structlog.get_logger("jobs.worker.entry")


@dataclass
class Following:
    """The attempts that a worker makes next: their claim goes with the settlement before it, where that is possible."""

    attempts: list[tuple[int, int]]
    """(key of the job, number of the attempt) pairs."""
    worker: str
    claimed: list[JobLog] | None = None
    """The jobs that could be claimed; None when it was not tried, or the answer was lost."""
    was_tried: bool = False


def settle(
    outcomes: list[Outcome], receipts: Iterable[Receipt], until: float, following: Following | None = None
) -> None:
    """Settle the jobs of `outcomes` and drop their messages; claim the following ones, if they go with it.

    Their emails may have been sent already, so a database that is away is waited for until `until` (time.monotonic());
    then its error is raised. A job whose lease was lost meanwhile stays as it is.
    """
    drained = counters.drain()
    try:
        won = _write_until(outcomes, list(receipts), drained, until, following)
    except BaseException:
        counters.restore(drained)
        raise
    for outcome in outcomes:
        _log_outcome(outcome, outcome.job.pk in won)


def drop_messages(receipts: Iterable[Receipt]) -> None:
    """Delete messages that have been dealt with from the broker, by the receipts that came with them.

    Those in our database go with the present transaction, those of another broker after it.
    """
    if given := [receipt for receipt in receipts if receipt is not None]:
        make_broker().acknowledge(given)


def _write_until(
    outcomes: list[Outcome],
    receipts: list[Receipt],
    drained: counters.Sums,
    until: float,
    following: Following | None,
) -> set[int]:
    """Write the outcomes; return the keys of the jobs that were still ours. Try again until `until`."""
    while True:
        try:
            if _need_one_statement(outcomes):
                return _complete_with_one_statement(outcomes, receipts, drained, following)
            with transaction.atomic():
                won = _write(outcomes)
                _report([outcome for outcome in outcomes if outcome.job.pk in won])
                settled = (_counts(outcome, outcome.job.pk in won) for outcome in outcomes)
                counters.add(drained, *settled)
                drop_messages(receipts)
            return won
        except Error as away:
            if not sql.is_away(away) or time.monotonic() > until:
                raise
            log.warning("database away, settling again", jobs=len(outcomes), error=str(away))
            following = None  # a claim that fails holds up no settlement: the work is done
            connection.close()
            time.sleep(0.5)


def _need_one_statement(outcomes: list[Outcome]) -> bool:
    """Return whether these are completed jobs whose settlement needs no more than one statement."""
    if not (together.is_possible() and messages.in_our_database()):
        return False
    kinds = {outcome.job.job_type: job_types.get_or_none(outcome.job.job_type) for outcome in outcomes}
    alone = all(kind and kind.execution.settles_alone for kind in kinds.values())
    same = len({outcome.job.attempt_count for outcome in outcomes}) == 1
    return alone and same and not any(each.failure or each.job.returned is not None for each in outcomes)


def _complete_with_one_statement(
    outcomes: list[Outcome], receipts: list[Receipt], drained: counters.Sums, following: Following | None
) -> set[int]:
    """Settle completed jobs in one round trip, which is its transaction, and claim the following ones in it."""
    jobs = [outcome.job for outcome in outcomes]
    counted = [job_counts.count_settlement(each.job, None, each.seconds, Status.COMPLETED) for each in outcomes]
    dropped = django_q.MESSAGES.deleting([receipt for receipt in receipts if receipt is not None])
    others = (*counters.adding(len(jobs), drained, *counted), dropped)
    if following and short.is_possible() and all(attempt == 1 for _, attempt in following.attempts):
        pks, following.was_tried = [pk for pk, _ in following.attempts], True
        won, following.claimed = JobLog.objects.complete_and_claim(jobs, others, pks, following.worker)
    else:
        won = JobLog.objects.complete_many(jobs, others)
    _restore_counts(jobs, counted, drained, won)
    _report([outcome for outcome in outcomes if outcome.job.pk in won])
    return won


def _restore_counts(jobs: list[JobLog], counted: list[counters.Sums], drained: counters.Sums, won: set[int]) -> None:
    """Keep the counts for the next settlement, if a lease was lost: then the statement wrote none."""
    if len(won) == len(jobs):
        return
    counters.restore(drained)
    for job, sums in zip(jobs, counted, strict=True):
        counters.restore(sums if job.pk in won else job_counts.count_stale(job))


def _write(outcomes: list[Outcome]) -> set[int]:
    """Write the outcomes.

    Returns the primary keys of the jobs whose lease this worker still had.
    """
    won = JobLog.objects.complete_many([outcome.job for outcome in outcomes if outcome.failure is None])
    return won | {outcome.job.pk for outcome in outcomes if outcome.failure and _fail(outcome.job, outcome.failure)}


def _report(settled: list[Outcome]) -> None:
    """Call what other modules registered for the settlement of these jobs (`job_types.on_settled`)."""
    by_type: dict[str, list[tuple[JobLog, Failure | None]]] = defaultdict(list)
    for outcome in settled:
        by_type[outcome.job.job_type].append((outcome.job, outcome.failure))
    for name, pairs in by_type.items():
        for receiver in job_types.settled_receivers(name):
            try:
                receiver(pairs)
            except Exception as error:
                if sql.is_away(error):
                    raise
                log.exception("settlement not reported", job_type=name, jobs=len(pairs))


def _fail(job: JobLog, failure: Failure) -> bool:
    """Write a failed attempt; return False when the lease was lost meanwhile."""
    match retry_policy.decide(
        failure.error_class,
        left=job.attempts_left,
        waits=job.policy.waits,
        jitter=random.random(),  # noqa: S311  (spreads load, guards nothing)
        retry_after=failure.retry_after,
        slow=failure.slow,
        age=job.age,
    ):
        case retry_policy.Discard():
            return job.drop(failure)
        case retry_policy.Bury(reason):
            return job.bury(retry_policy.count_outage_as_unreachable(failure), reason)
        case retry_policy.Retry(wait, give_back):
            if not job.retry(failure, wait, give_back):
                return False
            if retry_policy.concerns_all(failure):
                pauses.open_breaker(job.job_type, failure)
            messages.send(messages.to(job, job.attempt_count + 1), delay=wait)
            return True


def _counts(outcome: Outcome, won: bool) -> counters.Sums:
    return (
        job_counts.count_settlement(outcome.job, outcome.failure, outcome.seconds)
        if won
        else job_counts.count_stale(outcome.job)
    )


def _log_outcome(outcome: Outcome, won: bool) -> None:
    job, failure = outcome.job, outcome.failure
    attempt = {"request_id": job.request_id, "job_id": job.job_id, "attempt": job.attempt_count}
    if not won:
        log.warning("stale settlement refused", **attempt)
        return
    write = log.info if job.status in (Status.COMPLETED, Status.DISCARDED) else log.warning
    error = {"error": failure.fingerprint, "error_class": failure.error_class} if failure else {}
    write(
        f"job {job.status}",
        **attempt,
        job_type=job.job_type,
        outcome=job.status,
        ms=round(outcome.seconds * 1000),
        **error,
    )
