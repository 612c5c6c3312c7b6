"""Lanes: what is urgent is fetched first, each lane has a share, and within a lane the sites take turns."""

import boto3
import pytest
from django.db import connection
from django.test.utils import CaptureQueriesContext
from django_q.models import OrmQ
from django_q.signing import SignedPackage
from moto import mock_aws

from accounts.notices import job_types as notices
from jobs.brokers import django_q, messages, orm, sqs
from jobs.brokers.lanes import QueueId
from jobs.core import job_types
from jobs.core.job import JobLog, Status
from jobs.core.pauses import Lane
from jobs.core.scoreboard import set_context
from jobs.core.sql import from_now
from jobs.maintenance import reconciler
from jobs.queue import actions
from jobs.queue.enqueue import new_job
from tests.support import sample_types
from tests.support.operators import job

pytestmark = [pytest.mark.django_db(transaction=True), pytest.mark.engine]
LANES = Lane.values


@pytest.fixture
def handled():
    set_context("host:1")
    with sample_types.registered() as recorder:
        yield recorder


@pytest.fixture
def four_at_a_time(settings, monkeypatch):
    settings.JOB_BATCH_SIZE = 1
    monkeypatch.setattr(django_q.Conf, "BULK", 4)


def fetched(broker: orm.OrmBroker) -> list[str]:
    """The ids of the jobs that the next fetch brings, in its order."""
    tasks = [SignedPackage.loads(task.payload) for task in broker._fetch()]
    return [JobLog.objects.get(pk=task["args"][0]).job_id for task in tasks]


def test_the_most_urgent_job_comes_first_though_it_was_enqueued_last(handled, four_at_a_time):
    for lane in ("bulk", "default", "alert", "urgent"):
        sample_types.enqueue(lane, lane=lane)
    assert fetched(orm.OrmBroker()) == ["urgent", "alert", "default", "bulk"]


def test_a_flood_of_urgent_jobs_leaves_every_lane_its_share(handled, four_at_a_time):
    for number in range(16):
        for lane in LANES:
            sample_types.enqueue(f"{lane}-{number}", lane=lane)
    broker, seen = orm.OrmBroker(), []
    for _ in range(4):
        seen += [job_id.partition("-")[0] for job_id in fetched(broker)]
    assert {lane: seen.count(lane) for lane in LANES} == {"urgent": 10, "alert": 2, "default": 2, "bulk": 2}


def test_within_a_lane_a_site_with_little_does_not_wait_for_one_with_much(handled, four_at_a_time):
    for number in range(12):
        sample_types.enqueue(f"big-{number:02}", source="big")
    for number in range(2):
        sample_types.enqueue(f"small-{number}", source="small")
    assert sorted(fetched(orm.OrmBroker())) == ["big-00", "big-01", "small-0", "small-1"]


def test_each_message_waits_in_the_queue_of_its_lane_and_source(handled):
    sample_types.enqueue("a")
    sample_types.enqueue("b", lane="urgent")
    sample_types.enqueue("c", lane="bulk", source="shop")
    assert sorted(OrmQ.objects.values_list("key", flat=True)) == ["notifier", "notifier-bulk:shop", "notifier-urgent"]
    assert set(messages.waiting_since()) == {"default", "urgent", "bulk"}


@pytest.mark.postgresql
def test_a_fetch_reads_an_index_however_many_messages_wait(handled):
    rows = "SELECT 'notifier-bulk:' || n % 3, '', now() - interval '1 hour' FROM generate_series(1, 20000) AS n"
    with connection.cursor() as cursor:
        cursor.execute(f"INSERT INTO django_q_ormq (key, payload, lock) {rows}")
        cursor.execute("ANALYZE django_q_ormq")
        cursor.execute("EXPLAIN (ANALYZE, FORMAT JSON) " + django_q.MESSAGES.look_at, [100])
        plan = cursor.fetchone()[0]
    read = [node for node in nodes(plan[0]["Plan"]) if node.get("Relation Name") == "django_q_ormq"]
    assert read, plan
    assert {node["Node Type"] for node in read} <= {"Index Scan", "Index Only Scan"}
    assert sum(node["Actual Rows"] * node["Actual Loops"] for node in read) < 500


def nodes(plan: dict) -> list[dict]:
    return [plan, *(node for below in plan.get("Plans", []) for node in nodes(below))]


