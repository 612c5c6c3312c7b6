"""P1 without processes: what the reconciler finds and wakes, one step at a time."""

from datetime import timedelta

import pytest
from django.db.models.functions import Now
from django_q.models import OrmQ
from django_q.signing import SignedPackage

from jobs.brokers import orm
from jobs.core import errors, job_types, leases, pauses
from jobs.core.job import LOST_LIMIT, JobLog, Reason, Status
from jobs.core.sql import from_now
from jobs.maintenance import reconciler
from jobs.queue import actions
from jobs.worker import entry
from tests.support import sample_types

pytestmark = [pytest.mark.django_db(transaction=True), pytest.mark.engine]


@pytest.fixture
def handled():
    with sample_types.registered() as recorder:
        yield recorder


def work(limit: int = 50) -> int:
    """Does what a cluster does with the visible messages, in this process; how many."""
    broker, done = orm.OrmBroker(), 0
    while done < limit and (fetched := broker._fetch()):
        for messages, payload, _ in fetched:
            task = SignedPackage.loads(payload)
            getattr(entry, task["func"].rpartition(".")[2])(*task["args"], receipts=messages)
            done += len(messages)
    return done


def fails_with(error: Exception):
    def behave(job):
        raise error

    return behave


def test_a_job_without_a_message_is_requeued_once(handled):
    sample_types.enqueue("a")
    OrmQ.objects.all().delete()
    assert reconciler.requeue_orphans() == 0, "a message may be on its way still"
    JobLog.objects.update(run_at=from_now(-60))
    assert [reconciler.requeue_orphans(), reconciler.requeue_orphans()] == [1, 0]
    assert work() == 1
    assert JobLog.objects.get().status == Status.COMPLETED


def test_jobs_that_wait_their_turn_are_left_alone(handled):
    for name in "abc":
        sample_types.enqueue(name)
    OrmQ.objects.update(lock=from_now(-120))
    JobLog.objects.update(run_at=from_now(-120))
    assert reconciler.requeue_orphans() == 0
    assert OrmQ.objects.count() == 3


def test_a_lapsed_lease_is_taken_back_and_the_lost_attempt_is_given_back(handled):
    job = sample_types.enqueue("a")
    OrmQ.objects.all().delete()
    JobLog.objects.claim(job.pk, 1, "killed")
    assert reconciler.rescue_expired_leases() == 0
    JobLog.objects.update(lease_until=from_now(-1))
    assert reconciler.rescue_expired_leases() == 1
    work()
    job.refresh_from_db()
    assert (job.status, job.attempt_count, job.max_attempts) == (Status.COMPLETED, 2, 6)
    assert job.attempts.get().outcome == "lost"


def test_a_job_that_kills_five_workers_is_poison(handled):
    job = sample_types.enqueue("a")
    for attempt in range(1, LOST_LIMIT + 1):
        assert JobLog.objects.claim(job.pk, attempt, "killed")
        JobLog.objects.update(lease_until=from_now(-1))
    OrmQ.objects.all().delete()
    reconciler.rescue_expired_leases()
    work()
    job.refresh_from_db()
    assert (job.status, job.dlq_reason, handled.called) == (Status.DLQ, Reason.POISON, [])


def test_a_job_older_than_a_day_expires_unsent_and_may_be_replayed(handled):
    job = sample_types.enqueue("a")
    JobLog.objects.update(expires_at=from_now(-1))
    work()
    job.refresh_from_db()
    assert (job.dlq_reason, handled.called) == (Reason.EXPIRED, [])
    actions.replay(job, who="boss")
    work()
    assert handled.called == ["a"]


def test_a_configuration_error_holds_the_type_until_the_probe_succeeds(handled):
    handled.behave = fails_with(errors.Configuration("535 wrong password", code=535))
    handled.probe = _refuses
    for name in "abc":
        sample_types.enqueue(name)
    work()
    assert handled.called == ["a"], "the others are not even tried"
    job = JobLog.objects.get(job_id="a")
    assert (job.status, job.attempts_left) == (Status.FAILED, 5)
    assert "535" in pauses.suspended().get().breaker_error

    reconciler.sweep()
    assert work() == 0
    handled.behave, handled.probe = (lambda job: None), (lambda: None)
    reconciler.sweep()
    work()
    assert set(JobLog.objects.values_list("status", flat=True)) == {Status.COMPLETED}
    assert not pauses.suspended().exists()


