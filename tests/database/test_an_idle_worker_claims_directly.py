"""An idle worker hears the notification of a job and claims it itself; what it leaves is the pusher's."""

import os
import time
from datetime import timedelta
from multiprocessing import connection as sockets
from threading import Event, Thread, Timer

import psycopg
import pytest
from django.db import OperationalError, connection, transaction
from django.db.models.functions import Now
from django.utils import timezone
from django_q.models import OrmQ
from django_q.signals import post_execute_in_worker, pre_execute

from jobs.brokers import messages, orm
from jobs.brokers.direct import IDLE_SECONDS, RETRY_SECONDS, Direct
from jobs.brokers.task_queue import FORK, STOP, TaskQueue
from jobs.core.job import JobLog, JobQuerySet, Status
from jobs.core.pauses import JobTypeState, LaneState
from jobs.core.scoreboard import set_context
from jobs.core.sql import from_now
from jobs.worker import entry
from tests.support import sample_tasks, sample_types
from tests.support.live_site import database_url

pytestmark = [pytest.mark.django_db(transaction=True), pytest.mark.postgresql]


@pytest.fixture(autouse=True)
def context():
    context = set_context("host:1")
    context.scoreboard.hears = True
    sample_tasks.calls.clear()
    with sample_types.registered():
        yield context
    connection.close()


@pytest.fixture
def worker():
    """A worker that listens."""
    direct = Direct()
    direct.listen()
    assert direct.sockets == [connection.connection]
    return direct


def elsewhere(function, *arguments, **named):
    """Call a function with another connection."""

    def call():
        try:
            function(*arguments, **named)
        finally:
            connection.close()

    thread = Thread(target=call)
    thread.start()
    thread.join()


def called(worker, seconds=10):
    return worker.is_called(sockets.wait(worker.sockets, seconds))


def channels_of_this_connection():
    with connection.cursor() as cursor:
        cursor.execute("SELECT pg_listening_channels()")
        return [name for (name,) in cursor.fetchall()]


def run(task):
    """Run a task as django-q2's worker does."""
    pre_execute.send("django_q", func=task["func"], task=task)
    task["func"](*task["args"], **task["kwargs"])
    post_execute_in_worker.send("django_q", func=task["func"], task=task)


def test_a_job_is_claimed_with_its_notification_and_run_once(worker, context):
    elsewhere(sample_tasks.echo.enqueue)
    assert called(worker)
    task = worker.task()
    job = JobLog.objects.get()
    assert (job.status, job.worker, job.attempt_count) == (Status.PROCESSING, f"host:1/{os.getpid()}", 1)
    assert OrmQ.objects.count() == 0
    assert (task["func"], task["args"], task["group"]) == (entry.run, (job.pk, 1), "default")
    run(task)
    job.refresh_from_db()
    assert job.status == Status.COMPLETED
    assert context.claimed is None


def test_a_job_that_was_claimed_before_the_cluster_stops_is_run(worker, context):
    elsewhere(sample_tasks.echo.enqueue)
    assert called(worker)
    task = worker.task()
    context.scoreboard.drain()
    run(task)
    assert JobLog.objects.get().status == Status.COMPLETED


def test_a_cluster_that_drains_claims_nothing_more(worker, context):
    context.scoreboard.drain()
    elsewhere(sample_tasks.echo.enqueue)
    assert called(worker)
    assert worker.task() is None
    assert JobLog.objects.get().status == Status.ENQUEUED


def test_of_two_announced_queues_the_urgent_one_is_first(worker):
    elsewhere(sample_types.enqueue, "bulk", lane="bulk")
    elsewhere(sample_types.enqueue, "urgent", lane="urgent")
    time.sleep(1)  # both arrive
    assert called(worker)
    assert worker.task()["group"] == "urgent"
    assert JobLog.objects.get(status=Status.PROCESSING).job_id == "urgent"


def test_a_worker_with_a_long_job_is_sent_no_notifications(worker, settings):
    settings.JOB_TIMEOUT_SECONDS = 6  # that of the task is 7
    elsewhere(sample_tasks.patient.enqueue)
    assert called(worker)
    task = worker.task()
    assert channels_of_this_connection() == []
    run(task)
    assert JobLog.objects.get().status == Status.COMPLETED


