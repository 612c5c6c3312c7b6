"""A new django-q2 keeps what jobs/brokers/django_q.py relies on: a test for each place that its docstring lists."""

import multiprocessing
import os
import queue
import re
import signal
import threading
import time
import uuid
from types import SimpleNamespace
from unittest.mock import patch

import pytest
from django.conf import settings
from django_q import cluster, monitor, pusher, worker
from django_q.conf import Conf
from django_q.exceptions import TimeoutException
from django_q.models import OrmQ, Task
from django_q.signing import SignedPackage
from django_q.tasks import async_task

from jobs.brokers import django_q
from jobs.brokers.orm import OrmBroker
from jobs.conf import conf
from jobs.core.pauses import Lane
from jobs.core.scoreboard import process_context, set_context
from tests.support.site import ROOT

TIMEOUT = 1  # seconds
calls: list[dict] = []


class Broker:
    """A broker that gives out `tasks` once and notes what it is asked."""

    list_key = "notifier"

    def __init__(self, *tasks):
        self.tasks, self.enqueued, self.acknowledged = list(tasks), [], []

    def enqueue(self, payload):
        self.enqueued.append(payload)

    def dequeue(self):
        tasks, self.tasks = self.tasks, []
        return tasks

    def acknowledge(self, receipts):
        self.acknowledged.append(receipts)


@pytest.fixture(autouse=True)
def own_signals():
    """django-q2 sets signal handlers wherever its classes are made."""
    before = {signum: signal.getsignal(signum) for signum in (signal.SIGINT, signal.SIGTERM, signal.SIGALRM)}
    yield
    for signum, handler in before.items():
        signal.signal(signum, handler)


@pytest.fixture
def titles(monkeypatch):
    """The titles that django-q2 gives to its processes, by which tests/clusters.py knows them."""
    noted: list[str] = []
    for module in (cluster, monitor, pusher, worker):
        monkeypatch.setattr(module, "setproctitle", SimpleNamespace(setproctitle=noted.append))
    return noted


@pytest.fixture
def sentinel(monkeypatch):
    """A sentinel that starts nothing, with three workers."""
    for name in ("WORKERS", "QUEUE_LIMIT", "BULK"):
        monkeypatch.setattr(Conf, name, getattr(Conf, name))
    django_q.set_workers(3, batch_size=10)
    return cluster.Sentinel(multiprocessing.Event(), multiprocessing.Event(), uuid.uuid4(), start=False)


def filled(*items):
    """A queue as a worker or the monitor reads it."""
    waiting = queue.Queue()
    for item in (*items, "STOP"):
        waiting.put(item)
    return waiting


def test_1_the_settings_become_attributes_of_conf(sentinel):
    names = dict.fromkeys(settings.Q_CLUSTER)
    for setting in set(names) - {"name", "workers", "queue_limit", "bulk"}:
        assert getattr(Conf, setting.upper()) == settings.Q_CLUSTER[setting], setting
    assert settings.Q_CLUSTER["name"] == Conf.CLUSTER_NAME
    assert (django_q.workers(), django_q.fetch_size()) == (3, 30)
    assert sentinel.pool_size == 3 + 1, "they are read when a cluster starts; one worker more is reserved"
    assert (sentinel.timeout, type(sentinel.broker)) == (conf.JOB_TIMEOUT_SECONDS, OrmBroker)


def test_2_a_message_is_a_row_of_this_table():
    assert django_q.Message is OrmQ
    assert OrmQ._meta.db_table == "django_q_ormq"
    assert {field.column for field in OrmQ._meta.fields} == {"id", "key", "payload", "lock"}


def test_2_its_table_is_named_in_one_module():
    sources = [path for package in ("accounts", "jobs", "notifier") for path in (ROOT / package).rglob("*.py")]
    naming = [path.relative_to(ROOT) for path in sources if re.search(r"django_q_ormq|\bOrmQ\b", path.read_text())]
    assert [str(path) for path in naming if "migrations" not in path.parts] == ["jobs/brokers/django_q.py"]


def test_3_a_payload_is_a_signed_task():
    broker = Broker()
    async_task("a.function", 1, 2, broker=broker, group="urgent")
    (payload,) = broker.enqueued
    packed = django_q.pack_task("a.function", 1, 2, id="7", name="a name", lane=Lane.URGENT)
    for one in (payload, packed):
        assert django_q.unpack_task(one) == ("a.function", (1, 2))
    stored, made = SignedPackage.loads(payload), SignedPackage.loads(packed)
    assert stored["group"] == made["group"] == "urgent", "the lane, by which the queue of the workers sorts it"
    assert type(stored["group"]) is type(made["group"]) is str, "which the workers of version 0.9 can read"
    assert made.items() >= {"func": "a.function", "args": (1, 2), "kwargs": {}, "id": "7", "name": "a name"}.items()
    assert set(made) == set(stored) - {"ack_failure"}, "a task that we make has all that django-q2's own have"
    for unreadable in ("rubbish", payload[:-1], SignedPackage.dumps("no task"), SignedPackage.dumps({})):
        with pytest.raises(ValueError, match="not a payload"):
            django_q.unpack_task(unreadable)


