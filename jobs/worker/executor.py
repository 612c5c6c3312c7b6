"""The executor: calls handlers one after another while the mail server is quick, in threads while it is slow.

Its pace (jobs/worker/pace.py) decides how many at a time. Handlers that run in threads use no database.
"""

import queue
import time
from collections.abc import Callable, Iterator
from contextlib import suppress

from structlog.contextvars import bound_contextvars

from jobs import tracing
from jobs.conf import conf
from jobs.core import job_types, retry_policy
from jobs.core.errors import ErrorClass, JobError, describe
from jobs.core.job import JobLog
from jobs.worker.pace import FLUSH_SECONDS, Durations, Pace
from jobs.worker.thread_pool import Outcome, Outcomes, ThreadPool

ClaimMore = Callable[[int], list[JobLog]]


class Executor:
    """The executor of one worker process."""

    def __init__(self, max_concurrency: int) -> None:
        self.pace, self.durations = Pace(max_concurrency), Durations()
        self.begun: set[int] = set()  # primary keys of the jobs of this round whose handler has been called
        self._inline_only = False  # whether the last jobs may not run in threads
        self._threads = ThreadPool(self._call_handler, _release_types)

    def claim_size(self, waiting: int) -> int:
        """Return how many of `waiting` jobs to claim now."""
        return self.pace.claim_size(waiting, time.monotonic(), inline=self._inline_only)

    def execute(self, jobs: list[JobLog], claim_more: ClaimMore = lambda _room: []) -> Iterator[list[Outcome]]:
        """Call the handler of each job; yield the outcomes in groups, at least every FLUSH_SECONDS.

        claim_more: returns up to that many further jobs. Called before the threads run out of jobs, so that a slow
        server never gets fewer calls at a time than it could.
        """
        self.begun.clear()
        waiting: list[JobLog] = []
        inline = _queue_for_threads(jobs, waiting)
        self._inline_only = bool(inline)
        while inline:
            yield from self._run_inline(inline, most=len(jobs))
        while waiting and self.pace.concurrency(len(waiting), time.monotonic()) <= 1:
            yield from self._run_inline(waiting, most=1)
        if waiting and self.pace.sample_due(time.monotonic()):
            yield from self._run_inline([waiting.pop()], most=self.pace.max_limit)
        if waiting:
            yield from self._run_in_threads(waiting, claim_more)

    def execute_alone(self, job: JobLog) -> Outcome:
        """Call the handler of a job that has a timeout of its own; its duration says nothing about the mail server.

        A type that may take longer than others never counts as quick: jobs that are claimed with it would wait.
        """
        self.begun = {job.pk}
        outcome = self._call_handler(job)
        if job.policy.time_limit <= conf.JOB_TIMEOUT_SECONDS:
            self.durations.record(job.job_type, outcome.seconds)
        return outcome

    def _run_inline(self, waiting: list[JobLog], most: int) -> Iterator[list[Outcome]]:
        """Run jobs in this thread for FLUSH_SECONDS.

        Stops early when a concurrency above `most` would be better.
        """
        outcomes: list[Outcome] = []
        until = time.monotonic() + FLUSH_SECONDS
        try:
            while waiting and (now := time.monotonic()) < until and self.pace.concurrency(len(waiting), now) <= most:
                outcomes.append(self._call_handler(waiting.pop()))
                last = outcomes[-1]
                self.pace.record_call(last.seconds, time.monotonic(), cpu_seconds=last.cpu_seconds)
                if _configuration_error(outcomes[-1:]):
                    outcomes += _copy_outcome(outcomes[-1], waiting)
                    waiting.clear()
        except SystemExit:  # out of time: settle the finished calls first
            yield outcomes
            raise
        yield outcomes

    def _run_in_threads(self, waiting: list[JobLog], claim_more: ClaimMore) -> Iterator[list[Outcome]]:
        """Run jobs in threads, and claim more meanwhile.

        Yields when half of the threads have an outcome. A thread gets its next job only after the outcome of its last
        one is settled, so a killed worker repeats no more emails than it has threads.
        """
        outcomes: Outcomes = queue.SimpleQueue()  # of this round alone: what ends after the round is ignored
        concurrency = self.pace.concurrency(len(waiting), time.monotonic())
        self._threads.start(concurrency)
        running, inline, may_claim = 0, list[JobLog](), True
        try:
            while waiting or running:
                running += self._submit(waiting, concurrency - running, outcomes)
                room = self.pace.capacity(concurrency) - running - len(waiting)
                if may_claim and not inline and room > 0 and len(waiting) <= concurrency // 2:
                    inline = _queue_for_threads(claim_more(room), waiting)
                group: list[Outcome] = []
                try:
                    _collect(outcomes, group, min(running, max(1, concurrency // 2)))
                except SystemExit:
                    self._threads.cancel_queued()
                    yield group
                    raise
                running -= len(group)
                if refused := _configuration_error(group):
                    cancelled = self._threads.cancel_queued()
                    running -= len(cancelled)
                    group += _copy_outcome(refused, [*cancelled, *waiting])
                    waiting.clear()
                may_claim = may_claim and not refused and not self._slow_down(group, concurrency)
                yield group
        finally:
            self._threads.cancel_queued()  # the caller gave up: the database was away for longer than a lease
        while inline:
            yield from self._run_inline(inline, most=len(inline))

    def _submit(self, waiting: list[JobLog], free: int, outcomes: Outcomes) -> int:
        """Hand as many waiting jobs to the threads as are free; return how many."""
        submitted = [waiting.pop() for _ in range(min(free, len(waiting)))]
        self._threads.submit(submitted, outcomes)
        return len(submitted)

    def _call_handler(self, job: JobLog) -> Outcome:
        """Call the job's handler. Raises no Exception; only the timeout's SystemExit passes."""
        self.begun.add(job.pk)
        began, used = time.monotonic(), time.thread_time()
        failure = None
        span = tracing.span(
            f"process {job.job_type}",
            "consumer",
            parent=job.traceparent,
            messaging__message__id=job.job_id,
            messaging__destination__name=job.lane,
            notifier__attempt=job.attempt_count,
        )
        with bound_contextvars(request_id=job.request_id), span:
            try:
                job_types.get(job.job_type).handler(job)
            except Exception as exc:  # whatever a handler raises is the job's failure, never the worker's
                tracing.fail(str(getattr(exc, "error_class", type(exc).__name__)))
                if not isinstance(exc, JobError):
                    tracing.report_unexpected(exc)
                failure = retry_policy.judge_alone(
                    describe(exc), last_class=job.error_class, automatic=job.replayed_automatically
                )
        return Outcome(job, failure, time.monotonic() - began, time.thread_time() - used)

    def _slow_down(self, outcomes: list[Outcome], concurrency: int) -> bool:
        """Lower the concurrency limit if the server throttled a call (421); return whether it did."""
        throttled = any(o.failure and o.failure.error_class == ErrorClass.THROTTLED for o in outcomes)
        if throttled:
            self.pace.record_throttling(concurrency, time.monotonic())
        return throttled


def _release_types() -> None:
    for kind in job_types.all_types():
        kind.execution.release()


def _queue_for_threads(jobs: list[JobLog], waiting: list[JobLog]) -> list[JobLog]:
    """Queue the jobs that may run in threads; return the others.

    waiting: the queue; its last job is next.
    """
    waiting[:0] = [job for job in reversed(jobs) if job_types.may_run_in_threads(job.job_type)]
    return [job for job in reversed(jobs) if not job_types.may_run_in_threads(job.job_type)]


def _collect(outcomes: Outcomes, group: list[Outcome], most: int) -> None:
    """Collect up to `most` outcomes into `group`.

    Waits for one, then for those that arrive within FLUSH_SECONDS of it.
    """
    group.append(outcomes.get())
    until = time.monotonic() + FLUSH_SECONDS
    while len(group) < most and (rest := until - time.monotonic()) > 0:
        with suppress(queue.Empty):
            group.append(outcomes.get(timeout=rest))


def _configuration_error(outcomes: list[Outcome]) -> Outcome | None:
    """Return the first outcome whose failure every other job would meet too.

    None when there is none.
    """
    return next((o for o in outcomes if o.failure and retry_policy.concerns_all(o.failure)), None)


def _copy_outcome(refused: Outcome, jobs: list[JobLog]) -> list[Outcome]:
    """Fail jobs without calling their handlers.

    A server that gets a wrong password fifty times may lock the account.
    """
    return [Outcome(job, refused.failure, 0.0) for job in jobs]
