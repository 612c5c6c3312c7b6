"""Quick jobs with a time limit of their own are claimed and settled together, and none suffers for another."""

import time
from collections import Counter

import psycopg
import pytest
from django.db import OperationalError, connection
from django.db.models.functions import Now
from django.test.utils import CaptureQueriesContext
from django_q.exceptions import TimeoutException
from django_q.models import OrmQ

from jobs.core import counters, job_types
from jobs.core.errors import ErrorClass, JobError, Temporary
from jobs.core.job import JobLog, Status
from jobs.core.job_types import Policy
from jobs.core.scoreboard import process_context
from jobs.core.sql import together
from jobs.queue.enqueue import enqueue
from jobs.tasks.compat import task_finished
from jobs.worker import pace, settlement
from jobs.worker.executor import Executor
from jobs.worker.pace import QUICK_CALLS
from jobs.worker.thread_pool import Outcome
from tests.support import sample_tasks, sample_types
from tests.support.live_site import database_url
from tests.support.sample_types import run_all

pytestmark = [pytest.mark.django_db(transaction=True), pytest.mark.engine]

QUICK_SECONDS = 0.2  # a busy machine takes more than the shipped 5 ms for a call of nothing


@pytest.fixture(autouse=True)
def executor(monkeypatch):
    monkeypatch.setattr(process_context(), "executor", Executor(50))
    monkeypatch.setattr(pace, "QUICK_SECONDS", QUICK_SECONDS)
    monkeypatch.setattr(pace, "FLUSH_SECONDS", 50 * QUICK_SECONDS)
    counters.drain()
    sample_tasks.calls.clear()


def jobs_of(count):
    return [sample_types.enqueue(f"job-{number}") for number in range(count)]


def number_of(job):
    return int(job.job_id.rpartition("-")[2])


def at_work():
    return JobLog.objects.filter(status=Status.PROCESSING).count()


def by_status():
    return Counter(JobLog.objects.values_list("status", flat=True))


@pytest.mark.postgresql
def test_many_quick_tasks_cost_few_statements():
    results = [sample_tasks.echo.enqueue() for _ in range(40)]
    jobs = JobLog.objects.order_by("pk")
    with CaptureQueriesContext(connection) as sent:
        run_all(jobs)
    assert by_status() == {Status.COMPLETED: 40}
    assert OrmQ.objects.count() == 0
    assert len(sent) < 20
    assert len({sample_tasks.echo.get_result(result.id).finished_at for result in results}) < 10
    completed = counters.Count("completed", ("task:tests.support.sample_tasks.echo",))
    assert counters.read("completed")[completed][0] == 40


def test_a_job_is_claimed_alone_until_its_type_is_known_to_be_quick():
    seen = []
    with sample_types.registered(policy=Policy(timeout=9)) as handled:
        handled.behave = lambda job: seen.append(at_work())
        run_all(jobs_of(8))
    assert seen[:QUICK_CALLS] == [1] * QUICK_CALLS
    assert seen[QUICK_CALLS] > 1
    assert by_status() == {Status.COMPLETED: 8}


@pytest.mark.parametrize("slow", [0, 1, 2])
def test_a_type_with_one_slow_call_of_the_last_ones_is_not_quick(slow):
    seen = []

    def behave(job):
        seen.append(at_work())
        if number_of(job) == slow:
            time.sleep(2 * QUICK_SECONDS)

    with sample_types.registered(policy=Policy(timeout=9)) as handled:
        handled.behave = behave
        run_all(jobs_of(slow + QUICK_CALLS))
    assert set(seen) == {1}


def test_a_type_that_may_take_longer_than_others_is_never_claimed_with_them(settings):
    settings.JOB_TIMEOUT_SECONDS = 20
    seen = []
    with sample_types.registered(policy=Policy(timeout=21)) as handled:
        handled.behave = lambda job: seen.append(at_work())
        run_all(jobs_of(8))
    assert seen == [1] * 8


def test_what_was_done_before_a_job_that_takes_too_long_is_settled_and_the_others_lose_no_attempt():
    with sample_types.registered(policy=Policy(timeout=1)) as handled:
        handled.behave = lambda job: time.sleep(30 if number_of(job) == 5 else 0)
        jobs = jobs_of(8)
        with pytest.raises(TimeoutException):
            run_all(jobs)
    stored = {number_of(job): job for job in JobLog.objects.all()}
    assert {number for number, job in stored.items() if job.status == Status.COMPLETED} == {0, 1, 2, 3, 4}
    assert (stored[5].status, stored[5].fingerprint, stored[5].attempts_left) == (
        Status.FAILED,
        "Timeout",
        jobs[5].max_attempts - 1,
    )
    for number in (6, 7):
        assert (stored[number].error_class, stored[number].attempts_left) == (
            ErrorClass.THROTTLED,
            jobs[number].max_attempts,
        )
    assert OrmQ.objects.count() == 3


def test_a_job_whose_lease_would_end_before_its_time_limit_is_not_begun():
    """The lease of two seconds' limit is four: after one of two seconds nothing is left of it."""
    with sample_types.registered(policy=Policy(timeout=2)) as handled:
        handled.behave = lambda job: time.sleep(1.5 if number_of(job) == 3 else 0)
        jobs = jobs_of(6)
        run_all(jobs)
    assert handled.called == ["job-0", "job-1", "job-2", "job-3"]
    assert by_status() == {Status.COMPLETED: 4, Status.FAILED: 2}
    for job in JobLog.objects.filter(status=Status.FAILED):
        assert job.error == "the jobs before it left it too little time"
        assert job.attempts_left == jobs[0].max_attempts


