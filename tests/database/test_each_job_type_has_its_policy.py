"""Attempts, waits, expiry, time limit, lease, lane and uniqueness are those of the job's type."""

import signal
import time
from datetime import timedelta

import pytest
from django.db.models import F
from django.db.models.functions import Now
from django_q.exceptions import TimeoutException
from django_q.models import OrmQ

from jobs.brokers import django_q, messages
from jobs.conf import conf
from jobs.core import job_types
from jobs.core.errors import Temporary
from jobs.core.job import JobLog, Reason, Status
from jobs.core.job_types import Policy, Unique
from jobs.core.scoreboard import process_context
from jobs.queue.enqueue import Duplicate, enqueue
from jobs.worker import entry
from jobs.worker.executor import Executor
from tests.support import sample_types
from tests.support.operators import signed_in
from tests.support.sample_types import run_all

pytestmark = [pytest.mark.django_db(transaction=True), pytest.mark.engine]


@pytest.fixture(autouse=True)
def executor(monkeypatch):
    monkeypatch.setattr(process_context(), "executor", Executor(50))


def fail(job: JobLog) -> None:
    raise Temporary("450 later")


def seconds_until(job: JobLog, column: str) -> float:
    return JobLog.objects.filter(pk=job.pk).values_list(F(column) - Now(), flat=True)[0].total_seconds()


def test_a_type_has_its_own_schedule_of_waits_and_attempts():
    with sample_types.registered(policy=Policy(backoff=(50.0, 80_000.0), expires=200_000.0)) as handled:
        handled.behave = fail
        job = sample_types.enqueue("event")
        assert job.max_attempts == 3
        for attempt, wait in ((1, 50), (2, 80_000)):
            entry.run(job.pk, attempt)
            assert wait - 20 < seconds_until(job, "run_at") <= wait * 1.1
            JobLog.objects.update(run_at=Now())
        entry.run(job.pk, 3)
        job.refresh_from_db()
        assert (job.status, job.dlq_reason, job.attempt_count) == (Status.DLQ, Reason.EXHAUSTED, 3)


def test_a_type_without_a_policy_has_that_of_the_settings(settings):
    settings.JOB_BACKOFF_SECONDS, settings.JOB_MAX_ATTEMPTS = 3.0, 4
    assert (Policy().attempts, Policy().waits) == (4, (3.0, 6.0, 12.0))
    assert Policy(backoff=40_000.0).waits == (40_000.0, 80_000.0, 86_400.0)
    assert Policy().lifetime == conf.JOB_EXPIRES_HOURS * 3600
    assert (Policy().time_limit, Policy().lease) == (conf.JOB_TIMEOUT_SECONDS, conf.JOB_LEASE_SECONDS)


def test_a_type_has_its_own_lifetime_and_a_replay_renews_it():
    with sample_types.registered(policy=Policy(expires=7200.0, max_attempts=2, backoff=1.0)):
        job = sample_types.enqueue("short-lived")
        assert job.expires_at - job.run_at == timedelta(hours=2)
        JobLog.objects.update(expires_at=Now() - timedelta(seconds=1))
        entry.run(job.pk, 1)
        job.refresh_from_db()
        assert (job.dlq_reason, job.error) == (Reason.EXPIRED, "not sent within 2 hours")
        assert job.replay()
        job.refresh_from_db()
        assert 7100 < seconds_until(job, "expires_at") <= 7200
        assert job.max_attempts == job.attempt_count + 2


@pytest.mark.parametrize(("timeout", "lease"), [(1, 3), (31, 46), (400, 600)])
def test_the_lease_follows_the_time_limit(timeout, lease):
    with sample_types.registered(policy=Policy(timeout=timeout)):
        first, second = sample_types.enqueue("first"), sample_types.enqueue("second")
        JobLog.objects.claim_many([(first.pk, 1)], "worker")
        JobLog.objects.claim(second.pk, 1, "worker")
        for job in JobLog.objects.all():
            assert job.lease_until - job.processing_at == timedelta(seconds=lease)


def test_the_only_job_of_a_task_has_the_time_limit_of_its_type():
    with sample_types.registered(policy=Policy(timeout=1)) as handled:
        handled.behave = lambda job: time.sleep(30)
        job = sample_types.enqueue("slow")
        with pytest.raises(TimeoutException):
            run_all([job])
    job.refresh_from_db()
    assert (job.status, job.error) == ("failed", "its worker took longer than 1 s")


def test_a_job_that_takes_longer_than_its_type_allows_is_interrupted():
    with sample_types.registered(policy=Policy(timeout=1)) as handled:
        handled.behave = lambda job: time.sleep(30)
        jobs = [sample_types.enqueue("slow"), sample_types.enqueue("next")]
        with pytest.raises(TimeoutException):
            run_all(jobs)
    left = {job.job_id: (job.status, job.fingerprint, job.error) for job in JobLog.objects.all()}
    assert left == {
        "slow": (Status.FAILED, "Timeout", "its worker took longer than 1 s"),
        "next": (Status.ENQUEUED, "", ""),
    }
    waiting = {messages.attempts_of(row.payload)[0][0] for row in OrmQ.objects.filter(lock__lte=Now())}
    assert waiting == {jobs[1].pk}


