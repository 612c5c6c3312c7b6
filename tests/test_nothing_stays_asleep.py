"""P1 without processes: what the reconciler finds and wakes, one step at a time."""

from datetime import timedelta

import pytest
from django.db.models.functions import Now
from django_q.models import OrmQ

from jobs import broker, errors, pauses, queue, reconciler, registry, worker
from jobs.models import LOST_LIMIT, JobLog, Reason, Status, from_now
from tests import job_types

pytestmark = [pytest.mark.django_db(transaction=True), pytest.mark.engine]


@pytest.fixture
def handled():
    with job_types.registered() as recorder:
        yield recorder


def work(limit: int = 50) -> int:
    """Does what a cluster does with the visible messages, in this process; how many."""
    courier, done = broker.Courier(), 0
    while done < limit and (fetched := courier._fetch()):
        for messages, payload in fetched:
            task = broker.SignedPackage.loads(payload)
            worker._receipts = messages
            getattr(worker, task["func"].rpartition(".")[2])(*task["args"])
            done += len(messages)
    return done


def fails_with(error: Exception):
    def behave(job):
        raise error

    return behave


def test_a_job_without_a_message_is_woken_once(handled):
    job_types.enqueue("a")
    OrmQ.objects.all().delete()
    assert reconciler.wake_forgotten() == 0, "a message may be on its way still"
    JobLog.objects.update(run_at=from_now(-60))
    assert [reconciler.wake_forgotten(), reconciler.wake_forgotten()] == [1, 0]
    assert work() == 1
    assert JobLog.objects.get().status == Status.COMPLETED


def test_jobs_that_wait_their_turn_are_left_alone(handled):
    for name in "abc":
        job_types.enqueue(name)
    OrmQ.objects.update(lock=from_now(-120))
    JobLog.objects.update(run_at=from_now(-120))
    assert reconciler.wake_forgotten() == 0
    assert OrmQ.objects.count() == 3


def test_a_lapsed_lease_is_taken_back_and_the_lost_attempt_is_given_back(handled):
    job = job_types.enqueue("a")
    OrmQ.objects.all().delete()
    JobLog.objects.claim(job.pk, 1, "killed")
    assert reconciler.wake_lapsed() == 0
    JobLog.objects.update(lease_until=from_now(-1))
    assert reconciler.wake_lapsed() == 1
    work()
    job.refresh_from_db()
    assert (job.status, job.attempt_count, job.max_attempts) == (Status.COMPLETED, 2, 6)
    assert job.attempts.get().outcome == "lost"


def test_a_job_that_kills_five_workers_is_poison(handled):
    job = job_types.enqueue("a")
    for attempt in range(1, LOST_LIMIT + 1):
        assert JobLog.objects.claim(job.pk, attempt, "killed")
        JobLog.objects.update(lease_until=from_now(-1))
    OrmQ.objects.all().delete()
    reconciler.wake_lapsed()
    work()
    job.refresh_from_db()
    assert (job.status, job.dlq_reason, handled.called) == (Status.DLQ, Reason.POISON, [])


def test_a_job_older_than_a_day_expires_unsent_and_may_be_replayed(handled):
    job = job_types.enqueue("a")
    JobLog.objects.update(expires_at=from_now(-1))
    work()
    job.refresh_from_db()
    assert (job.dlq_reason, handled.called) == (Reason.EXPIRED, [])
    queue.replay(job)
    work()
    assert handled.called == ["a"]


def test_a_configuration_error_holds_the_type_until_the_probe_succeeds(handled):
    handled.behave = fails_with(errors.Configuration("535 wrong password", code=535))
    handled.probe = _refuses
    for name in "abc":
        job_types.enqueue(name)
    work()
    assert handled.called == ["a"], "the others are not even tried"
    job = JobLog.objects.get(job_id="a")
    assert (job.status, job.attempts_left) == (Status.FAILED, 5)
    assert "535" in pauses.held().get().breaker_error

    reconciler.sweep()
    assert work() == 0
    handled.behave, handled.probe = (lambda job: None), (lambda: None)
    reconciler.sweep()
    work()
    assert set(JobLog.objects.values_list("status", flat=True)) == {Status.COMPLETED}
    assert not pauses.held().exists()


def test_a_paused_type_runs_again_after_its_resumption(handled):
    pauses.pause(job_types.NAME, who="boss", why="maintenance")
    job_types.enqueue("a")
    work()
    assert handled.called == []
    pauses.resume(job_types.NAME, who="boss")
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


def test_letters_that_died_of_an_unreachable_server_are_replayed_once_it_answers(handled):
    for name in "abc":
        job_types.enqueue(name)
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


def test_letters_that_died_of_anything_else_wait_for_an_operator(handled):
    job_types.enqueue("a")
    bury_all(handled, errors.Temporary("450"))
    assert reconciler.replay_unreachable() == 0


def test_a_throttled_job_waits_as_long_as_it_was_told_and_keeps_its_attempts(handled):
    handled.behave = fails_with(errors.Throttled("later", code=421, retry_after=120))
    job = job_types.enqueue("a")
    work()
    job.refresh_from_db()
    assert job.attempts_left == 5
    wait = (job.run_at - job.attempts.get().ended_at).total_seconds()
    assert 119 <= wait <= 133


def test_a_fault_of_our_own_is_tried_again_with_its_trace_kept(handled):
    handled.behave = fails_with(KeyError("ours"))
    job = job_types.enqueue("a")
    work()
    job.refresh_from_db()
    assert (job.status, job.error_class, job.fingerprint) == (Status.FAILED, "temporary", "KeyError")
    assert "behave" in job.stack_trace


def test_a_job_of_a_type_nobody_knows_waits_for_a_version_that_does():
    with job_types.registered():
        job = job_types.enqueue("a")
    work()
    job.refresh_from_db()
    assert (job.status, job.error_class) == (Status.FAILED, "temporary")


def test_a_message_that_is_no_job_of_ours_is_dropped():
    courier = broker.Courier()
    courier.enqueue("rubbish")
    courier.enqueue(broker.SignedPackage.dumps({"func": "os.system", "args": ("true",)}))
    assert courier._fetch() == []
    assert OrmQ.objects.count() == 0


def test_one_host_at_a_time_has_the_turn():
    assert [reconciler.take_turn("t", 15), reconciler.take_turn("t", 15)] == [True, False]
    reconciler.Turn.objects.update(taken_at=Now() - timedelta(seconds=16))
    assert reconciler.take_turn("t", 15)


def test_a_step_that_fails_does_not_stop_the_others(handled, monkeypatch):
    def broken() -> None:
        raise RuntimeError

    monkeypatch.setattr(registry, "_sweeps", [registry.Sweep(broken, JobLog.objects.none)])
    job_types.enqueue("a")
    OrmQ.objects.all().delete()
    JobLog.objects.update(run_at=from_now(-60))
    reconciler.sweep()
    assert work() == 1
