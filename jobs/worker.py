"""What a worker does with its messages: claim their jobs, call the handlers, settle. One straight line."""

import os
import signal
import socket
import time
from collections import defaultdict
from typing import Any

import structlog
from django.conf import settings
from django.db import InterfaceError, OperationalError, connection, transaction
from django.utils import timezone
from django_q.exceptions import TimeoutException
from django_q.signals import post_execute_in_worker, pre_execute

from jobs import board, broker, registry
from jobs.errors import ErrorClass, Failure, describe
from jobs.models import LOST_LIMIT, JobLog, Reason, Status
from jobs.senders import Outcome, Senders
from jobs.settlement import settle

log = structlog.get_logger("jobs.worker")

cluster = f"{socket.gethostname()}:{os.getpid()}"  # the qcluster command names its own before it forks
senders = Senders(settings.JOB_BATCH_SIZE)
_receipts: list[broker.Receipt] = []  # of the messages this process works on, once it has told us

Attempt = tuple[int, int]  # key of a job, number of the attempt


def run(pk: int, attempt: int) -> None:
    """The function of every message: does attempt `attempt` of job `pk`, or nothing when that is not to be done."""
    run_many([(pk, attempt)])


def run_many(attempts: list[Attempt]) -> None:
    """The function of messages that the courier put together: `run` for each of `attempts`.

    Takes on as many at a time as the senders can do at once; what time does not allow goes back. Never raises but for
    a timeout, which must end this process (django-q2 starts another).
    """
    hand_back_at = time.monotonic() + settings.JOB_TIMEOUT_SECONDS / 3
    receipts = dict(zip((pk for pk, _ in attempts), _receipts, strict=False))
    try:
        while attempts:
            if board.current.draining or time.monotonic() > hand_back_at:
                _hand_back(attempts, receipts)
                return
            portion = senders.portion(len(attempts))
            now, attempts = attempts[:portion], attempts[portion:]
            _take_on(now, receipts)
    except TimeoutException:
        _hand_back(attempts, receipts)
        raise
    except (OperationalError, InterfaceError) as away:
        log.warning("database away, messages left for later", error=str(away))
        connection.close()


def _take_on(attempts: list[Attempt], receipts: dict[int, broker.Receipt]) -> None:
    until = time.monotonic() + settings.JOB_LEASE_SECONDS - 1
    jobs = JobLog.objects.claim_many(attempts, worker=f"{cluster}/{os.getpid()}")
    claimed = {job.pk for job in jobs}
    for pk, attempt in attempts:
        if pk not in claimed:
            _pass_on(pk, attempt, receipts)
    _work(jobs, receipts, until)


def _work(jobs: list[JobLog], receipts: dict[int, broker.Receipt], until: float) -> None:
    """Jobs that are claimed: calls their handlers and settles them. A timeout is raised again, once it is settled."""
    for job in jobs:
        _tell(job)
    left: dict[int, Outcome | None] = {job.pk: None for job in jobs}  # not settled yet

    def settled(group: list[Outcome]) -> None:
        left.update((outcome.job.pk, outcome) for outcome in group)
        rest = signal.alarm(0)  # the timeout must not interrupt the settling
        settle(group, [receipts.get(outcome.job.pk) for outcome in group], until)
        signal.alarm(rest)
        for outcome in group:
            del left[outcome.job.pk]

    try:
        if refused := _refused(jobs):
            settled(refused)
        for group in senders.call_all([job for job in jobs if job.pk in left]):
            settled(group)
    except TimeoutException:
        signal.alarm(0)
        settled([left[job.pk] or _out_of_time(job) for job in jobs if job.pk in left])
        raise


def _tell(job: JobLog) -> None:
    waited = None if job.waited is None else round(job.waited * 1000)
    log.info(
        "job processing",
        request_id=job.request_id,
        job_id=job.job_id,
        job_type=job.job_type,
        attempt=job.attempt_count,
        ms=waited,
    )


def _out_of_time(job: JobLog) -> Outcome:
    """A job that the timeout interrupted; one whose turn had not come loses no attempt."""
    seconds = settings.JOB_TIMEOUT_SECONDS
    if job.pk in senders.begun:
        failure = Failure(ErrorClass.TEMPORARY, "Timeout", None, f"its worker took longer than {seconds} s", "")
    else:
        waited = f"those before it took longer than {seconds} s"
        failure = Failure(ErrorClass.THROTTLED, "NoTurn", None, waited, "")
    return Outcome(job, failure, seconds)


def _refused(jobs: list[JobLog]) -> list[Outcome]:
    """The claimed jobs that are not to be tried at all, and why."""
    why = {job.pk: failure for job in jobs if (failure := _too_late(job))}
    of_type: dict[str, list[JobLog]] = defaultdict(list)
    for job in jobs:
        of_type[job.job_type].append(job)
    for name, batch in of_type.items():
        kind = registry.find(name)
        if kind and kind.screen:
            why = _screened(kind.screen, batch) | why
    return [Outcome(job, why[job.pk], 0.0) for job in jobs if job.pk in why]


def _screened(screen: registry.Screen, jobs: list[JobLog]) -> dict[int, Failure]:
    """What the type's screen refuses; when it fails itself, that is the failure of them all."""
    try:
        return screen(jobs)
    except (OperationalError, InterfaceError):
        raise
    except Exception as exc:
        return dict.fromkeys((job.pk for job in jobs), describe(exc))


def _too_late(job: JobLog) -> Failure | None:
    if job.lost_count >= LOST_LIMIT:
        return Failure(Reason.POISON, "WorkerLost", None, f"{job.lost_count} workers died while they ran this job", "")
    if job.expires_at < timezone.now():
        return Failure(Reason.EXPIRED, "Expired", None, f"not sent within {settings.JOB_EXPIRES_HOURS} hours", "")
    return None


def _pass_on(pk: int, attempt: int, receipts: dict[int, broker.Receipt]) -> None:
    """A message that claims nothing is dropped; if its job is leased, another comes at the lease's end."""
    with transaction.atomic():
        holder = JobLog.objects.filter(pk=pk, status=Status.PROCESSING, attempt_count=attempt).first()
        if holder and holder.lease_until:
            wait = (holder.lease_until - timezone.now()).total_seconds()
            broker.send(pk, attempt + 1, delay=max(0.1, wait + 0.1))
        broker.forget([receipts.get(pk)])


def _hand_back(attempts: list[Attempt], receipts: dict[int, broker.Receipt]) -> None:
    """What was only fetched is there for others at once."""
    with transaction.atomic():
        broker.send_many(attempts)
        broker.forget(receipts.get(pk) for pk, _ in attempts)


def _remember(task: dict[str, Any], **_: Any) -> None:
    """Takes the receipts of the messages out of django-q2's hands: they are dropped with the settlement, not later."""
    global _receipts
    receipts = task.pop("ack_id", None)
    _receipts = receipts if isinstance(receipts, list) else [receipts]
    board.current.started(jobs=len(_receipts))


def _through(**_: Any) -> None:
    board.current.done()


pre_execute.connect(_remember)
post_execute_in_worker.connect(_through)