def test_the_alarm_of_the_task_goes_on_after_a_job_with_a_time_limit_of_its_own():
    former = signal.signal(signal.SIGALRM, signal.SIG_IGN)
    try:
        signal.alarm(500)
        with django_q.time_limit(7):
            assert 0 < signal.alarm(7) <= 7
        assert 400 < signal.alarm(0) <= 500
        assert signal.getsignal(signal.SIGALRM) == signal.SIG_IGN
    finally:
        signal.signal(signal.SIGALRM, former)


def test_no_claimed_job_waits_for_one_with_a_time_limit_of_its_own():
    seen: list[tuple[str, dict[str, str]]] = []
    with sample_types.registered(policy=Policy(timeout=60)) as handled:
        job_types.register(job_types.JobType("quick-job", handler=handled.handler))
        handled.behave = lambda job: seen.append((job.job_id, dict(JobLog.objects.values_list("job_id", "status"))))
        jobs = [
            sample_types.enqueue("slow-1"),
            enqueue("quick-job", {}, job_id="quick-1", user_id="1"),
            sample_types.enqueue("slow-2"),
            enqueue("quick-job", {}, job_id="quick-2", user_id="1"),
        ]
        run_all(jobs)
        job_types.unregister("quick-job")
    assert {job_id for job_id, _ in seen[:2]} == {"quick-1", "quick-2"}
    done = {"quick-1": Status.COMPLETED, "quick-2": Status.COMPLETED}
    assert seen[2] == ("slow-1", {**done, "slow-1": Status.PROCESSING, "slow-2": Status.ENQUEUED})
    assert seen[3] == ("slow-2", {**done, "slow-1": Status.COMPLETED, "slow-2": Status.PROCESSING})
    assert OrmQ.objects.count() == 0


def test_jobs_without_a_turn_are_released_before_one_with_a_time_limit_of_its_own_runs(settings):
    visible: list[int] = []
    with sample_types.registered(policy=Policy(timeout=60)) as handled:
        job_types.register(job_types.JobType("quick-job", handler=handled.handler))
        handled.behave = lambda job: visible.append(OrmQ.objects.filter(lock__lte=Now()).count())
        quick = [enqueue("quick-job", {}, job_id=f"quick-{n}", user_id="1") for n in range(3)]
        slow = [sample_types.enqueue("slow-1"), sample_types.enqueue("slow-2")]
        OrmQ.objects.update(lock=Now() + timedelta(seconds=60))  # fetched
        settings.JOB_TIMEOUT_SECONDS = 0  # no time for any
        run_all([*quick, *slow])
        job_types.unregister("quick-job")
    assert handled.called == ["slow-1"]
    assert visible == [3]
    assert OrmQ.objects.filter(lock__lte=Now()).count() == 4


def test_a_job_has_the_lane_of_its_type():
    with sample_types.registered(lane="bulk"):
        assert sample_types.enqueue("a").lane == "bulk"


def test_an_equal_job_is_refused_while_the_first_waits_or_runs():
    with sample_types.registered(policy=Policy(unique=Unique(key=("order",)))):
        first = sample_types.enqueue("first", order=7, note="a")
        with pytest.raises(Duplicate) as refused:
            sample_types.enqueue("second", "2", order=7, note="b")
        assert refused.value.job.job_id == "first"
        claimed = JobLog.objects.claim(first.pk, 1, "worker")
        with pytest.raises(Duplicate):
            sample_types.enqueue("second", order=7)
        assert sample_types.enqueue("another", order=8).job_id == "another"
        enqueue(sample_types.NAME, {"order": 7}, job_id="other-site:1", user_id="1", source="other-site")
        claimed.complete()
        assert sample_types.enqueue("second", order=7).job_id == "second"


def test_an_equal_job_is_refused_for_a_period_unless_the_first_was_discarded():
    with sample_types.registered(policy=Policy(unique=Unique(period=3600.0))):
        first = sample_types.enqueue("first", order=7)
        JobLog.objects.claim(first.pk, 1, "worker").complete()
        with pytest.raises(Duplicate):
            sample_types.enqueue("second", order=7)
        assert sample_types.enqueue("third", order=7, more=1).discard()
        sample_types.enqueue("fourth", order=7, more=1)
        JobLog.objects.filter(pk=first.pk).update(created_at=Now() - timedelta(seconds=3601))
        assert sample_types.enqueue("second", order=7).job_id == "second"


def test_operators_see_the_policy_of_each_type():
    policy = Policy(backoff=(5.0, 300.0, 86_400.0), expires=180_000.0, timeout=40, unique=Unique(60.0, ("order",)))
    with sample_types.registered(policy=policy, lane="bulk"):
        page = signed_in("jobs.view_jobtypestate").get("/admin/jobs/jobtypestate/").content.decode()
    section = page.split(">test-job", 1)[1].split("</section>")[0]
    for expected in ("bulk", "5 s, 5 min 0 s, 1 d 0 h", "2 d 2 h", "40 s", "1 min 0 s", "order;"):
        assert f"<dd>{expected}" in section