def test_4_the_pusher_hands_on_the_receipts(titles):
    payload = django_q.pack_task("a.function", 1, id="7", name="a name", lane="bulk")
    tasks, stop = queue.Queue(), threading.Event()
    stop.set()
    pusher.pusher(tasks, stop, Broker(([7, 8], payload)))
    task = tasks.get_nowait()
    assert (task["ack_id"], task["func"], task["args"], task["group"]) == ([7, 8], "a.function", (1,), "bulk")
    assert [title.rpartition(" ")[2] for title in titles] == ["pusher"]


def note(*arguments, **keywords):
    """A task that notes its arguments and what the scoreboard says meanwhile."""
    calls.append({"arguments": arguments, "keywords": keywords, "during": process_context().scoreboard.read()})


def sleep(**_):
    """A task that takes too long, and postpones its timeout a little, as a settlement does."""
    signal.alarm(signal.alarm(0))
    try:
        time.sleep(4 * TIMEOUT)
    except SystemExit as out_of_time:
        calls.append({"raised": out_of_time})
        raise


def run_in_worker(function, receipts):
    """Runs a task as a worker does; the task as it is handed to the monitor, and the worker's timer."""
    calls.clear()
    set_context("host:1")
    payload = django_q.pack_task(f"{__name__}.{function.__name__}", id="7", name="2 jobs", lane="alert")
    results, timer = queue.Queue(), multiprocessing.Value("f", -1)
    with patch.object(django_q, "OURS", __name__):
        worker.worker(filled({**SignedPackage.loads(payload), "ack_id": receipts}), results, timer, TIMEOUT)
    return results.get_nowait(), timer.value


@pytest.mark.parametrize(
    ("given", "receipts"), [([7, 8], [7, 8]), ("an SQS handle", ["an SQS handle"]), (None, [None])]
)
def test_5_the_worker_calls_us_around_a_task(titles, given, receipts):
    task, _ = run_in_worker(note, given)
    (call,) = calls
    assert (call["arguments"], call["keywords"]) == ((), {"receipts": receipts})
    assert (call["during"].started, call["during"].busy) == (1, 1)
    assert (call["during"].busy_reserved, call["during"].pending_urgent) == (0, -1), "one of an urgent lane was begun"
    assert process_context().scoreboard.read().busy == 0
    assert (task["success"], task["kwargs"]) == (True, {})
    assert "ack_id" not in task
    assert [" idle" in title for title in titles] == [True, False, True]
    assert " processing 2 jobs" in titles[1]


@pytest.mark.parametrize("group", [None, "mine", "default", "urgent"])
def test_5_a_task_of_another_program_runs_as_in_django_q(titles, group):
    calls.clear()
    set_context("host:1")
    broker, results = Broker(), queue.Queue()
    async_task(f"{__name__}.note", 1, group=group, broker=broker)
    (payload,) = broker.enqueued
    worker.worker(
        filled({**SignedPackage.loads(payload), "ack_id": 7}), results, multiprocessing.Value("f", -1), TIMEOUT
    )
    call, task = calls.pop(), results.get_nowait()
    assert (call["arguments"], call["keywords"], call["during"].started) == ((1,), {}, 0)
    assert (task["success"], task["ack_id"]) == (True, 7)


def test_6_a_timeout_is_an_alarm_that_ends_the_process(titles):
    assert issubclass(TimeoutException, SystemExit)
    task, timer = run_in_worker(sleep, [7])
    assert isinstance(calls[0]["raised"], TimeoutException)
    assert (task["success"], timer) == (False, 0)
    assert signal.alarm(0) == 0


def test_6_a_timeout_can_be_postponed(monkeypatch):
    timer = multiprocessing.Value("f", 33)
    monkeypatch.setattr(multiprocessing.current_process(), "timer", timer, raising=False)
    signal.alarm(20)
    with django_q.timeout_postponed():
        assert timer.value == -1, "the sentinel takes the worker for idle"
        with django_q.timeout_postponed():
            assert signal.alarm(0) == 0
        assert timer.value == -1
    assert timer.value == 33
    assert 0 < signal.alarm(0) <= 20


