"""An enqueue takes one round trip, and so does a task that returns nothing; neither promises less for that."""

import time
from datetime import timedelta

import psycopg
import pytest
from django.db import DataError, connection, transaction
from django.test.utils import CaptureQueriesContext
from django.utils import timezone
from django_q.models import OrmQ

from jobs.brokers import django_q, listener, messages
from jobs.brokers.django_q import make_broker
from jobs.core import counters, sql
from jobs.core.job import JobLog, Status
from jobs.core.pauses import Lane
from jobs.core.sql import short
from jobs.queue.enqueue import Duplicate, enqueue_jobs, new_job
from jobs.tasks import enqueue as enqueueing
from jobs.tasks.compat import TaskResultStatus, task_finished, task_started
from jobs.tasks.stored import TaskResultRow
from jobs.testing import run_jobs
from jobs.worker import entry, settlement
from jobs.worker.thread_pool import Outcome
from tests.support import sample_tasks
from tests.support.live_site import database_url

pytestmark = [pytest.mark.django_db(transaction=True), pytest.mark.postgresql]


@pytest.fixture(autouse=True)
def calls():
    sample_tasks.calls.clear()
    counters.drain()


def statements(function, *arguments):
    with CaptureQueriesContext(connection) as queries:
        function(*arguments)
    return [query["sql"] for query in queries]


def run_the_only_message():
    [message] = OrmQ.objects.all()
    [(pk, attempt)] = messages.attempts_of(message.payload)
    entry.run_many([(pk, attempt)], [message.pk])


def completed():
    return counters.read("completed")[counters.Count("completed", ("task:tests.support.sample_tasks.echo",))][0]


def test_an_enqueue_outside_of_a_transaction_takes_one_round_trip():
    sample_tasks.echo.enqueue()
    [sent] = statements(sample_tasks.echo.enqueue, 7)
    assert sent.index("admit_job") < sent.index("COMMIT") < sent.index("pg_notify")
    assert (JobLog.objects.count(), OrmQ.objects.count()) == (2, 2)


def test_the_result_of_an_enqueue_has_the_times_of_the_database():
    result = sample_tasks.echo.enqueue()
    job = JobLog.objects.get()
    assert result == sample_tasks.echo.get_result(result.id)
    made = enqueueing.enqueue_task(sample_tasks.echo)
    stored = JobLog.objects.get(pk=made.pk)
    assert (made.created_at, made.run_at, made.expires_at) == (stored.created_at, stored.run_at, stored.expires_at)
    assert job.created_at < stored.created_at


def test_listeners_are_notified_after_the_commit():
    made = listener.Listener(messages.CHANNEL)
    made.listen()
    try:
        sample_tasks.echo.enqueue()
        assert made.wait(10)
    finally:
        connection.close()


def test_a_refused_enqueue_leaves_no_transaction_open():
    enqueueing.enqueue_task(sample_tasks.echo, job_id="one")
    with pytest.raises(Duplicate):
        enqueueing.enqueue_task(sample_tasks.echo, job_id="one")
    assert not sql.in_transaction(connection)
    assert (JobLog.objects.count(), OrmQ.objects.count()) == (1, 1)


def test_an_enqueue_that_fails_is_rolled_back_and_the_connection_stays_usable(monkeypatch):
    monkeypatch.setattr(messages, "queue_key", lambda job: "a key that does not fit" * 9)
    with pytest.raises(DataError, match="too long"):
        sample_tasks.echo.enqueue()
    assert not sql.in_transaction(connection)
    assert JobLog.objects.count() == 0


def test_the_message_of_a_scheduled_task_is_stored_with_its_row_and_visible_when_it_is_due():
    later = timezone.now() + timedelta(hours=1)
    assert len(statements(sample_tasks.echo.using(run_after=later).enqueue, 7)) == 1
    job, message = JobLog.objects.get(), OrmQ.objects.get()
    assert (job.run_at, message.lock, message.payload) == (later, later, f"job:{job.pk}")


