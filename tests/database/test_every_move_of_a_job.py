"""P5, P7 and the table of moves: a Hypothesis machine plays workers, operators, deaths and the clock on a real row."""

from contextlib import ExitStack
from datetime import timedelta

import pytest
from django.db.models.functions import Now
from django.utils import timezone
from hypothesis import HealthCheck, settings
from hypothesis import strategies as st
from hypothesis.stateful import (
    Bundle,
    RuleBasedStateMachine,
    initialize,
    invariant,
    multiple,
    precondition,
    rule,
    run_state_machine_as_test,
)

from jobs.core import errors, pauses
from jobs.core.job import JobLog, Reason, Status
from jobs.core.job_types import Policy
from jobs.core.pauses import Lane
from jobs.core.sql import from_now
from jobs.queue import actions
from jobs.queue.cancel import cancel
from jobs.queue.enqueue import Duplicate
from tests.support import sample_types

FAILURE = errors.describe(errors.Temporary("no"))
WAITING = (Status.ENQUEUED, Status.FAILED)
LANES = st.sampled_from([str(lane) for lane in Lane])
TARGETS = ["its type", "its lane", "its lane", "another lane"]


class LifeOfAJob(RuleBasedStateMachine):
    """`self.holder` is the claim that owns the job in the model; every other claim must be powerless."""

    claims = Bundle("claims")
    made = 0

    def __init__(self) -> None:
        super().__init__()
        self.stack = ExitStack()
        self.paused: dict[str, bool] = {}  # by target: whether the pause has an end

    @initialize(lane=LANES, attempts=st.integers(1, 5))
    def a_client_enqueues_it(self, lane: str, attempts: int) -> None:
        self._enqueue(lane, attempts)

    @precondition(lambda self: self.status in (Status.COMPLETED, Status.DISCARDED))
    @rule(lane=LANES, attempts=st.integers(1, 5))
    def it_has_ended_and_another_takes_its_place(self, lane: str, attempts: int) -> None:
        self._enqueue(lane, attempts)

    def _enqueue(self, lane: str, attempts: int) -> None:
        LifeOfAJob.made += 1
        self.status, self.holder, self.attempts, self.due, self.lapsed = Status.ENQUEUED, None, 0, True, False
        self.stack.close()
        self.lane, self.policy = lane, Policy(max_attempts=attempts)
        self.stack.enter_context(sample_types.registered(policy=self.policy))
        self.job = sample_types.enqueue(f"machine-{LifeOfAJob.made}", lane=lane)

    def teardown(self) -> None:
        for target in self.paused:
            pauses.resume(target)
        self.stack.close()

    def is_held(self) -> bool:
        return sample_types.NAME in self.paused or f"lane:{self.lane}" in self.paused

    @rule(target=claims, offset=st.sampled_from([1, 1, 1, 1, -1, 0, 2]))
    def claim(self, offset: int):
        """A message for some attempt arrives: only the next one of a job that is due or lapsed may win."""
        wins = (
            offset == 1
            and not self.is_held()
            and ((self.status in WAITING and self.due) or (self.status == Status.PROCESSING and self.lapsed))
        )
        claimed = JobLog.objects.claim(self.job.pk, self.attempts + offset, f"w{self.attempts}")
        assert (claimed is not None) == wins
        if not wins:
            return multiple()
        self.status, self.attempts, self.holder, self.lapsed = Status.PROCESSING, self.attempts + 1, claimed, False
        return claimed

    @rule(claim=claims, how=st.sampled_from(["complete", "retry", "give_back", "bury", "drop"]))
    def settle(self, claim: JobLog, how: str) -> None:
        mine = self.status == Status.PROCESSING and claim is self.holder
        moves = {
            "complete": claim.complete,
            "retry": lambda: claim.retry(FAILURE, 3600),
            "give_back": lambda: claim.retry(FAILURE, 0, give_back=True),
            "bury": lambda: claim.bury(FAILURE, Reason.EXHAUSTED),
            "drop": lambda: claim.drop(FAILURE),
        }
        before = self.row().max_attempts
        assert moves[how]() == mine
        if mine:
            ends = {"complete": Status.COMPLETED, "bury": Status.DLQ, "drop": Status.DISCARDED}
            self.status, self.holder, self.due = ends.get(how, Status.FAILED), None, how == "give_back"
            assert self.row().max_attempts == before + (how == "give_back")

    @rule()
    def the_worker_dies_and_its_lease_lapses(self) -> None:
        moved = JobLog.objects.filter(pk=self.job.pk, status=Status.PROCESSING).update(lease_until=from_now(-1))
        self.lapsed = bool(moved)

    @rule()
    def the_next_attempt_becomes_due(self) -> None:
        JobLog.objects.filter(pk=self.job.pk).update(run_at=Now())
        self.due = True

    @rule()
    def an_operator_replays_twice(self) -> None:
        dead = self.status == Status.DLQ
        assert [actions.replay(self.row(), who="boss"), actions.replay(self.row(), who="boss")] == [dead, False]
        if dead:
            self.status, self.due = Status.ENQUEUED, True
            assert self.row().attempts_left == self.policy.attempts

    @rule()
    def an_operator_discards(self) -> None:
        may = self.status in (*WAITING, Status.DLQ)
        assert actions.discard(self.row(), who="boss") == may
        if may:
            self.status = Status.DISCARDED

    @rule()
    def its_caller_cancels_it_twice(self) -> None:
        may = self.status in WAITING
        assert [cancel(self.job.job_id, why="not needed"), cancel(self.job.job_id)] == [may, False]
        if may:
            self.status = Status.DISCARDED
            assert (self.row().dlq_reason, self.row().error) == (Reason.CANCELLED, "not needed")

    @rule(hours=st.sampled_from([-1, 1]))
    def an_operator_reschedules_it(self, hours: int) -> None:
        may = self.status in WAITING
        assert actions.reschedule(self.row(), timezone.now() + timedelta(hours=hours), who="boss") == may
        if may:
            self.due = hours < 0

    @rule(what=st.sampled_from(TARGETS), ends=st.booleans())
    def an_operator_pauses(self, what: str, ends: bool) -> None:
        until, named = timezone.now() + timedelta(hours=1) if ends else None, self._target(what)
        extends = self.paused.get(named, True)  # a pause that has an end: this one is longer
        assert pauses.pause(named, who="machine", why="", until=until) == extends
        self.paused[named] = self.paused.get(named, True) and ends

    @rule(what=st.sampled_from(TARGETS))
    def an_operator_resumes(self, what: str) -> None:
        named = self._target(what)
        assert pauses.resume(named) == (self.paused.pop(named, None) is not None)

    def _target(self, what: str) -> str:
        another = next(lane for lane in Lane.values if lane != self.lane)
        return {"its type": sample_types.NAME, "its lane": f"lane:{self.lane}"}.get(what, f"lane:{another}")

    @rule()
    def the_pauses_that_have_an_end_come_to_it(self) -> None:
        for rows in (pauses.JobTypeState.objects, pauses.LaneState.objects):
            rows.filter(paused_until__isnull=False).update(paused_until=from_now(-1))
        self.paused = {target: ends for target, ends in self.paused.items() if not ends}

    @rule()
    def a_client_enqueues_it_again(self) -> None:
        with pytest.raises(Duplicate):
            sample_types.enqueue(self.job.job_id)

    def row(self) -> JobLog:
        return JobLog.objects.get(pk=self.job.pk)

    @invariant()
    def the_row_says_what_the_model_says(self) -> None:
        row = self.row()
        assert (row.status, row.attempt_count, row.lane) == (self.status, self.attempts, self.lane)
        assert (row.lease_until is not None) == (row.status == Status.PROCESSING)
        assert bool(row.dlq_reason) == (row.status == Status.DLQ) or row.status == Status.DISCARDED
        assert JobLog.objects.filter(pauses.held(), pk=row.pk).exists() == self.is_held()
        assert row.attempts.count() == row.attempts.values("number").distinct().count() <= self.attempts