@pytest.mark.postgresql
def test_the_oldest_of_a_lane_is_found_by_its_index(handled):
    JobLog.objects.bulk_create(JobLog(**_waiting(number)) for number in range(3000))
    with connection.cursor() as cursor:
        cursor.execute("ANALYZE job_logs")
    with CaptureQueriesContext(connection) as asked:
        assert JobLog.objects.due().oldest_waits()["urgent"] == 0
    with connection.cursor() as cursor:
        for query in asked.captured_queries:
            cursor.execute("EXPLAIN " + query["sql"])
            assert "job_waiting_lane" in str(cursor.fetchall())


def _waiting(number: int) -> dict:
    fields = {"job_type": "test-job", "user_id": "1", "max_attempts": 5, "expires_at": from_now(60), "lane": "bulk"}
    return {**fields, "job_id": f"job-{number}"}


def test_a_replayed_job_keeps_its_lane(handled):
    dead = job("dead", Status.DLQ, lane="urgent", job_type=sample_types.NAME)
    assert actions.replay(dead, who="boss")
    assert (JobLog.objects.get().lane, OrmQ.objects.get().key) == ("urgent", "notifier-urgent")
    OrmQ.objects.all().delete()
    JobLog.objects.update(status=Status.DLQ, dlq_reason="exhausted")
    assert actions.replay_many(list(JobLog.objects.all())) == 1
    assert OrmQ.objects.get().key == "notifier-urgent"


@pytest.mark.parametrize("lane", LANES)
def test_a_job_whose_message_was_lost_gets_one_in_its_lane_though_other_lanes_are_long(handled, lane):
    for other in LANES:
        sample_types.enqueue(f"{other}", lane=other)
    OrmQ.objects.update(lock=from_now(-120))
    JobLog.objects.update(run_at=from_now(-60))
    lost = JobLog.objects.get(job_id=lane)
    OrmQ.objects.filter(key=QueueId(lane).key("notifier")).delete()
    assert reconciler.requeue_orphans() == 1
    [message] = OrmQ.objects.filter(key=QueueId(lane).key("notifier"))
    assert SignedPackage.loads(message.payload)["args"] == (lost.pk, 1)


def test_without_room_only_what_is_urgent_is_fetched(handled):
    for lane in LANES:
        sample_types.enqueue(lane, lane=lane)
    broker = orm.OrmBroker()
    scoreboard = set_context("host:1").scoreboard
    scoreboard.polled(100)
    assert len(broker.dequeue()) == 2
    assert broker.dequeue() == [], "what else waits is left where it is"
    assert scoreboard.pending() == (102, 2)
    for _ in range(100):
        scoreboard.started()
    assert len(broker.dequeue()) == 2, "as soon as there is room, without another NOTIFY"


def test_what_each_email_is_worth():
    lanes = {name: job_types.get(name).lane for name in notices.ACCOUNT_TYPES}
    assert lanes == {
        "account-mail": "urgent",
        "dispute-mail": "urgent",
        "security-mail": "alert",
        "operator-alert": "alert",
        "signin-summary": "bulk",
        "site-dispute": "urgent",
        "site-dispute-summary": "alert",
    }
    assert job_types.get("signin-notification").lane == "default"
    assert new_job("account-mail", {}, job_id="a", user_id="1").lane == "urgent"


def test_a_job_may_be_enqueued_in_any_lane_there_is():
    with pytest.raises(ValueError, match="urgent, alert, default, bulk"):
        new_job(sample_types.NAME, {}, job_id="a", user_id="1", lane="express")


@pytest.fixture
def simple_queues(monkeypatch):
    for name in ("AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY"):
        monkeypatch.setenv(name, "x")
    monkeypatch.setenv("AWS_DEFAULT_REGION", "eu-west-1")
    monkeypatch.setattr(sqs.connections_of_threads, "pid", 0, raising=False)
    with mock_aws():
        yield


def test_over_sqs_each_lane_has_a_queue_and_the_most_urgent_comes_first(handled, simple_queues):
    broker = sqs.SqsBroker("notifier")
    for lane in ("bulk", "default", "urgent"):
        broker.lane = lane
        broker.enqueue(django_q.pack_task(messages.RUN, len(lane), 1, id="1", name="a", lane=lane))
    names = {url.rpartition("/")[2] for url in boto3.client("sqs").list_queues()["QueueUrls"]}
    assert names >= {"notifier", "notifier-bulk", "notifier-urgent"}
    assert set(broker.waiting_since()) == {"urgent", "default", "bulk"}
    order = []
    for _ in range(3):
        [(receipts, payload)] = broker.dequeue()
        order.append(SignedPackage.loads(payload)["group"])
        broker.acknowledge(receipts)
    assert order[0] == "urgent"
    assert sorted(order) == ["bulk", "default", "urgent"]
    assert broker.waiting_since() == {}, "what was acknowledged is gone from its queue"
