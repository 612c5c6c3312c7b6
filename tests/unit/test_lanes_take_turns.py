"""Lanes and sources take turns: the most urgent first, a share for each lane, and no site before another."""

from collections import Counter

import pytest

from jobs.brokers import django_q
from jobs.brokers.grouping import Task
from jobs.brokers.lanes import QueueId, Turns
from jobs.brokers.room import ALL_LANES, SINGLE_TASKS, Room
from jobs.brokers.task_queue import FORK, STOP, TaskQueue
from jobs.core.pauses import URGENT_LANES, Lane
from jobs.core.scoreboard import set_context

FLOOD = 100_000


def queues(**counts: int) -> dict[QueueId, int]:
    """Queues of this site, by lane."""
    return {QueueId(lane): count for lane, count in counts.items()}


def share(turns: Turns, waiting: dict[QueueId, int], *, fetches: int, most: int) -> Counter:
    """How many of each lane come out of so many fetches from queues that never end."""
    taken: Counter = Counter()
    for _ in range(fetches):
        for queue, count in turns.allot(most, waiting).items():
            taken[queue.lane] += count
    return taken


@pytest.mark.parametrize("most", [1, 2, 7, 8, 100])
def test_in_a_flood_of_every_lane_each_has_an_eighth_and_the_most_urgent_the_rest(most):
    taken = share(Turns(), queues(urgent=FLOOD, alert=FLOOD, default=FLOOD, bulk=FLOOD), fetches=80, most=most)
    assert taken == {"urgent": 50 * most, "alert": 10 * most, "default": 10 * most, "bulk": 10 * most}


def test_what_is_urgent_comes_first_however_much_waits():
    turns = Turns()
    assert turns.allot(1, queues(default=FLOOD, urgent=3)) == queues(urgent=1)
    taken = turns.allot(100, queues(default=FLOOD, urgent=3))
    assert taken == queues(urgent=3, default=97), "and no turn is wasted"


def test_nothing_waiting_takes_nothing_and_a_little_is_taken_whole():
    assert Turns().allot(100, {}) == {}
    assert Turns().allot(100, queues(bulk=2, alert=1)) == queues(bulk=2, alert=1)


@pytest.mark.parametrize("most", [1, 3, 100])
def test_the_tenth_job_of_a_small_site_does_not_wait_for_a_hundred_thousand_of_another(most):
    turns, big, small = Turns(), QueueId(Lane.DEFAULT, "big"), QueueId(Lane.DEFAULT, "small")
    waiting, before = {big: FLOOD, small: 10}, 0
    while waiting[small]:
        for queue, count in turns.allot(most, {queue: count for queue, count in waiting.items() if count}).items():
            waiting[queue] -= count
            before += count
    assert before <= 20 + most


def test_each_of_many_sites_has_its_turn():
    turns, sites = Turns(), [QueueId(Lane.DEFAULT, f"site-{number}") for number in range(8)]
    taken: Counter = Counter()
    for _ in range(80):
        taken.update(turns.allot(1, dict.fromkeys(sites, FLOOD)))
    assert set(taken.values()) == {10}


@pytest.mark.parametrize("queue", [QueueId(lane, source) for lane in Lane.values for source in ("signal", "shop")])
def test_a_key_names_its_queue(queue):
    assert QueueId.parse(queue.key("notifier"), "notifier") == queue


@pytest.mark.parametrize("key", ["notifier-express", "notifier:", "other-cluster", "notifier-express:shop"])
def test_a_key_of_no_queue_of_this_version_is_taken_for_no_other(key):
    assert QueueId.parse(key, "notifier") is None


def test_the_messages_of_version_0_9_are_routine():
    assert QueueId.parse("notifier", "notifier") == QueueId(Lane.DEFAULT)
    assert QueueId(Lane.DEFAULT).key("notifier") == "notifier"


def test_where_the_waiting_are_not_known_the_queues_are_asked_in_turn():
    turns = Turns()
    first = [turns.order(QueueId(lane) for lane in Lane.values)[0].lane for _ in range(16)]
    assert Counter(first) == {"urgent": 10, "alert": 2, "default": 2, "bulk": 2}
    both = [QueueId(Lane.BULK, "a"), QueueId(Lane.BULK, "b")]
    assert len({turns.order(both)[0] for _ in range(2)}) == 2


def fill(tasks: TaskQueue, *lanes: str) -> None:
    """The tasks that a pusher leaves, which has ended."""
    pusher = FORK.Process(target=lambda: [tasks.put(lane) for lane in lanes])
    pusher.start()
    pusher.join()
    tasks.put(STOP)


def waiting_tasks(*lanes: str) -> TaskQueue:
    """A queue with such tasks."""
    tasks = TaskQueue(lambda task: task in URGENT_LANES)
    fill(tasks, *lanes)
    return tasks


def taken_by(reader) -> list[str]:
    """What a worker gets until it gets STOP."""
    return list(iter(reader.get, STOP))


@pytest.fixture
def context():
    return set_context("host:1")


def test_a_reserved_worker_takes_only_what_is_urgent(context):
    tasks = waiting_tasks("bulk", "urgent", "default", "alert")
    assert taken_by(tasks.reader(reserved=True)) == ["urgent", "alert"]
    assert context.reserved
    assert taken_by(tasks.reader()) == ["bulk", "default"]
    assert not context.reserved


def test_another_worker_takes_what_is_urgent_first_and_both_kinds_in_turn(context):
    tasks = waiting_tasks("bulk", "default", "urgent", "alert", "urgent")
    assert taken_by(tasks.reader()) == ["urgent", "bulk", "alert", "default", "urgent"]


def test_a_worker_that_is_killed_while_it_waits_holds_nothing_that_another_needs(context):
    """django-q2's own queue would then be locked for ever."""
    tasks = TaskQueue(lambda task: task in URGENT_LANES)
    for _ in range(20):
        begun = FORK.Event()
        waiting = FORK.Process(target=lambda begun=begun: [begun.set(), tasks.reader().get()])
        waiting.start()
        begun.wait()
        waiting.kill()
        waiting.join()
    fill(tasks, "urgent", "default")
    assert taken_by(tasks.reader()) == ["urgent", "default"]


def test_a_relief_ends_automatically(context):
    assert taken_by(TaskQueue(bool).reader(reserved=True, idle_seconds=0.01)) == []


@pytest.mark.parametrize(
    ("others", "urgent", "single", "lanes"),
    [
        (0, 0, False, ALL_LANES),
        (3, 0, False, URGENT_LANES),
        (0, 4, False, ALL_LANES - URGENT_LANES),
        (3, 4, False, frozenset()),
        (3, 4, True, ALL_LANES),
        (SINGLE_TASKS, 0, True, URGENT_LANES),
    ],
)
def test_what_no_worker_will_begin_soon_is_not_fetched(context, monkeypatch, others, urgent, single, lanes):
    for name in ("WORKERS", "QUEUE_LIMIT", "BULK"):
        monkeypatch.setattr(django_q.Conf, name, getattr(django_q.Conf, name))
    django_q.set_workers(3, batch_size=10)
    context.scoreboard.polled(others + urgent, urgent=urgent)
    room = Room()
    room.single = {True: single, False: single}
    assert room.lanes() == lanes


def test_a_fetch_of_one_kind_says_nothing_of_the_size_of_the_other_kinds_tasks(context):
    room = Room()
    room.note_fetch([Task([1, 2], "", "default"), Task([3], "", "urgent")])
    assert room.single == {False: False, True: True}
    room.note_fetch([])
    assert room.single == {False: False, True: True}
    assert context.scoreboard.pending() == (2, 1)
