"""Messages in Redis and SQS are stored, fetched and deleted many at a time, as those in PostgreSQL are."""

from itertools import count

import pytest
from django.db import transaction
from django_q.conf import Conf
from django_q.signing import SignedPackage
from moto import mock_aws
from redis.exceptions import ConnectionError as RedisAway

from jobs.brokers import django_q, messages, redis, sqs
from jobs.brokers.messages import RUN, RUN_MANY
from jobs.core.job import JobLog, Status
from jobs.core.scoreboard import process_context, set_context
from jobs.worker import entry
from jobs.worker.executor import Executor
from jobs.worker.settlement import drop_messages
from tests.support import sample_types

pytestmark = pytest.mark.django_db(transaction=True)
names = count(1)


@pytest.fixture
def over_redis(monkeypatch, redis_url):
    set_context("host:1")
    monkeypatch.setattr(Conf, "BROKER_CLASS", "jobs.brokers.redis.RedisBroker")
    monkeypatch.setattr(Conf, "REDIS", redis_url)
    monkeypatch.setattr(Conf, "CLUSTER_NAME", f"batches-{next(names)}")
    return django_q.make_broker()


@pytest.fixture
def over_sqs(monkeypatch):
    set_context("host:1")
    for name in ("AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY"):
        monkeypatch.setenv(name, "testing")
    monkeypatch.setenv("AWS_DEFAULT_REGION", "eu-west-1")
    monkeypatch.setattr(Conf, "BROKER_CLASS", "jobs.brokers.sqs.SqsBroker")
    monkeypatch.setattr(Conf, "CLUSTER_NAME", f"batches-{next(names)}")
    monkeypatch.setattr(sqs.connections_of_threads, "pid", 0, raising=False)
    with mock_aws():
        yield django_q.make_broker()


def lanes_of(tasks: list[tuple[object, str]]) -> list[tuple[str, int]]:
    """The lane and the number of jobs of each task."""
    return [(SignedPackage.loads(payload)["group"], len(receipts)) for receipts, payload in tasks]