@pytest.mark.postgresql
def test_jobs_whose_leases_end_while_those_before_them_are_settled_are_not_begun():
    """The next jobs are claimed with a settlement, whose receivers may take long. The lease of one second is three."""
    finished = []

    def receive(task_result, **_):
        finished.append(task_result.id)
        if len(finished) == QUICK_CALLS:
            time.sleep(2.2)

    for _ in range(QUICK_CALLS + 2):
        sample_tasks.sleep.enqueue(0)
    task_finished.connect(receive)
    try:
        run_all(JobLog.objects.order_by("pk"))
    finally:
        task_finished.disconnect(receive)
    assert by_status() == {Status.COMPLETED: QUICK_CALLS, Status.FAILED: 2}
    assert {job.attempts_left for job in JobLog.objects.filter(status=Status.FAILED)} == {1}


def test_a_job_that_fails_costs_the_others_nothing():
    def behave(job):
        if number_of(job) == 4:
            raise Temporary("450 later")

    with sample_types.registered(policy=Policy(timeout=9)) as handled:
        handled.behave = behave
        run_all(jobs_of(9))
    assert len(handled.called) == 9
    assert by_status() == {Status.COMPLETED: 8, Status.FAILED: 1}


def test_what_every_other_job_would_meet_too_is_met_once():
    class WrongPassword(JobError):
        error_class = ErrorClass.CONFIGURATION

    def behave(job):
        if number_of(job) >= QUICK_CALLS:
            raise WrongPassword("535 wrong password")

    with sample_types.registered(policy=Policy(timeout=9)) as handled:
        handled.behave = behave
        run_all(jobs_of(9))
    assert len(handled.called) == QUICK_CALLS + 1
    assert by_status()[Status.COMPLETED] == QUICK_CALLS
    assert not JobLog.objects.filter(status=Status.PROCESSING).exists()


@pytest.mark.postgresql
def test_a_lease_that_was_lost_is_counted_as_such_and_the_others_are_settled():
    for _ in range(8):
        sample_tasks.take_lease.enqueue(5)
    run_all(JobLog.objects.order_by("pk"))
    assert by_status() == {Status.COMPLETED: 7, Status.PROCESSING: 1}
    counters.write_noted()
    kind = ("task:tests.support.sample_tasks.take_lease",)
    counted = {name: counters.read(name)[counters.Count(name, kind)][0] for name in ("completed", "stale")}
    assert counted == {"completed": 7, "stale": 1}


def test_only_jobs_whose_leases_end_together_are_claimed_together():
    """Else the lease of one that is done could end while it waits for another."""
    seen = []
    with sample_types.registered(policy=Policy(timeout=1)) as handled:
        job_types.register(job_types.JobType("longer", handler=handled.handler, policy=Policy(timeout=9)))
        warm = jobs_of(QUICK_CALLS) + [
            enqueue("longer", {}, job_id=f"warm-{n}", user_id="1") for n in range(QUICK_CALLS)
        ]
        run_all(warm)
        handled.behave = lambda job: seen.append(at_work())
        mixed = [("test-job", "a-1"), ("test-job", "a-2"), ("longer", "b-1"), ("longer", "b-2")]
        run_all([enqueue(kind, {}, job_id=job_id, user_id="1") for kind, job_id in mixed])
        job_types.unregister("longer")
    assert seen == [2, 2, 2, 2]


@pytest.mark.postgresql
def test_a_job_that_another_transaction_has_locked_holds_up_no_settlement():
    first, second = (sample_tasks.echo.enqueue() for _ in range(2))
    pks = dict(JobLog.objects.filter(status=Status.ENQUEUED).values_list("job_id", "pk"))
    done = JobLog.objects.claim_many([(pks[first.id], 1)], "tests/1")
    following = settlement.Following([(pks[second.id], 1)], "tests/1")
    with psycopg.connect(database_url()) as other:
        other.execute("SELECT FROM job_logs WHERE id = %s FOR UPDATE", [pks[second.id]])
        settlement.settle([Outcome(done[0], None, 0.0)], [None], time.monotonic() + 3, following)
    assert JobLog.objects.get(job_id=first.id).status == Status.COMPLETED
    assert (following.claimed, following.was_tried) == ([], True)


@pytest.mark.postgresql
def test_claims_whose_answer_was_lost_are_released(monkeypatch):
    """The server settles and claims, and the connection is lost: no job waits for the end of a lease."""
    for _ in range(QUICK_CALLS + 4):
        sample_tasks.echo.enqueue()
    jobs = list(JobLog.objects.order_by("pk"))
    fetch, lost = together.fetch_both, []

    def lose(completing, claiming):
        answer = fetch(completing, claiming)
        if len(answer[2]) > 1 and not lost:
            lost.append(len(answer[2]))
            raise OperationalError("server closed the connection unexpectedly")
        return answer

    monkeypatch.setattr(together, "fetch_both", lose)
    run_all(jobs)
    assert lost
    running = JobLog.objects.filter(status=Status.PROCESSING)
    assert running.count() == lost[0]
    assert not running.filter(lease_until__gt=Now()).exists()