def test_a_paused_type_runs_again_after_its_resumption(handled):
    pauses.pause(sample_types.NAME, who="boss", why="maintenance")
    sample_types.enqueue("a")
    work()
    assert handled.called == []
    pauses.resume(sample_types.NAME)
    JobLog.objects.update(run_at=from_now(-60))
    reconciler.sweep()
    work()
    assert handled.called == ["a"]


def bury_all(handled, error: Exception) -> None:
    handled.behave = fails_with(error)
    while JobLog.objects.filter(status__in=["enqueued", "failed"]).exists():
        OrmQ.objects.update(lock=Now())
        JobLog.objects.filter(status=Status.FAILED).update(run_at=from_now(-1))
        work()


def test_dead_letters_that_died_of_an_unreachable_server_are_replayed_once_it_answers(handled):
    for name in "abc":
        sample_types.enqueue(name)
    bury_all(handled, errors.Unreachable("refused"))
    assert set(JobLog.objects.values_list("dlq_reason", "attempt_count")) == {(Reason.EXHAUSTED, 5)}
    handled.probe = _refuses
    assert reconciler.replay_unreachable() == 0
    handled.probe = lambda: None
    assert reconciler.replay_unreachable() == 3
    bury_all(handled, errors.Unreachable("refused again"))
    assert reconciler.replay_unreachable() == 0, "once"


def _refuses() -> None:
    raise errors.Unreachable("refused")


def test_dead_letters_that_died_of_anything_else_wait_for_an_operator(handled):
    sample_types.enqueue("a")
    bury_all(handled, errors.Temporary("450"))
    assert reconciler.replay_unreachable() == 0


def test_a_throttled_job_waits_as_long_as_the_server_asks_and_keeps_its_attempts(handled):
    handled.behave = fails_with(errors.Throttled("later", code=421, retry_after=120))
    job = sample_types.enqueue("a")
    work()
    job.refresh_from_db()
    assert job.attempts_left == 5
    wait = (job.run_at - job.attempts.get().ended_at).total_seconds()
    assert 119 <= wait <= 133


def test_a_fault_of_our_own_is_tried_again_with_its_trace_kept(handled):
    handled.behave = fails_with(KeyError("ours"))
    job = sample_types.enqueue("a")
    work()
    job.refresh_from_db()
    assert (job.status, job.error_class, job.fingerprint) == (Status.FAILED, "temporary", "KeyError")
    assert "behave" in job.stack_trace


def test_a_job_of_an_unknown_type_waits_for_a_version_that_does():
    with sample_types.registered():
        job = sample_types.enqueue("a")
    work()
    job.refresh_from_db()
    assert (job.status, job.error_class) == (Status.FAILED, "temporary")


def test_a_message_that_names_no_job_of_ours_is_dropped():
    broker = orm.OrmBroker()
    broker.enqueue("rubbish")
    broker.enqueue(SignedPackage.dumps({"func": "os.system", "args": ("true",)}))
    assert broker._fetch() == []
    assert OrmQ.objects.count() == 0


def test_one_host_at_a_time_has_the_turn():
    assert [leases.acquire("t", 15), leases.acquire("t", 15)] == [True, False]
    leases.LeaderLease.objects.update(acquired_at=Now() - timedelta(seconds=16))
    assert leases.acquire("t", 15)


def test_a_step_that_fails_does_not_stop_the_others(handled, monkeypatch):
    def broken() -> None:
        raise RuntimeError

    monkeypatch.setattr(job_types, "sweeps", lambda: [job_types.Sweep(broken, JobLog.objects.none)])
    sample_types.enqueue("a")
    OrmQ.objects.all().delete()
    JobLog.objects.update(run_at=from_now(-60))
    reconciler.sweep()
    assert work() == 1
