"""What a worker does with a message: claim the job, call its handler, settle. One straight line."""

import os
import random
import signal
import socket
import time
from typing import Any

import structlog
from django.conf import settings
from django.db import InterfaceError, OperationalError, connection, transaction
from django.utils import timezone
from django_q.exceptions import TimeoutException
from django_q.signals import post_execute_in_worker, pre_execute
from structlog.contextvars import bound_contextvars

from jobs import board, broker, counters, measures, pauses, registry, retries
from jobs.errors import ErrorClass, Failure, Temporary, describe
from jobs.models import LOST_LIMIT, JobLog, Reason, Status

log = structlog.get_logger("jobs.worker")

cluster = f"{socket.gethostname()}:{os.getpid()}"  # the qcluster command names its own before it forks
_message: int | None = None  # the message this process works on, once it has told us


def run(pk: int, attempt: int) -> None:
    """The function of every message: does attempt `attempt` of job `pk`, or nothing when that is not to be done.

    Never raises but for a timeout, which must end this process (django-q2 starts another).
    """
    message = _message
    started = time.monotonic()
    try:
        if board.current.draining:
            _hand_back(pk, attempt, message)
            return
        job = JobLog.objects.claim(pk, attempt, worker=f"{cluster}/{os.getpid()}")
        if job is None:
            _pass_on(pk, attempt, message)
            return
    except (OperationalError, InterfaceError) as away:
        log.warning("database away, message left for later", error=str(away))
        connection.close()
        return
    with bound_contextvars(request_id=job.request_id):
        _work(job, message, started)


def _work(job: JobLog, message: int | None, started: float) -> None:
    """A job that is claimed: calls its handler and settles it. A timeout is raised again, once it is settled."""
    attempt = job.attempt_count
    waited = None if job.waited is None else round(job.waited * 1000)
    log.info("job processing", job_id=job.job_id, job_type=job.job_type, attempt=attempt, ms=waited)
    failure = _too_late(job) or _screened(job) or _call(job)
    signal.alarm(0)  # the work is over: its timeout must not interrupt the settling
    if _settle(job, failure, message, started):
        _tell(job, failure, attempt, started)
    else:
        log.warning("stale settlement refused", job_id=job.job_id, attempt=attempt)
    if isinstance(failure, TimedOut):
        raise TimeoutException(failure.error)


def _tell(job: JobLog, failure: Failure | None, attempt: int, started: float) -> None:
    outcome = log.info if job.status == Status.COMPLETED else log.warning
    why = {"error": failure.fingerprint, "error_class": failure.error_class} if failure else {}
    ms = round((time.monotonic() - started) * 1000)
    outcome(
        f"job {job.status}", job_id=job.job_id, job_type=job.job_type, attempt=attempt, outcome=job.status, ms=ms, **why
    )


class TimedOut(Failure):
    """The handler ran out of time; its process may hold half-open connections and ends."""


def _too_late(job: JobLog) -> Failure | None:
    """Why a claimed job is not to be tried at all, if it is not."""
    if job.lost_count >= LOST_LIMIT:
        return Failure(Reason.POISON, "WorkerLost", None, f"{job.lost_count} workers died while they ran this job", "")
    if job.expires_at < timezone.now():
        return Failure(Reason.EXPIRED, "Expired", None, f"not sent within {settings.JOB_EXPIRES_HOURS} hours", "")
    return None


def _screened(job: JobLog) -> Failure | None:
    """Why the job's type does not want it tried, if it does not."""
    kind = registry.find(job.job_type)
    return kind.screen([job]).get(job.pk) if kind and kind.screen else None


def _call(job: JobLog) -> Failure | None:
    """Runs the job's handler; the failure, if it failed."""
    try:
        registry.get(job.job_type).handler(job)
    except TimeoutException:
        told = describe(Temporary(f"took longer than {settings.JOB_TIMEOUT_SECONDS} s"))
        return TimedOut(**{**told.__dict__, "fingerprint": "Timeout"})
    except Exception as exc:  # whatever a handler raises is the job's failure, never the worker's
        return describe(exc)
    return None


def _settle(job: JobLog, failure: Failure | None, message: int | None, started: float) -> bool:
    """Writes the outcome with its counts and drops the message, in one transaction; False when the lease was lost.

    The mail may be out already, so a database that is away is waited for, as long as the lease lasts.
    """
    noted, seconds = counters.drain(), time.monotonic() - started
    while True:
        try:
            with transaction.atomic():
                won = _write(job, failure)
                counters.add(noted, measures.settled(job, failure, seconds) if won else measures.stale(job))
                _drop(message)
            return won
        except (OperationalError, InterfaceError) as away:
            if time.monotonic() > started + settings.JOB_LEASE_SECONDS - 1:
                raise
            log.warning("database away, settling again", job_id=job.job_id, error=str(away))
            connection.close()
            time.sleep(0.5)


def _write(job: JobLog, failure: Failure | None) -> bool:
    if failure is None:
        return job.complete()
    if failure.error_class in (Reason.POISON, Reason.EXPIRED, Reason.SUPPRESSED):
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


def _pass_on(pk: int, attempt: int, message: int | None) -> None:
    """A message that claims nothing is dropped; if its job is leased, another comes at the lease's end."""
    with transaction.atomic():
        holder = JobLog.objects.filter(pk=pk, status=Status.PROCESSING, attempt_count=attempt).first()
        if holder and holder.lease_until:
            wait = (holder.lease_until - timezone.now()).total_seconds()
            broker.send(pk, attempt + 1, delay=max(0.1, wait + 0.1))
        _drop(message)


def _hand_back(pk: int, attempt: int, message: int | None) -> None:
    """The cluster is stopping: what was only fetched is there for others at once."""
    with transaction.atomic():
        broker.send(pk, attempt)
        _drop(message)


def _drop(message: int | None) -> None:
    if message is not None:
        broker.forget(message)


def _remember(task: dict[str, Any], **_: Any) -> None:
    """Takes the receipt of the message out of django-q2's hands: it is dropped with the settlement, not later."""
    global _message
    _message = task.pop("ack_id", None)
    board.current.started()


def _through(**_: Any) -> None:
    board.current.done()


pre_execute.connect(_remember)
post_execute_in_worker.connect(_through)