@pytest.mark.parametrize("held", ["type", "lane"])
def test_a_held_job_keeps_its_message_for_the_pusher(worker, held):
    if held == "type":
        JobTypeState.objects.create(job_type="task:tests.support.sample_tasks.echo", paused_at=Now())
    else:
        LaneState.objects.update_or_create(lane="default", defaults={"paused_at": Now()})
    elsewhere(sample_tasks.echo.enqueue)
    assert called(worker)
    assert worker.task() is None
    assert JobLog.objects.get().status == Status.ENQUEUED
    assert len(orm.OrmBroker().dequeue()) == 1


def test_a_later_attempt_and_a_foreign_text_are_left_to_the_pusher(worker):
    job = sample_types.enqueue("later")
    OrmQ.objects.all().delete()
    elsewhere(messages.send, messages.to(job, 2))
    OrmQ.objects.create(key=messages.queue_key(job), payload="job:1; DROP TABLE", lock=from_now(-1))
    elsewhere(sample_types.enqueue, "first")
    assert called(worker)
    assert worker.task() is None
    assert set(JobLog.objects.values_list("status", flat=True)) == {Status.ENQUEUED}
    assert OrmQ.objects.count() == 3


def test_a_scheduled_job_is_left_until_it_is_due(worker):
    elsewhere(sample_tasks.echo.using(run_after=timezone.now() + timedelta(hours=1)).enqueue)
    assert called(worker)
    assert worker.task() is None
    assert OrmQ.objects.count() == 1


def test_a_notification_that_names_no_queue_only_wakes_the_pusher(worker, context):
    elsewhere(lambda: transaction.atomic()(messages.notify_clusters)())
    assert called(worker)
    assert worker.task() is None
    assert context.scoreboard.wait_for_bell(5, [])
    assert worker.sockets, "it listens on"


def test_two_notifications_are_one_claim_and_the_other_message_is_fetched(worker):
    for name in ("a", "b"):
        elsewhere(sample_types.enqueue, name)
    time.sleep(0.1)
    assert called(worker)
    assert worker.task() is not None
    assert not worker.sockets, "it has a task"
    assert JobLog.objects.filter(status=Status.PROCESSING).count() == 1
    assert len(orm.OrmBroker().dequeue()) == 1


def test_only_one_worker_of_a_cluster_listens_and_another_takes_over_when_it_dies(context):
    begun, end = FORK.Event(), FORK.Event()

    def listen_until_killed():
        connection.connection = None  # of the parent
        Direct().listen()
        begun.set()
        end.wait(60)

    other = FORK.Process(target=listen_until_killed)
    other.start()
    assert begun.wait(30)
    assert context.scoreboard.has_listener
    direct = Direct()
    direct.listen()
    assert not direct.sockets
    assert IDLE_SECONDS < direct.seconds_to_wait() <= RETRY_SECONDS
    other.kill()
    other.join()
    direct.listen()
    assert direct.sockets


def test_where_no_notification_arrives_no_worker_listens(context):
    context.scoreboard.hears = False
    direct = Direct()
    direct.listen()
    assert not direct.sockets
    assert channels_of_this_connection() == []


def test_a_worker_that_gets_a_task_from_the_queue_stops_listening(worker, context):
    tasks = TaskQueue(lambda task: False)
    reader = tasks.reader(direct=worker)
    assert channels_of_this_connection() == [messages.CHANNEL]
    tasks.put("from the pusher")
    assert reader.get() == "from the pusher"
    assert not context.scoreboard.has_listener
    assert channels_of_this_connection() == []


def test_an_idle_worker_begins_to_listen_and_reads_its_task_like_any_other(context):
    reader = TaskQueue(lambda task: False).reader(direct=Direct())
    has_task = Event()

    def enqueue_until_it_has_a_task():
        while not has_task.wait(0.5):
            elsewhere(sample_tasks.echo.enqueue)

    enqueueing = Thread(target=enqueue_until_it_has_a_task)
    enqueueing.start()
    task = reader.get()
    has_task.set()
    enqueueing.join()
    run(task)
    assert JobLog.objects.filter(status=Status.COMPLETED).count() == 1


def test_a_cluster_that_stops_claims_nothing_more(worker):
    tasks = TaskQueue(lambda task: False)
    reader = tasks.reader(direct=worker)
    elsewhere(sample_tasks.echo.enqueue)
    assert called(worker)
    tasks.put(STOP)
    assert reader.get() == STOP
    assert JobLog.objects.get().status == Status.ENQUEUED