def test_6_a_worker_finds_its_timer_in_its_own_process(sentinel, monkeypatch):
    def stand_in(_tasks, results, timer, _timeout):
        results.put(multiprocessing.current_process().timer is timer)

    monkeypatch.setattr(cluster, "worker", stand_in)
    results = multiprocessing.SimpleQueue()
    sentinel.spawn_process(stand_in, None, results, multiprocessing.Value("f", -1), 1)
    assert results.get() is True


@pytest.mark.django_db(transaction=True)  # it closes connections
def test_7_the_monitor_neither_deletes_messages_nor_stores_successes(titles):
    task = {"id": "7", "name": "a name", "func": "a.function", "args": (), "kwargs": {}, "ack_failure": True}
    times = dict.fromkeys(("started", "stopped"), django_q.timezone.now())
    broker = Broker()
    monitor.monitor(filled({**task, **times, "success": True, "result": None}), broker)
    assert not Task.objects.exists()
    monitor.monitor(filled({**task, **times, "success": False, "result": "out of time"}), broker)
    assert Task.objects.get().name == "a name"
    assert broker.acknowledged == []
    assert {title.rpartition(" ")[2] for title in titles} == {"monitor"}


def test_8_a_sentinel_starts_workers_a_pusher_and_a_monitor(sentinel, monkeypatch):
    started = []
    monkeypatch.setattr(cluster, "Stat", lambda sentinel: SimpleNamespace(save=lambda: None))
    monkeypatch.setattr(sentinel, "spawn_process", lambda *started_as: note_start(sentinel, started, started_as))
    sentinel.spawn_cluster()
    readers = [arguments[1] for arguments in started if arguments[0] is worker.worker]
    assert [reader.reserved for reader in readers] == [True, False, False, False]
    assert len(started) + len(["main", "sentinel"]) == 3 + 1 + django_q.OTHER_PROCESSES


def note_start(sentinel, started, arguments):
    """Stands in for spawn_process, which adds a worker to the pool."""
    started.append(arguments)
    process = SimpleNamespace(terminate=lambda: None, pid=1, name="a process", timer=SimpleNamespace(value=-1))
    if arguments[0] is worker.worker:
        sentinel.pool.append(process)
    return process


def test_9_a_worker_that_ended_is_replaced_by_one_of_its_kind_and_a_relief_is_not(sentinel, monkeypatch):
    started = []
    monkeypatch.setattr(cluster, "Stat", lambda sentinel: SimpleNamespace(save=lambda: None))
    monkeypatch.setattr(sentinel, "spawn_process", lambda *started_as: note_start(sentinel, started, started_as))
    sentinel.spawn_cluster()
    for at, reserved in ((0, True), (1, False)):
        sentinel.reincarnate(sentinel.pool[at])
        assert sentinel.pool[-1].reader.reserved is reserved
    sentinel.add_worker(sentinel.task_queue.reader(reserved=True, idle_seconds=30))
    before = sentinel.pool[:-1]
    sentinel.reincarnate(sentinel.pool[-1])
    assert sentinel.pool == before


@pytest.mark.parametrize(
    ("workers", "urgent", "busy", "quiet", "relieved"),
    [
        (1, 1, True, 2.0, True),
        (1, 1, True, 0.5, False),
        (1, 1, False, 2.0, False),
        (1, 0, True, 2.0, False),
        (2, 1, True, 2.0, False),
    ],
)
def test_9_a_single_worker_is_relieved_while_it_is_slow(sentinel, monkeypatch, workers, urgent, busy, quiet, relieved):
    started = []
    django_q.set_workers(workers, batch_size=10)
    now = SimpleNamespace(pending_urgent=urgent, busy=int(busy), quiet=quiet)
    monkeypatch.setattr(process_context().scoreboard, "read", lambda: now)
    monkeypatch.setattr(sentinel, "spawn_process", lambda *started_as: note_start(sentinel, started, started_as))
    monkeypatch.setattr(cluster.db.connections, "close_all", lambda: None)
    sentinel.start_event.set()
    for _ in range(3):
        sentinel.status()
    assert len(started) == int(relieved), "one, however often it is asked"
    assert all(arguments[1].reserved and arguments[1].is_relief for arguments in started)


def test_8_a_cluster_ends_when_its_main_process_is_signalled(titles, monkeypatch):
    def stand_in(stop, start, *_):
        start.set()
        stop.wait(30)

    monkeypatch.setattr(cluster, "Sentinel", stand_in)
    django_q.run_cluster()
    assert len(multiprocessing.active_children()) == 1, "it has started"
    os.kill(os.getpid(), signal.SIGTERM)
    assert multiprocessing.active_children() == [], "and was waited for"