def test_several_jobs_and_their_messages_are_written_with_one_statement():
    lanes = [Lane.URGENT, Lane.BULK, Lane.URGENT]  # the third has the id of the first
    echo = "task:tests.support.sample_tasks.echo"
    jobs = [new_job(echo, {}, job_id=str(lane), user_id="", lane=lane) for lane in lanes]
    with transaction.atomic():
        sent = statements(enqueue_jobs, jobs)
    assert ["admit_job" in text for text in sent] == [True, False], "the second reads the job of the used id"
    stored = OrmQ.objects.order_by("pk").values_list("key", "payload")
    assert list(stored) == [(messages.queue_key(job), f"job:{job.pk}") for job in jobs[:2]]


@pytest.mark.parametrize("count", [1, 6])
def test_a_message_of_plain_text_is_a_task_alone_and_with_others(count):
    for _ in range(count):
        sample_tasks.echo.enqueue()
    tasks = [django_q.unpack_task(payload) for _, payload in make_broker().dequeue()]
    pairs = [pair for function, args in tasks for pair in ([args] if function == messages.RUN else args[0])]
    assert sorted(map(tuple, pairs)) == [(pk, 1) for pk in JobLog.objects.order_by("pk").values_list("pk", flat=True)]


def test_no_transaction_of_the_caller_is_a_short_one():
    assert short.is_possible()
    with transaction.atomic():
        assert not short.is_possible()
        sample_tasks.echo.enqueue()
        transaction.set_rollback(True)
    assert JobLog.objects.count() == 0


def test_a_task_that_returns_nothing_is_claimed_and_settled_with_two_statements():
    sample_tasks.echo.enqueue()
    sent = statements(run_the_only_message)
    assert [text.split()[0] for text in sent] == ["SELECT", "SELECT", "WITH"], "the first is the test's own"
    assert JobLog.objects.get().status == Status.COMPLETED
    assert (OrmQ.objects.count(), TaskResultRow.objects.count(), completed()) == (0, 0, 1)


def test_a_value_is_stored_in_the_transaction_of_the_settlement():
    result = sample_tasks.echo.enqueue(7)
    run_the_only_message()
    assert sample_tasks.echo.get_result(result.id).return_value == 7
    assert (OrmQ.objects.count(), completed()) == (0, 1)


def test_a_worker_that_lost_its_lease_settles_nothing():
    sample_tasks.echo.enqueue()
    finished = []

    def take_over(task_result, **_):
        with psycopg.connect(database_url()) as other:
            other.execute("UPDATE job_logs SET attempt_count = 2")

    def finish(task_result, **_):
        finished.append(task_result)

    task_started.connect(take_over)
    task_finished.connect(finish)
    try:
        run_the_only_message()
    finally:
        task_started.disconnect(take_over)
        task_finished.disconnect(finish)
    job = JobLog.objects.get()
    assert (job.status, job.attempt_count, finished) == (Status.PROCESSING, 2, [])
    noted = counters.drain()
    assert [what.name for what in noted] == ["stale"]
    assert counters.read("completed") == {}


def test_a_claim_that_fails_holds_up_no_settlement(monkeypatch):
    """The states of job types are locked, by a migration, say: the work that is done is still settled."""
    first, second = (enqueueing.enqueue_task(sample_tasks.echo) for _ in range(2))
    JobLog.objects.claim_many([(first.pk, 1)], "tests/1")
    first = JobLog.objects.get(pk=first.pk)
    following = settlement.Following([(second.pk, 1)], "tests/1")
    with psycopg.connect(database_url()) as other:
        other.execute("LOCK TABLE jobs_jobtypestate IN ACCESS EXCLUSIVE MODE")
        monkeypatch.setitem(connection.settings_dict["OPTIONS"], "options", "-c lock_timeout=200ms")
        connection.close()
        settlement.settle([Outcome(first, None, 0.1)], [None], time.monotonic() + 3, following)
        connection.close()
    assert JobLog.objects.get(pk=first.pk).status == Status.COMPLETED
    assert JobLog.objects.get(pk=second.pk).status == Status.ENQUEUED


@pytest.mark.parametrize("value", [None, [1, "two"]])
def test_a_receiver_of_the_end_gets_the_result_that_can_be_read(value):
    seen = []

    def receive(task_result, **_):
        seen.append(task_result)

    task_finished.connect(receive)
    try:
        enqueued = sample_tasks.echo.enqueue(value)
        run_jobs()
    finally:
        task_finished.disconnect(receive)
    assert seen == [sample_tasks.echo.get_result(enqueued.id)]
    assert (seen[0].status, seen[0].return_value) == (TaskResultStatus.SUCCESSFUL, value)
