"""The broker over Redis (Q_BROKER=redis): for each queue a list of visible messages and a sorted set of later ones.

Redis gives no receipt: messages that a killed worker had fetched are lost, and a message may be lost between our commit
and the push. The jobs' rows are complete, and the reconciler sends those messages again
(jobs/maintenance/reconciler.py).
"""

import time
from collections import defaultdict
from contextlib import suppress
from datetime import UTC, datetime
from functools import cached_property
from typing import Any

import redis
import structlog
from django_q.brokers.redis_broker import Redis
from redis.backoff import NoBackoff
from redis.exceptions import RedisError
from redis.retry import Retry

from jobs.brokers import django_q, redis_client
from jobs.brokers.django_q import Receipt
from jobs.brokers.grouping import Fetched, Task, make_tasks, read_more, read_payloads
from jobs.brokers.lanes import QueueId, Turns
from jobs.brokers.orm import POLL_SLICE_SECONDS
from jobs.brokers.room import ALL_LANES, Room
from jobs.core.job import THIS_SITE
from jobs.core.pauses import Lane
from jobs.core.scoreboard import process_context

log = structlog.get_logger("jobs.brokers.orm")

CHUNK = 500  # messages that one call of a script moves: while it runs, Redis answers no other client

# Stores messages. KEYS: the set of the queues' keys; a queue: its list of visible messages, its sorted set of later
# ones. ARGV: seconds from now, payloads.
STORE = """
local now, delay = redis.call('TIME'), tonumber(ARGV[1])
local since = string.format('%.6f', now[1] + now[2] / 1e6 + delay)
redis.call('SADD', KEYS[1], KEYS[2])
for i = 2, #ARGV do
  if delay > 0 then
    redis.call('ZADD', KEYS[3], since, since .. ':' .. ARGV[i])
  elseif delay == 0 then
    redis.call('RPUSH', KEYS[2], since .. ':' .. ARGV[i])
  else
    redis.call('LPUSH', KEYS[2], since .. ':' .. ARGV[#ARGV + 2 - i])
  end
end
"""
# Moves due messages of every queue from its sorted set to its list, and returns the keys of the queues, each with the
# number of its visible messages. KEYS: the set of these keys; a queue that it may lack.
LOOK = """
local now, found = redis.call('TIME'), {}
local time = string.format('%.6f', now[1] + now[2] / 1e6)
redis.call('SADD', KEYS[1], KEYS[2])
for _, queue in ipairs(redis.call('SMEMBERS', KEYS[1])) do
  local due = redis.call('ZRANGEBYSCORE', queue .. '::later', '-inf', time, 'LIMIT', 0, 500)
  if #due > 0 then
    redis.call('ZREM', queue .. '::later', unpack(due))
    redis.call('RPUSH', queue, unpack(due))
  end
  found[#found + 1] = queue
  found[#found + 1] = redis.call('LLEN', queue)
end
return found
"""
# Takes the oldest visible messages of queues. KEYS: the queues. ARGV: how many of each.
TAKE = """
local taken = {}
for i, queue in ipairs(KEYS) do
  taken[i] = redis.call('LRANGE', queue, 0, ARGV[i] - 1)
  redis.call('LTRIM', queue, #taken[i], -1)
end
return taken
"""