def test_a_connection_that_is_lost_while_it_listens_ends_that_until_the_next_one(worker):
    with psycopg.connect(database_url(), autocommit=True) as other:
        other.execute("SELECT pg_terminate_backend(%s)", [connection.connection.info.backend_pid])
    while worker.sockets:  # first it reads what the server said at the end
        assert worker.task() is None
    worker.listen()
    elsewhere(sample_tasks.echo.enqueue)
    assert called(worker)
    run(worker.task())
    assert JobLog.objects.get().status == Status.COMPLETED


@pytest.mark.parametrize("error", [OperationalError("lost"), ZeroDivisionError("in the module of the job's type")])
def test_a_claim_that_ends_with_an_error_is_released_immediately(worker, monkeypatch, error):
    claim = JobQuerySet.claim_oldest

    def claim_and_fail(self, *arguments):
        claim(self, *arguments)
        raise error

    monkeypatch.setattr(JobQuerySet, "claim_oldest", claim_and_fail)
    elsewhere(sample_tasks.echo.enqueue)
    assert called(worker)
    task = worker.task()
    assert JobLog.objects.get().status == Status.PROCESSING
    run(task)
    assert JobLog.objects.lease_expired().count() == 1


def test_the_pusher_looks_a_moment_after_the_bell_for_what_the_worker_left(worker, context):
    broker = orm.OrmBroker()
    context.scoreboard.wait_for_bell(0, [])
    assert broker.dequeue() == []
    elsewhere(sample_tasks.echo.enqueue)
    context.scoreboard.ring_bell()
    assert broker.dequeue() == [], "the worker heard it"
    assert len(broker.dequeue()) == 1, "and left it"
    assert context.scoreboard.has_listener


def test_a_worker_whose_bell_comes_before_the_notification_is_not_forgotten(worker, context):
    broker = orm.OrmBroker()
    context.scoreboard.wait_for_bell(0, [])
    assert broker.dequeue() == []
    context.scoreboard.ring_bell()
    assert broker.dequeue() == []
    elsewhere(sample_tasks.echo.enqueue)
    assert called(worker)
    assert len(broker.dequeue()) == 1
    assert context.scoreboard.has_listener


def test_a_worker_that_hears_nothing_delays_one_job_and_is_forgotten(worker, context):
    broker, fetched = orm.OrmBroker(), 0
    context.scoreboard.wait_for_bell(0, [])
    assert broker.dequeue() == []
    for number in range(1, 10):
        later = Timer(0.1, elsewhere, [sample_tasks.echo.enqueue])  # while the pusher waits, unless the machine is busy
        later.start()
        until = time.monotonic() + 30
        while fetched < number and time.monotonic() < until:
            fetched += len(broker.dequeue())
        later.join()
        assert fetched == number
        if not context.scoreboard.has_listener:
            return
    pytest.fail("it is not forgotten")


def test_a_notification_that_comes_with_the_answer_to_a_statement_does_not_wait(context):
    broker = orm.OrmBroker()
    assert broker.dequeue() == []
    elsewhere(sample_tasks.echo.enqueue)
    with connection.cursor() as cursor:
        cursor.execute("SELECT 1")
    context.scoreboard.take_listening()
    waits = []
    context.scoreboard.wait_for_bell = lambda seconds, _: waits.append(seconds)
    assert len(broker.dequeue()) == 1
    assert waits == [0.0]


def test_a_pusher_without_a_listening_worker_fetches_what_it_hears(context):
    broker = orm.OrmBroker()
    assert broker.dequeue() == []
    elsewhere(sample_tasks.echo.enqueue)
    assert len(broker.dequeue()) == 1


def test_a_task_that_no_pusher_fetched_counts_as_work_and_not_as_fetched(worker, context):
    elsewhere(sample_tasks.echo.enqueue)
    assert called(worker)
    task = worker.task()
    now = context.scoreboard.read()
    assert (now.busy, now.pending, now.started) == (1, 0, 0)
    assert context.scoreboard.pending() == (0, 0)
    run(task)
    assert context.scoreboard.pending() == (0, 0)
    assert context.scoreboard.read().busy == 0
