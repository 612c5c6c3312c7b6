"""Batches: many jobs in few statements, and each of them as safe as if it were alone."""

import threading
import time

import pytest
from django.db import OperationalError, connection
from django.test.utils import CaptureQueriesContext
from django_q.exceptions import TimeoutException
from django_q.models import OrmQ
from django_q.signing import SignedPackage

from jobs.brokers import django_q, messages, orm
from jobs.core import counters, errors, job_types, pauses
from jobs.core.attempts import JobAttempt
from jobs.core.job import JobLog, Status
from jobs.core.scoreboard import process_context
from jobs.core.sql import from_now
from jobs.worker import entry, settlement
from jobs.worker.executor import Executor
from jobs.worker.pace import SLOW_START_SECONDS, Pace
from tests.support import sample_types
from tests.support.machine import eventually
from tests.support.queues import clusters_of, enqueue, sent, statuses
from tests.support.site import Site
from tests.support.smtp_server import SmtpServer

pytestmark = [pytest.mark.django_db(transaction=True), pytest.mark.slow]
QUICK, SLOW = 0.0001, 0.05  # seconds a call has taken


@pytest.fixture
def handled(monkeypatch):
    monkeypatch.setattr(process_context(), "executor", Executor(50))
    with sample_types.registered() as recorder:
        yield recorder


@pytest.fixture
def in_threads(handled):
    """The type of the tests, with a handler that may run in threads."""
    kind = job_types.JobType(sample_types.NAME, handler=handled.handler, execution=job_types.Execution(threads=True))
    job_types.register(kind)
    return handled


def executor() -> Executor:
    """The executor of this process."""
    return process_context().executor


def fetched() -> list[tuple[list[int], list[tuple[int, int]]]]:
    """What the broker hands on: receipts, and the attempts they are for."""
    tasks = []
    for receipts, payload, _ in orm.OrmBroker()._fetch():
        args = SignedPackage.loads(payload)["args"]
        tasks.append((receipts, args[0] if len(args) == 1 else [args]))
    return tasks


def run_together(jobs: list[JobLog]) -> None:
    """One task of many first attempts, as a worker gets it."""
    receipts = dict(OrmQ.objects.order_by("pk").values_list("pk", "payload"))
    of = {messages.attempts_of(payload)[0][0]: receipt for receipt, payload in receipts.items()}
    entry.run_many([(job.pk, 1) for job in jobs], [of.get(job.pk) for job in jobs])


def note_threads(handled: sample_types.Recorder, seconds: float) -> set[int]:
    """The threads that will call the handler, which takes so long."""
    threads: set[int] = set()

    def behave(job: JobLog) -> None:
        threads.add(threading.get_ident())
        time.sleep(seconds)

    handled.behave = behave
    return threads


def enqueue_here(count: int) -> list[JobLog]:
    return [sample_types.enqueue(f"job-{number:02}", user_id=str(number)) for number in range(count)]


def of_postgresql() -> None:
    if connection.vendor != "postgresql":
        pytest.fail("this is about PostgreSQL; the plain path of SQLite has its tests elsewhere")


def test_first_attempts_are_handed_on_together_and_later_ones_alone(handled):
    of_postgresql()
    enqueue_here(20)
    later = sample_types.enqueue("later")
    OrmQ.objects.filter(pk=OrmQ.objects.latest("pk").pk).delete()
    messages.send(messages.to(later, 2))
    tasks = fetched()
    assert sorted(len(attempts) for _, attempts in tasks) == [1, 10, 10], "each of two workers gets its share"
    assert {attempt for _, attempts in tasks for _, attempt in attempts if len(attempts) > 1} == {1}
    assert all(len(receipts) == len(attempts) for receipts, attempts in tasks)


def test_a_batch_takes_a_handful_of_statements(handled):
    jobs = enqueue_here(40)
    executor().pace = Pace(50, seconds=QUICK)
    with CaptureQueriesContext(connection) as queries:
        run_together(jobs)
    assert JobLog.objects.filter(status=Status.COMPLETED).count() == 40
    assert len(handled.called) == 40
    assert not OrmQ.objects.exists()
    written = [query["sql"] for query in queries if not query["sql"].startswith(("BEGIN", "COMMIT"))]
    groups = sum("job_counters" in sql for sql in written)
    assert len(written) <= 2 + 4 * groups, "this test's own, one claim; of each group lock, settle, count, drop"