def send_to_lanes(**jobs: int) -> None:
    """So many messages to each lane, half of them of another site."""
    keys = count(1)
    for lane, number in jobs.items():
        sources = ["signal", "shop"] * (number // 2)
        messages.send_many([messages.Message(next(keys), 1, lane, source) for source in sources])


def work_of(tasks: list[tuple[object, str]]) -> list[tuple[str, list[tuple[int, int]]]]:
    """The function and the attempts of each task."""
    read = [SignedPackage.loads(payload) for _, payload in tasks]
    return [(task["func"], [tuple(task["args"])] if task["func"] == RUN else task["args"][0]) for task in read]


def count_calls(monkeypatch, owner: object, name: str) -> list[tuple[object, ...]]:
    """The arguments of the calls of a method from now on."""
    calls: list[tuple[object, ...]] = []
    genuine = getattr(owner, name)

    def counted(*values: object, **named: object) -> object:
        calls.append((*values, named))
        return genuine(*values, **named)

    monkeypatch.setattr(owner, name, counted)
    return calls


def send(attempts: list[tuple[int, int]], delay: float = 0.0) -> None:
    messages.send_many([messages.Message(*attempt) for attempt in attempts], delay)


def firsts(number: int) -> list[tuple[int, int]]:
    return [(pk, 1) for pk in range(1, number + 1)]


def test_over_redis_many_first_attempts_are_one_command_and_few_tasks(over_redis, monkeypatch):
    stored = count_calls(monkeypatch, over_redis.connection, "eval")
    send(firsts(120))
    assert len(stored) == 1
    tasks = over_redis.dequeue()
    assert [function for function, _ in work_of(tasks)] == [RUN_MANY] * django_q.workers()
    assert [attempt for _, attempts in work_of(tasks) for attempt in attempts] == firsts(120)
    assert [len(receipts) for receipts, _ in tasks] == [60, 60]
    assert over_redis.dequeue() == []


def test_over_redis_a_batch_has_jobs_of_one_lane_and_the_most_urgent_comes_first(over_redis):
    send_to_lanes(bulk=20, default=40, urgent=10)
    assert set(over_redis.waiting_since()) == {"bulk", "default", "urgent"}
    assert lanes_of(over_redis.dequeue()) == [
        ("urgent", 5),
        ("urgent", 5),
        ("default", 20),
        ("default", 20),
        ("bulk", 10),
        ("bulk", 10),
    ]
    assert over_redis.waiting_since() == {}


def test_over_redis_a_long_queue_leaves_every_lane_its_share(over_redis, monkeypatch, settings):
    settings.JOB_BATCH_SIZE = 1
    monkeypatch.setattr(Conf, "BULK", 8)
    send_to_lanes(bulk=20, default=20, alert=20, urgent=20)
    fetched = [lane for lane, _ in lanes_of(over_redis.dequeue())]
    assert {lane: fetched.count(lane) for lane in fetched} == {"urgent": 5, "alert": 1, "default": 1, "bulk": 1}


def test_over_redis_a_site_named_like_a_part_of_a_key_has_a_queue_of_its_own(over_redis):
    messages.send(messages.Message(1, 2), delay=3600)
    messages.send_many([messages.Message(pk, 2, "default", source) for pk, source in ((2, "later"), (3, "queues"))])
    assert sorted(attempts[0][0] for _, attempts in work_of(over_redis.dequeue())) == [2, 3]


def test_over_redis_a_queue_that_no_longer_exists_hides_no_other(over_redis):
    name = over_redis.list_key
    over_redis.connection.sadd(f"{name}::queues", *(f"{name}-{lane}" for lane in ("express", "slow", "night", "test")))
    send(firsts(2))
    assert {lane: set(since) for lane, since in over_redis.waiting_since().items()} == {"default": {"signal"}}
    assert len(over_redis.dequeue()) == 2


def test_over_redis_without_room_only_what_is_urgent_is_fetched(over_redis):
    send_to_lanes(default=10, urgent=10)
    process_context().scoreboard.polled(100)
    assert {lane for lane, _ in lanes_of(over_redis.dequeue())} == {"urgent"}
    assert set(over_redis.waiting_since()) == {"default"}


def test_over_redis_a_later_attempt_is_a_task_of_its_own(over_redis):
    send([*firsts(10), (11, 3)])
    assert [(function, len(attempts)) for function, attempts in work_of(over_redis.dequeue())] == [
        (RUN, 1),
        (RUN_MANY, 5),
        (RUN_MANY, 5),
    ]


def test_over_redis_what_is_released_keeps_its_order_and_comes_first(over_redis, monkeypatch):
    monkeypatch.setattr(redis, "CHUNK", 4)
    send([(99, 2)])
    send([(pk, 2) for pk in range(1, 11)], delay=-5)
    fetched = [attempts[0][0] for _ in range(3) for _, attempts in work_of(over_redis.dequeue())]
    assert fetched == [*range(1, 11), 99]


def test_over_redis_a_delayed_message_is_not_fetched_before_its_time(over_redis):
    send([(1, 2)], delay=3600)
    assert over_redis.dequeue() == []
    _, later = over_redis.keys
    [(message, score)] = over_redis.connection.zrange(later, 0, -1, withscores=True)
    over_redis.connection.zadd(later, {message: score - 3601})
    assert work_of(over_redis.dequeue()) == [(RUN, [(1, 2)])]


def test_over_redis_fetched_messages_survive_a_redis_that_goes_away_before_the_next_ones(over_redis, monkeypatch):
    send(firsts(django_q.fetch_size() + 1))
    genuine, answers = over_redis.take, iter([True, False])

    def take(lanes: frozenset[str]) -> list[object]:
        if not next(answers):
            raise RedisAway
        return genuine(lanes)

    monkeypatch.setattr(over_redis, "take", take)
    fetched = [attempt for _, attempts in work_of(over_redis.dequeue()) for attempt in attempts]
    assert fetched == firsts(django_q.fetch_size())


def test_over_redis_one_client_serves_all_messages_of_a_process(over_redis):
    assert django_q.make_broker().connection is over_redis.connection


def test_over_redis_a_worker_does_a_task_of_many_jobs(over_redis, monkeypatch):
    monkeypatch.setattr(process_context(), "executor", Executor(50))
    with sample_types.registered() as handled:
        for number in range(8):
            sample_types.enqueue(f"job-{number}", user_id=str(number))
        tasks = over_redis.dequeue()
        for (receipts, _), (_, attempts) in zip(tasks, work_of(tasks), strict=True):
            entry.run_many(attempts, receipts)
    assert len(tasks) == django_q.workers()
    assert len(handled.called) == JobLog.objects.filter(status=Status.COMPLETED).count() == 8


def test_over_sqs_ten_messages_are_one_call(over_sqs, monkeypatch):
    sent = count_calls(monkeypatch, over_sqs.queue, "send_messages")
    send(firsts(25))
    assert [len(named["Entries"]) for *_, named in sent] == [10, 10, 5]
    tasks = over_sqs.dequeue()
    assert sorted(attempt for _, attempts in work_of(tasks) for attempt in attempts) == firsts(25)
    assert [function for function, _ in work_of(tasks)] == [RUN_MANY] * django_q.workers()
    deleted = count_calls(monkeypatch, over_sqs.queue, "delete_messages")
    drop_messages(receipt for receipts, _ in tasks for receipt in receipts)
    assert [len(named["Entries"]) for *_, named in deleted] == [10, 10, 5]
    over_sqs.queue.load()
    assert (over_sqs.queue_size(), over_sqs.lock_size()) == (0, 0)


def test_over_sqs_a_batch_has_jobs_of_one_lane_and_is_deleted_from_its_queue(over_sqs):
    send_to_lanes(bulk=20, urgent=10)
    first = over_sqs.dequeue()
    assert lanes_of(first) == [("urgent", 5), ("urgent", 5)]
    second = over_sqs.dequeue()
    assert lanes_of(second) == [("bulk", 10), ("bulk", 10)]
    drop_messages(receipt for receipts, _ in [*first, *second] for receipt in receipts)
    assert over_sqs.waiting_since() == {}


def test_over_sqs_a_message_refused_within_a_call_is_sent_alone(over_sqs, monkeypatch):
    monkeypatch.setattr(over_sqs.queue, "send_messages", lambda **_: {"Failed": [{"Id": "1"}]})
    send([(1, 1), (2, 1)])
    assert work_of(over_sqs.dequeue()) == [(RUN, [(2, 1)])]


def test_over_sqs_a_message_that_cannot_be_read_is_deleted(over_sqs):
    over_sqs.enqueue("nonsense")
    send([(1, 1)])
    assert work_of(over_sqs.dequeue()) == [(RUN, [(1, 1)])]
    over_sqs.queue.load()
    assert (over_sqs.queue_size(), over_sqs.lock_size()) == (0, 1)


def test_over_sqs_the_queue_is_found_once_for_each_thread(over_sqs):
    assert django_q.make_broker().queue is over_sqs.queue


def test_a_message_that_cannot_be_deleted_undoes_no_settlement(over_sqs, monkeypatch):
    def refuse(**_: object) -> None:
        raise RuntimeError

    monkeypatch.setattr(over_sqs.queue, "delete_messages", refuse)
    with sample_types.registered():
        job = JobLog.objects.claim(sample_types.enqueue("a").pk, 1, "worker")
        with transaction.atomic():
            job.complete()
            drop_messages(["default receipt"])
    assert JobLog.objects.get().status == Status.COMPLETED