class RedisBroker(Redis):
    """A message is stored as "<visible since, epoch seconds>:<payload>"; times are the Redis server's."""

    # of a message that is enqueued: seconds until it becomes visible, and its queue
    delay, lane, source = 0.0, str(Lane.DEFAULT), THIS_SITE
    _known: frozenset[QueueId] = frozenset()  # the queues that the last look found

    @staticmethod
    def get_connection(list_key: str | None = None) -> redis.Redis:
        """Return a client with short waits: a silent Redis delays no sign-in and no request."""
        return redis_client.connect(django_q.redis_url())

    @cached_property
    def _fetching(self) -> Any:
        """The client of `dequeue`, which waits for messages. It repeats no command: the first may have taken some."""
        return redis.from_url(
            django_q.redis_url(),
            retry=Retry(NoBackoff(), 0),
            socket_connect_timeout=redis_client.WAIT_SECONDS,
            socket_timeout=4 * POLL_SLICE_SECONDS,
        )

    @cached_property
    def _turns(self) -> Turns:
        return Turns()

    @cached_property
    def _room(self) -> Room:
        return Room()

    @property
    def keys(self) -> tuple[str, str]:
        """The keys of the queue of `lane` and `source`: its list of visible messages, its sorted set of later ones."""
        key = QueueId(self.lane, self.source).key(self.list_key)
        return key, f"{key}::later"

    @property
    def _queues(self) -> str:
        """The key of the set of all queues' keys."""
        return f"{self.list_key}::queues"

    def enqueue(self, task: str) -> None:
        self.enqueue_many([task])

    def enqueue_many(self, tasks: list[str]) -> None:
        """Store messages, a round trip for each CHUNK. With a `delay` below 0 they come first, in their order."""
        for at in range(0, len(tasks), CHUNK):
            chunk = tasks[-at - CHUNK : len(tasks) - at] if self.delay < 0 else tasks[at : at + CHUNK]
            self.connection.eval(STORE, 3, self._queues, *self.keys, self.delay, *chunk)

    def dequeue(self) -> list[tuple[list[Receipt], str]]:
        """Return tasks made of visible messages, the most urgent first.

        Waits for a message for at most POLL_SLICE_SECONDS. Leaves messages where they are while enough tasks of their
        kind wait for a worker.
        """
        tasks: list[Task] = []
        try:
            if lanes := self._room.wait():
                with process_context().scoreboard.asking_broker():
                    read = read_more(self.take(lanes), lambda: self._take_more(lanes))
                    tasks = make_tasks(read or self._wait(lanes))
        except RedisError as away:
            log.warning("Redis away, messages cannot be fetched", error=type(away).__name__)
            time.sleep(1.0)
        self._room.note_fetch(tasks)
        return [(task.receipts, task.payload) for task in tasks]

    def take(self, lanes: frozenset[str] = ALL_LANES) -> list[Fetched]:
        """Take the oldest visible messages of these lanes, each lane's share, without a wait."""
        waiting = {queue: visible for queue, visible in self._look().items() if visible and queue.lane in lanes}
        allotted = self._turns.allot(min(CHUNK, django_q.fetch_size()), waiting)
        if not allotted:
            return []
        keys = [queue.key(self.list_key) for queue in allotted]
        taken = self._fetching.eval(TAKE, len(keys), *keys, *allotted.values())
        return [message for queue, those in zip(allotted, taken, strict=True) for message in _read(those, queue.lane)]

    def _look(self) -> dict[QueueId, int]:
        """Return how many messages of each queue are visible."""
        found = self._fetching.eval(LOOK, 2, self._queues, self.list_key)
        queues = [QueueId.parse(key.decode(), self.list_key) for key in found[::2]]
        visible = {queue: count for queue, count in zip(queues, found[1::2], strict=True) if queue}
        self._known = frozenset(visible)
        return visible

    def _take_more(self, lanes: frozenset[str]) -> list[Fetched]:
        """Take messages in addition to others, which must not be lost when Redis goes away between the two."""
        with suppress(RedisError):
            return self.take(lanes)
        return []

    def _wait(self, lanes: frozenset[str]) -> list[Fetched]:
        """Wait for a message and return it; the next look finds those that came with it.

        While only some lanes have room, it does not wait: another may have room soon.
        """
        if lanes != ALL_LANES:
            return []
        known = self._turns.order({*self._known, *map(QueueId, lanes)})
        queues = {queue.key(self.list_key): queue.lane for queue in known}
        popped = self._fetching.blpop(list(queues), timeout=POLL_SLICE_SECONDS)
        return _read([popped[1]], queues[popped[0].decode()]) if popped else []

    def waiting_since(self) -> dict[str, dict[str | None, datetime]]:
        since: dict[str, dict[str | None, datetime]] = defaultdict(dict)
        for key in {self.list_key.encode(), *self.connection.smembers(self._queues)}:
            queue, oldest = QueueId.parse(key.decode(), self.list_key), self.connection.lindex(key, 0)
            if queue and oldest:
                since[queue.lane][queue.source] = datetime.fromtimestamp(float(oldest.partition(b":")[0]), UTC)
        return dict(since)

    @staticmethod
    def direct() -> None:
        """Return None: no NOTIFY announces these messages, so no worker fetches them itself."""

    def acknowledge(self, task_id: list[None]) -> None:
        """Do nothing: a fetched message is already deleted."""


def _read(messages: list[bytes], lane: str) -> list[Fetched]:
    """Return the messages that are ours; a fetched message is deleted already and has no receipt."""
    return read_payloads([(None, message.decode().partition(":")[2], lane) for message in messages])[0]