def test_a_settlement_that_gives_up_keeps_the_counts_it_was_to_write(handled, monkeypatch):
    counters.drain()
    counters.note(counters.Count("mails", ("accepted",)))

    def refuse(_receipts):
        raise OperationalError("the database is away")

    monkeypatch.setattr(settlement, "drop_messages", refuse)
    with pytest.raises(OperationalError):
        settlement.settle([], [None], until=0.0)
    assert counters.drain() == {counters.Count("mails", ("accepted",)): (1, 0.0)}


def test_a_batch_leaves_alone_what_is_not_its_own(handled):
    mine, discarded, running, done = enqueue_here(4)
    discarded.discard()
    JobLog.objects.claim(running.pk, 1, "another")
    JobLog.objects.claim(done.pk, 1, "another").complete()
    executor().pace = Pace(50, seconds=QUICK)
    run_together([mine, discarded, running, done])
    assert handled.called == ["job-00"]
    assert list(JobLog.objects.order_by("job_id").values_list("status", flat=True)) == [
        Status.COMPLETED,
        Status.DISCARDED,
        Status.PROCESSING,
        Status.COMPLETED,
    ]
    attempt = SignedPackage.loads(OrmQ.objects.get().payload)["args"]
    assert attempt == (running.pk, 2), "should its worker die, another worker comes when its lease ends"


def test_a_batch_of_a_paused_type_is_not_claimed(handled):
    jobs = enqueue_here(3)
    pauses.pause(sample_types.NAME, who="boss", why="")
    executor().pace = Pace(50, seconds=QUICK)
    run_together(jobs)
    assert (handled.called, OrmQ.objects.count()) == ([], 0)
    assert set(JobLog.objects.values_list("status", "attempt_count")) == {(Status.ENQUEUED, 0)}


def test_a_job_that_fails_fails_alone(handled):
    jobs = enqueue_here(5)

    def behave(job):
        if job.job_id == "job-02":
            raise errors.Temporary("450 later", code=450)

    handled.behave = behave
    executor().pace = Pace(50, seconds=QUICK)
    run_together(jobs)
    assert sorted(JobLog.objects.values_list("status", flat=True)) == [Status.COMPLETED] * 4 + [Status.FAILED]
    assert JobAttempt.objects.get().job.job_id == "job-02"
    assert OrmQ.objects.count() == 1, "the message of its next attempt"


@pytest.mark.parametrize("pace", [QUICK, SLOW])
def test_no_thread_asks_again_and_again_with_a_wrong_password(in_threads, pace):
    jobs = enqueue_here(40)

    def behave(job):
        time.sleep(0.02)
        raise errors.Configuration("535 no", code=535)

    in_threads.behave = behave
    executor().pace = Pace(4, seconds=pace)
    run_together(jobs)
    assert len(in_threads.called) <= 8
    assert set(JobLog.objects.values_list("status", flat=True)) <= {Status.FAILED, Status.ENQUEUED}
    assert {job.attempts_left for job in JobLog.objects.all()} == {5}, "no job burns an attempt"


def test_handlers_run_side_by_side_while_they_are_slow(in_threads):
    jobs = enqueue_here(30)
    threads = note_threads(in_threads, seconds=0.03)
    run_together(jobs)
    assert len(threads) > 5
    assert JobLog.objects.filter(status=Status.COMPLETED).count() == 30


@pytest.mark.parametrize(
    ("calls", "pace"),
    [
        ([0.3], 0.0),  # opened a connection
        ([0.3, 0.008, 0.007], 0.0),  # found nothing in any cache
        ([0.3, 0.008, 0.007, 0.006], 0.006),
        ([0.3, 0.05], 0.05),  # no cold call is as slow as that: the server is
        ([0.3, 0.002, 0.002, 0.001, 0.009, 0.008], 0.001),  # two hiccups
        ([0.3, 0.002, 0.002, 0.001, 0.009, 0.008, 0.007], 0.007),
        ([0.3, 0.002, 0.002, 0.001, 0.2], 0.2),
    ],
)
def test_a_hiccup_is_not_taken_for_a_slow_server(calls, pace):
    learned = Pace(50)
    for seconds in calls:
        learned.record_call(seconds, now=0.0)
    assert learned.seconds == pace


@pytest.mark.parametrize(
    ("seconds", "cpu_seconds", "threads"),
    [
        (0.002, 0.0004, 1),  # a quick server
        (0.008, 0.0004, 1),  # a quick server and a busy processor
        (0.012, 0.001, 1),
        (0.012, 0.0004, 12),  # a slow server
        (0.05, 0.001, 50),
    ],
)
def test_a_busy_processor_is_not_taken_for_a_slow_server(seconds, cpu_seconds, threads):
    learned = Pace(50)
    for _ in range(6):
        learned.record_call(seconds, now=0.0, cpu_seconds=cpu_seconds)
    assert learned.concurrency(100, now=0.0) == threads


