"""What a worker does with the jobs of one task: claim, call the handlers, settle. One straight line.

It takes on as many at a time as its senders can do, and more of them while those are on their way.
"""

import signal
import time
from collections import defaultdict
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass

import structlog
from django.conf import settings
from django.db import InterfaceError, OperationalError, connection, transaction
from django.utils import timezone

from jobs import board, broker, registry
from jobs.errors import ErrorClass, Failure, describe
from jobs.models import LOST_LIMIT, JobLog, Reason, Status
from jobs.senders import Outcome, Senders
from jobs.settlement import settle

log = structlog.get_logger("jobs.worker")

Attempt = tuple[int, int]  # key of a job, number of the attempt


@dataclass
class Claim:
    """A job that is not settled yet. until: time.monotonic() to which that is tried. ended: what became of it."""

    job: JobLog
    until: float
    ended: Outcome | None = None


class Batch:
    """The attempts of one task. receipts: of their messages, by the keys of their jobs. worker: who claims them."""

    def __init__(
        self, attempts: list[Attempt], receipts: dict[int, broker.Receipt], senders: Senders, worker: str
    ) -> None:
        self._attempts, self._receipts, self._senders, self._worker = attempts, receipts, senders, worker
        self._hand_back_at = time.monotonic() + settings.JOB_TIMEOUT_SECONDS / 3
        self._left: dict[int, Claim] = {}  # not settled yet
        self._database_away = False

    def work(self) -> None:
        """Does all that time allows; the rest goes back unclaimed. Raises the alarm of a worker that is out of time,
        once all is settled, and what the database raises when it is away."""
        try:
            while self._attempts and not self._over():
                jobs = self._take_on(self._senders.portion(len(self._attempts)))
                for group in self._senders.call_all(jobs, self._more):
                    self._settle(group)
        except SystemExit:  # django-q2's TimeoutException is one
            signal.alarm(0)
            self._settle([claim.ended or self._out_of_time(claim.job) for claim in self._left.values()])
            self._hand_back()
            raise
        self._hand_back()

    def _over(self) -> bool:
        return self._database_away or board.current.draining or time.monotonic() > self._hand_back_at

    def _more(self, room: int) -> list[JobLog]:
        """Takes on up to `room` more while others are on their way, whose mails must not be forgotten over it."""
        if not self._attempts or self._over():
            return []
        try:
            with _undisturbed():
                return self._take_on(room)
        except (OperationalError, InterfaceError) as away:
            log.warning("database away, no more is taken on", error=str(away))
            connection.close()
            self._database_away = True
            return []

    def _take_on(self, count: int) -> list[JobLog]:
        """Claims the next `count`; those of them that are to be tried."""
        attempts, self._attempts = self._attempts[:count], self._attempts[count:]
        until = time.monotonic() + settings.JOB_LEASE_SECONDS - 1
        jobs = JobLog.objects.claim_many(attempts, worker=self._worker)
        claimed = {job.pk: Claim(job, until) for job in jobs}
        self._left |= claimed
        for pk, attempt in attempts:
            if pk not in claimed:
                self._pass_on(pk, attempt)
        for job in jobs:
            _tell(job)
        self._settle(_refused(jobs))
        return [job for job in jobs if job.pk in self._left]

    def _settle(self, group: list[Outcome]) -> None:
        if not group:
            return
        for outcome in group:
            self._left[outcome.job.pk].ended = outcome
        until = min(self._left[outcome.job.pk].until for outcome in group)
        with _undisturbed():
            settle(group, [self._receipts.get(outcome.job.pk) for outcome in group], until)
        for outcome in group:
            del self._left[outcome.job.pk]

    def _out_of_time(self, job: JobLog) -> Outcome:
        """A job that the timeout interrupted; one whose turn had not come loses no attempt."""
        seconds = settings.JOB_TIMEOUT_SECONDS
        if job.pk in self._senders.begun:
            failure = Failure(ErrorClass.TEMPORARY, "Timeout", None, f"its worker took longer than {seconds} s", "")
        else:
            waited = f"those before it took longer than {seconds} s"
            failure = Failure(ErrorClass.THROTTLED, "NoTurn", None, waited, "")
        return Outcome(job, failure, seconds)

    def _pass_on(self, pk: int, attempt: int) -> None:
        """A message that claims nothing is dropped; if its job is leased, another comes at the lease's end."""
        with transaction.atomic():
            holder = JobLog.objects.filter(pk=pk, status=Status.PROCESSING, attempt_count=attempt).first()
            if holder and holder.lease_until:
                wait = (holder.lease_until - timezone.now()).total_seconds()
                broker.send(pk, attempt + 1, delay=max(0.1, wait + 0.1))
            broker.forget([self._receipts.get(pk)])

    def _hand_back(self) -> None:
        """What was only fetched is there for others at once, before all that came later."""
        if not self._attempts:
            return
        waited = JobLog.objects.filter(pk__in=[pk for pk, _ in self._attempts]).waited()
        with transaction.atomic():
            broker.send_many(self._attempts, delay=-waited)
            broker.forget(self._receipts.get(pk) for pk, _ in self._attempts)


@contextmanager
def _undisturbed() -> Iterator[None]:
    """The timeout's alarm does not come in the middle of this, but after it."""
    rest = signal.alarm(0)
    try:
        yield
    finally:
        signal.alarm(rest)


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
