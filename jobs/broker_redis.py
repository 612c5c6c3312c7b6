"""The courier over Redis (Q_BROKER=redis): a list of visible messages and a sorted set of later ones.

Redis gives no receipt: what a killed worker had taken is gone, and a message may be lost between our commit and the
push. The jobs' rows know better, and the reconciler stands in for receipts (jobs/reconciler.py).
"""

import time
from datetime import UTC, datetime

import redis
import structlog
from django_q.brokers.redis_broker import Redis
from django_q.conf import Conf
from redis.exceptions import RedisError

from jobs import board
from jobs.broker import SLICE, attempts_of

log = structlog.get_logger("jobs.broker")

# Moves what is due from the sorted set to the list, whole or not at all. KEYS: set, list. ARGV: now.
MOVE_DUE = """
local due = redis.call('ZRANGEBYSCORE', KEYS[1], '-inf', ARGV[1], 'LIMIT', 0, 500)
for _, message in ipairs(due) do
  redis.call('ZREM', KEYS[1], message)
  redis.call('RPUSH', KEYS[2], message)
end
return #due
"""


class RedisCourier(Redis):
    """A message is stored as "<visible since, epoch seconds>:<payload>"; times are the Redis server's."""

    delay = 0.0

    @staticmethod
    def get_connection(list_key: str | None = None) -> redis.Redis:
        """A Redis that does not answer costs whoever enqueues a moment, not the sign-in."""
        return redis.from_url(Conf.REDIS, socket_connect_timeout=0.25, socket_timeout=4 * SLICE)

    @property
    def _later(self) -> str:
        return f"{self.list_key}:later"

    def _now(self) -> float:
        seconds, micros = self.connection.time()
        return seconds + micros / 1e6

    def enqueue(self, task: str) -> int:
        visible = self._now() + self.delay
        message = f"{visible}:{task}"
        if self.delay > 0:
            return self.connection.zadd(self._later, {message: visible})
        push = self.connection.lpush if self.delay < 0 else self.connection.rpush
        return push(self.list_key, message)

    def dequeue(self) -> list[tuple[None, str]]:
        try:
            self.connection.eval(MOVE_DUE, 2, self._later, self.list_key, self._now())
            popped = self.connection.blpop([self.list_key], timeout=SLICE)
        except RedisError as away:
            log.warning("Redis away, messages cannot be fetched", error=type(away).__name__)
            time.sleep(1.0)
            board.current.polled(0)
            return []
        payloads = [popped[1].decode().partition(":")[2]] if popped else []
        fetched = [(None, payload) for payload in payloads if attempts_of(payload)]
        board.current.polled(len(fetched))
        return fetched

    def waiting_since(self) -> datetime | None:
        oldest = self.connection.lindex(self.list_key, 0)
        return datetime.fromtimestamp(float(oldest.partition(b":")[0]), UTC) if oldest else None

    def acknowledge(self, task_id: list[None]) -> None:
        """Nothing to do: taking a message was deleting it."""