def note_claims(monkeypatch, handled: sample_types.Recorder, fails_at: int = 0) -> list[int]:
    """How many handlers were at work at each claim; the claim of that number finds the database away."""
    at_work: set[str] = set()
    claims: list[int] = []
    claim_many = type(JobLog.objects.all()).claim_many

    def behave(job: JobLog) -> None:
        at_work.add(job.job_id)
        time.sleep(0.03)
        at_work.discard(job.job_id)

    def noted(queryset, attempts, worker):
        time.sleep(0.01)  # a thread that was started has begun
        claims.append(len(at_work))
        if len(claims) == fails_at:
            raise OperationalError("server closed the connection")
        return claim_many(queryset, attempts, worker)

    handled.behave = behave
    monkeypatch.setattr(type(JobLog.objects.all()), "claim_many", noted)
    executor().pace = Pace(5, seconds=0.03, sampled_at=time.monotonic())
    return claims


def test_more_is_taken_on_while_mails_are_on_their_way(in_threads, monkeypatch):
    jobs = enqueue_here(60)
    claims = note_claims(monkeypatch, in_threads)
    run_together(jobs)
    assert sorted(in_threads.called) == [job.job_id for job in jobs]
    assert len(claims) > 2
    assert sum(at_work > 0 for at_work in claims) >= len(claims) - 2, "no thread waits for the next claim"
    assert not OrmQ.objects.exists()


def test_a_database_that_goes_away_over_the_next_claim_costs_no_mail_on_its_way(in_threads, monkeypatch):
    jobs = enqueue_here(60)
    claims = note_claims(monkeypatch, in_threads, fails_at=2)
    run_together(jobs)
    assert len(claims) == 2
    completed = set(JobLog.objects.filter(status=Status.COMPLETED).values_list("job_id", flat=True))
    assert sorted(in_threads.called) == sorted(completed), "each that was sent is settled"
    waiting = JobLog.objects.filter(status=Status.ENQUEUED, attempt_count=0)
    assert len(completed) + waiting.count() == 60
    assert OrmQ.objects.count() == waiting.count(), "the rest has its messages"


def test_a_type_that_must_run_alone_does_among_others(in_threads, monkeypatch, request):
    jobs = enqueue_here(30)
    note_claims(monkeypatch, in_threads)
    job_types.register(job_types.JobType("alone", handler=in_threads.handler))
    request.addfinalizer(lambda: job_types.unregister("alone"))
    JobLog.objects.filter(pk__in=[job.pk for job in jobs[20::3]]).update(job_type="alone")
    threads: dict[str, int] = {}
    behave = in_threads.behave

    def noted(job: JobLog) -> None:
        threads[job.job_id] = threading.get_ident()
        behave(job)

    in_threads.behave = noted
    run_together(jobs)
    assert JobLog.objects.filter(status=Status.COMPLETED).count() == 30
    assert {threads[job.job_id] for job in jobs[20::3]} == {threading.get_ident()}
    assert threading.get_ident() not in {threads[job.job_id] for job in jobs[:20]}


def test_a_long_queue_is_handed_on_in_long_tasks_but_for_what_is_done_alone(handled, settings, monkeypatch):
    of_postgresql()
    settings.JOB_BATCH_SIZE = 4
    monkeypatch.setattr(django_q.Conf, "BULK", 8)
    jobs = enqueue_here(40)
    assert sorted(len(attempts) for _, attempts in fetched()) == [16, 16]
    OrmQ.objects.all().delete()
    for number, job in enumerate(jobs):
        messages.send(messages.to(job, 2 if number == 3 else 1))
    assert sorted(len(attempts) for _, attempts in fetched()) == [1, 3, 4], "eight, and no more with one among them"


@pytest.mark.parametrize(
    ("pace", "concurrency", "claim_size"),
    [(0.0, 1, 1), (0.0001, 1, 50), (0.0049, 1, 10), (0.01, 10, 50), (0.05, 50, 50), (10.0, 50, 50)],
)
def test_concurrency_follows_the_pace(pace, concurrency, claim_size):
    known = Pace(50, seconds=pace)
    assert (known.concurrency(100, now=0.0), known.claim_size(50, now=0.0)) == (concurrency, claim_size)


def test_jobs_that_cannot_run_in_threads_are_claimed_for_one():
    assert Pace(50, seconds=0.01).claim_size(50, now=0.0, inline=True) == 5
    assert Pace(50, seconds=10.0).claim_size(50, now=0.0, inline=True) == 1


