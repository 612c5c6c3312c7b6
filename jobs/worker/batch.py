"""A batch of jobs: claim, precheck, execute, settle.

A batch claims as many jobs at a time as its executor can run, and more of them while those are running.
"""

import time
from itertools import takewhile

import structlog
from django.db import Error, connection, transaction
from django.db.models import Q

from jobs.brokers import messages
from jobs.brokers.django_q import Receipt, time_limit, timeout_postponed
from jobs.conf import conf
from jobs.core import job_types, retry_policy, sql
from jobs.core.errors import ErrorClass, Failure
from jobs.core.job import JobLog
from jobs.core.scoreboard import process_context
from jobs.worker.claims import Claim, report
from jobs.worker.executor import Executor
from jobs.worker.pace import FLUSH_SECONDS, SLOW_SETTLEMENT
from jobs.worker.precheck import exchange, refuse
from jobs.worker.settlement import Following, drop_messages, settle
from jobs.worker.thread_pool import Outcome

log = structlog.get_logger("jobs.worker.entry")

AHEAD_SECONDS = 1.0  # added to the age of a released message: sending it takes time, in which it must lose no place
Attempt = tuple[int, int]  # primary key of a job, number of the attempt


class Batch:
    """The attempts of one task.

    receipts: of their messages, by the primary keys of their jobs. worker: the name that claims the jobs. claimed: the
    job of the only attempt, if it is claimed already, and time.monotonic() before that.
    """

    def __init__(
        self,
        attempts: list[Attempt],
        receipts: dict[int, Receipt],
        executor: Executor,
        worker: str,
        claimed: tuple[JobLog, float] | None = None,
    ) -> None:
        self._unclaimed, self._receipts, self._executor, self._worker = attempts, receipts, executor, worker
        self._claimed = claimed
        self._release_at = time.monotonic() + conf.JOB_TIMEOUT_SECONDS / 3
        self._limited: list[Attempt] = []  # of types with a timeout of their own; they come last
        self._types: dict[int, str] = {}  # of the jobs in `_limited`, by primary key
        self._claims: dict[int, Claim] = {}  # by primary key, until they are settled
        self.database_was_away = False  # then a claim may have been made whose answer was lost

    def work(self) -> None:
        """Run jobs until the time budget is spent; release the rest.

        Raises a timeout's SystemExit after all is settled, and the database's error when the database is away.
        """
        try:
            if len(self._unclaimed) > 1:
                self._set_limited_apart()
            while self._claimed or self._may_claim():
                with timeout_postponed():
                    claimed = self._precheck(self._claim(self._executor.claim_size(len(self._unclaimed))))
                self._execute(claimed)
            if self._limited:
                self._work_limited()
        except SystemExit:  # django-q2's TimeoutException is one
            with timeout_postponed():
                self._settle([claim.outcome or self._timed_out(claim.job) for claim in self._claims.values()])
                self._unclaimed += self._limited
                self._release_unclaimed()
            raise
        with timeout_postponed():
            self._release_unclaimed()

    def _set_limited_apart(self) -> None:
        """Set the attempts of types with a timeout of their own apart: no other claimed job may wait for them."""
        where = Q(job_type__in=job_types.leases())
        for prefix in job_types.resolved_prefixes():
            where |= Q(job_type__startswith=prefix)
        keys = [pk for pk, _ in self._unclaimed]
        found = dict(JobLog.objects.filter(where, pk__in=keys).values_list("pk", "job_type"))
        types = {name: job_types.get_or_none(name) for name in set(found.values())}
        limits = {name for name, kind in types.items() if kind and kind.policy.timeout is not None}
        self._types = {pk: name for pk, name in found.items() if name in limits}
        self._limited = [attempt for attempt in self._unclaimed if attempt[0] in self._types]
        self._unclaimed = [attempt for attempt in self._unclaimed if attempt[0] not in self._types]

    def _execute(self, jobs: list[JobLog]) -> None:
        """Run claimed jobs. One whose type has a timeout of its own is the only job of the task."""
        if len(jobs) == 1 and jobs[0].policy.timeout is not None:
            self._execute_each(jobs)
        else:
            for outcomes in self._executor.execute(jobs, self._claim_more):
                self._settle(outcomes)

    def _execute_each(self, jobs: list[JobLog]) -> list[JobLog]:
        """Run claimed jobs one after another; settle them between two jobs when FLUSH_SECONDS have passed.

        Returns the jobs that were claimed with the settlement.
        """
        outcomes: list[Outcome] = []
        refused: dict[str, Failure] = {}  # by type: what every other job of it would meet too
        until = time.monotonic() + FLUSH_SECONDS
        for job in jobs:
            if outcomes and time.monotonic() > until:
                self._settle(outcomes)
                outcomes, until = [], time.monotonic() + FLUSH_SECONDS
            failure = refused.get(job.job_type)
            outcome = Outcome(job, failure, 0.0) if failure else self._execute_alone(job, first=job is jobs[0])
            if outcome.failure and retry_policy.concerns_all(outcome.failure):
                refused[job.job_type] = outcome.failure
            outcomes.append(outcome)
        return self._settle(outcomes, claims_next=True)

    def _execute_alone(self, job: JobLog, *, first: bool) -> Outcome:
        """Run a job within the time limit of its type, unless its lease may end before it.

        first: of those that were claimed together. It waited for none of them.
        """
        claim, seconds = self._claims[job.pk], job.policy.time_limit
        if claim.until - time.monotonic() < (0 if first else seconds):
            return _without_turn(job)
        with time_limit(seconds):
            claim.outcome = self._executor.execute_alone(job)
        return claim.outcome

    def _work_limited(self) -> None:
        """Run jobs with a timeout of their own one at a time: one in any case, more until the time budget is spent.

        Quick ones are claimed and settled together.
        """
        with timeout_postponed():
            self._release_unclaimed()
        self._unclaimed, self._limited = self._limited, []
        claimed: list[JobLog] = []
        may_claim = not self._stopping
        while claimed or may_claim:
            if not claimed:
                with timeout_postponed():
                    claimed = self._precheck(self._claim(self._count_quick()))
            claimed = self._execute_each(claimed)
            may_claim = self._may_claim()

    def _count_quick(self) -> int:
        """Return how many of the next jobs to claim together: quick ones, whose leases end together."""
        names = [self._types.get(pk, "") for pk, _ in self._unclaimed[: conf.JOB_BATCH_SIZE]]
        lease = job_types.policy_of(names[0]).lease
        return self._executor.durations.count_quick(
            takewhile(lambda name: job_types.policy_of(name).lease == lease, names)
        )

    def _claim(self, count: int) -> list[JobLog]:
        """Claim the next `count` jobs, unless they are claimed already; return those that this worker got."""
        attempts, self._unclaimed = self._unclaimed[:count], self._unclaimed[count:]
        if self._claimed:
            (job, since), self._claimed = self._claimed, None
            return self._note_claims(attempts, [job], since)
        now = time.monotonic()
        return self._note_claims(attempts, JobLog.objects.claim_many(attempts, worker=self._worker), now)

    def _note_claims(self, attempts: list[Attempt], jobs: list[JobLog], now: float) -> list[JobLog]:
        """Note the jobs that were claimed of `attempts`, drop the messages of the others; return the jobs."""
        report(jobs)
        claimed = {job.pk: Claim(job, now + job.policy.lease - 1) for job in jobs}
        self._claims |= claimed
        for pk, attempt in attempts:
            if pk not in claimed:
                self._drop_message(pk, attempt)
        return jobs

    def _precheck(self, jobs: list[JobLog]) -> list[JobLog]:
        """Settle the claimed jobs that must not be tried; return the others."""
        exchange(jobs)
        refused = refuse(jobs)
        self._settle([Outcome(job, refused[job.pk], 0.0) for job in jobs if job.pk in refused])
        return [job for job in jobs if job.pk not in refused]

    def _settle(self, outcomes: list[Outcome], *, claims_next: bool = False) -> list[JobLog]:
        """Settle jobs and drop their messages, without being interrupted by the timeout.

        claims_next: whether the next jobs may be claimed with them; returns those of them then that may be tried.
        """
        if not outcomes:
            return []
        for outcome in outcomes:
            self._claims[outcome.job.pk].outcome = outcome
        until = min(self._claims[outcome.job.pk].until for outcome in outcomes)
        following = None
        if claims_next and self._may_claim():
            following = Following(self._unclaimed[: self._count_quick()], self._worker)
        now = time.monotonic()
        with timeout_postponed():
            settle(outcomes, [self._receipts.get(outcome.job.pk) for outcome in outcomes], until, following)
            for outcome in outcomes:
                del self._claims[outcome.job.pk]
            exchange(outcome.job for outcome in outcomes)
            if time.monotonic() - now > SLOW_SETTLEMENT:
                self._executor.durations.forget(outcome.job.job_type for outcome in outcomes)
            return self._precheck(self._note_following(following, now)) if following else []

    def _note_following(self, following: Following, now: float) -> list[JobLog]:
        """Note what was claimed with a settlement; return those jobs. Those that were not are tried again last."""
        if following.claimed is None:
            self.database_was_away |= following.was_tried
            return []
        claimed = {job.pk for job in following.claimed}
        left = [attempt for attempt in following.attempts if attempt[0] not in claimed]
        self._unclaimed = self._unclaimed[len(following.attempts) :] + left
        return self._note_claims([], following.claimed, now)

    def _may_claim(self) -> bool:
        """Return whether there are jobs to claim, and time and a database to do so."""
        return bool(self._unclaimed) and not self._stopping and time.monotonic() <= self._release_at

    @property
    def _stopping(self) -> bool:
        return self.database_was_away or process_context().scoreboard.draining

    def _claim_more(self, room: int) -> list[JobLog]:
        """Claim up to `room` more jobs while others are running.

        A database that is away must not lose the outcomes of those: it only ends the claiming.
        """
        if not self._may_claim():
            return []
        try:
            with timeout_postponed():
                return self._precheck(self._claim(room))
        except Error as away:
            if not sql.is_away(away):
                raise
            log.warning("database away, no more jobs are claimed", error=str(away))
            connection.close()
            self.database_was_away = True
            return []

    def _timed_out(self, job: JobLog) -> Outcome:
        """Return the outcome of a job that the timeout interrupted.

        A job that was not begun loses no attempt.
        """
        if job.pk not in self._executor.begun:
            return _without_turn(job)
        seconds = job.policy.time_limit
        late = f"its worker took longer than {seconds} s"
        return Outcome(job, Failure(ErrorClass.TEMPORARY, "Timeout", None, late, ""), seconds)

    def _drop_message(self, pk: int, attempt: int) -> None:
        """Drop a message whose job could not be claimed.

        If the job is leased to another worker, sends a message for the end of the lease. If it is not due yet, because
        it was rescheduled or its broker knows no longer delay, sends one for its due time.
        """
        with transaction.atomic():
            if (left := JobLog.objects.lease_left(pk, attempt)) is not None:
                messages.send_many(_messages([(pk, attempt + 1)]), delay=max(0.1, left + 0.1))
            elif (following := JobLog.objects.next_attempt(pk)) and following[0] == attempt and following[1] > 0:
                messages.send_many(_messages([(pk, attempt)]), delay=following[1])
            drop_messages([self._receipts.get(pk)])

    def _release_unclaimed(self) -> None:
        """Return the messages of unclaimed jobs to the front of the queue."""
        if not self._unclaimed:
            return
        waited = JobLog.objects.filter(pk__in=[pk for pk, _ in self._unclaimed]).oldest_wait()
        with transaction.atomic():
            messages.send_many(_messages(self._unclaimed), delay=-waited - AHEAD_SECONDS)
            drop_messages(self._receipts.get(pk) for pk, _ in self._unclaimed)
        self._unclaimed = []


def _without_turn(job: JobLog) -> Outcome:
    """Return the outcome of a claimed job that was not begun, since the jobs before it took too long."""
    waited = "the jobs before it left it too little time"
    return Outcome(job, Failure(ErrorClass.THROTTLED, "NoTurn", None, waited, ""), 0.0)


def _messages(attempts: list[Attempt]) -> list[messages.Message]:
    """Return the messages of attempts, each for the lane and the source of its job."""
    jobs = JobLog.objects.only("lane", "source").in_bulk([pk for pk, _ in attempts])
    return [messages.to(jobs[pk], attempt) for pk, attempt in attempts if pk in jobs]