@pytest.mark.django_db(transaction=True)
@pytest.mark.engine
@pytest.mark.slow
def test_no_order_of_events_breaks_a_rule_of_the_table():
    checks = [HealthCheck.too_slow, HealthCheck.data_too_large, HealthCheck.filter_too_much]
    run_state_machine_as_test(
        LifeOfAJob,
        settings=settings(max_examples=60, stateful_step_count=30, deadline=None, suppress_health_check=checks),
    )


@pytest.mark.django_db(transaction=True)
@pytest.mark.engine
@pytest.mark.parametrize("how", ["complete", "retry", "bury"])
@pytest.mark.parametrize("then", ["running again", "completed", "waiting again", "dead"])
def test_a_worker_that_lost_its_lease_settles_nothing(how, then):
    with sample_types.registered():
        job = sample_types.enqueue("a")
    lost = JobLog.objects.claim(job.pk, 1, "first")
    JobLog.objects.update(lease_until=from_now(-1))
    holder = JobLog.objects.claim(job.pk, 2, "second")
    {
        "running again": lambda: True,
        "completed": holder.complete,
        "waiting again": lambda: holder.retry(FAILURE, 10),
        "dead": lambda: holder.bury(FAILURE, Reason.EXHAUSTED),
    }[then]()
    before = JobLog.objects.filter(pk=job.pk).values().get()
    moves = {
        "complete": lost.complete,
        "retry": lambda: lost.retry(FAILURE, 1),
        "bury": lambda: lost.bury(FAILURE, Reason.PERMANENT),
    }
    assert moves[how]() is False
    assert JobLog.objects.filter(pk=job.pk).values().get() == before
    assert list(job.attempts.filter(number=1).values_list("worker", "outcome")) == [("first", "lost")]