def test_throttling_halves_the_concurrency_until_the_server_had_time_to_recover():
    pace = Pace(50, seconds=SLOW)
    pace.record_throttling(40, now=0.0)
    assert pace.concurrency(100, now=1.0) == 20
    pace.record_throttling(1, now=1.0)
    assert pace.concurrency(100, now=SLOW_START_SECONDS) == 1, "never none"
    assert pace.concurrency(100, now=SLOW_START_SECONDS + 2) == 2
    assert pace.concurrency(100, now=SLOW_START_SECONDS + 3) == 2
    assert pace.concurrency(100, now=2 * SLOW_START_SECONDS + 3) == 4


@pytest.mark.parametrize(("seconds", "pause"), [(0.001, 1.0), (0.05, 1.0), (0.5, 10.0)])
def test_a_call_is_made_alone_again_every_now_and_then(seconds, pause):
    pace = Pace(50, seconds=seconds, sampled_at=100.0)
    assert not pace.sample_due(100.0 + pause)
    assert pace.sample_due(100.1 + pause)
    assert Pace(50, seconds=seconds).sample_due(0.0), "at first it is not known how old the number is"


def test_a_handler_that_asks_the_database_never_runs_in_a_thread(handled):
    jobs = enqueue_here(10)
    threads = note_threads(handled, seconds=0.02)
    run_together(jobs)
    assert threads == {threading.get_ident()}


def test_a_server_that_refuses_so_many_connections_is_asked_by_half_as_many(in_threads):
    jobs = enqueue_here(16)

    def behave(job):
        time.sleep(0.02)
        raise errors.Throttled("421 too many connections", code=421)

    in_threads.behave = behave
    executor().pace = Pace(50, seconds=SLOW, sampled_at=time.monotonic())
    run_together(jobs)
    assert executor().pace.limit == 8
    assert set(JobLog.objects.values_list("status", flat=True)) == {Status.FAILED}
    assert {job.attempts_left for job in JobLog.objects.all()} == {5}


def test_out_of_time_costs_those_an_attempt_that_were_begun_and_the_rest_nothing(handled):
    jobs = enqueue_here(6)

    def behave(job):
        if len(handled.called) == 3:
            raise TimeoutException  # as the alarm does, wherever the process happens to be

    handled.behave = behave
    executor().pace = Pace(50, seconds=QUICK)
    with pytest.raises(TimeoutException):
        run_together(jobs)
    left = {job.job_id: (job.status, job.attempts_left, job.fingerprint) for job in JobLog.objects.all()}
    assert [left[f"job-0{n}"] for n in range(6)] == [
        (Status.COMPLETED, 4, ""),
        (Status.COMPLETED, 4, ""),
        (Status.FAILED, 4, "Timeout"),
        *[(Status.FAILED, 5, "NoTurn")] * 3,
    ]


def test_what_was_not_taken_on_when_time_runs_out_goes_back_immediately(handled, settings):
    jobs = enqueue_here(6)
    handled.behave = lambda job: time.sleep(0.3)  # as slow as this, one at a time is taken on
    settings.JOB_TIMEOUT_SECONDS = 1
    later = sample_types.enqueue("later", user_id="later")
    run_together(jobs)
    assert 1 <= len(handled.called) < 6
    waiting = set(JobLog.objects.filter(status=Status.ENQUEUED, attempt_count=0).values_list("pk", flat=True))
    assert len(waiting) == 7 - len(handled.called)
    visible = OrmQ.objects.filter(lock__lte=from_now(0)).order_by("lock")
    in_line = [messages.attempts_of(row.payload)[0][0] for row in visible]
    assert set(in_line) == waiting
    assert in_line[-1] == later.pk  # it came after them


@pytest.mark.processes
def test_a_worker_killed_in_the_middle_of_a_batch_sends_twice_no_more_than_it_had_in_flight():
    smtp = SmtpServer(pipelining=True)
    smtp.start()
    try:
        with Site(EMAIL_PORT=str(smtp.port), JOB_LEASE_SECONDS="6") as site, clusters_of(site) as start:
            enqueue(site, *(f"job-{number}" for number in range(300)))
            smtp.behave(at="DATA", delay=0.05)
            cluster = start()
            eventually(lambda: len(smtp.mails) > 60)
            killed = cluster.kill("busy worker")
            eventually(lambda: statuses(site) == {"completed": 300}, seconds=60)
            often = sent(smtp)
            assert len(often) == 300, "none is lost"
            assert max(often.values()) <= 2
            assert sum(often.values()) - 300 <= killed * 50
            assert cluster.end() == 0
    finally:
        smtp.stop()
