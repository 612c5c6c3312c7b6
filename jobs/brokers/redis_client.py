"""A Redis client that waits for WAIT_SECONDS, and skips a server that has just failed to answer."""

from collections import defaultdict
from functools import cache
from typing import Any

import redis
from redis.backoff import NoBackoff
from redis.retry import Retry

from jobs.brokers.circuit import Circuit

WAIT_SECONDS = 0.25  # for a connection, and for the answer to each command
SKIP_SECONDS = 1.0
TIMEOUTS = {"socket_connect_timeout": WAIT_SECONDS, "socket_timeout": WAIT_SECONDS}

_servers: dict[tuple[object, ...], Circuit] = defaultdict(lambda: Circuit(SKIP_SECONDS))


class QuickRedis(redis.Redis):
    """redis-py's client; a skipped command raises ConnectionError. All clients of a process share what they know."""

    def execute_command(self, *args: Any, **options: Any) -> Any:
        place = self.connection_pool.connection_kwargs
        server = _servers[place.get("host"), place.get("port"), place.get("path")]
        if not server.allows():
            raise redis.ConnectionError("Redis has just failed to answer")
        answered = True
        try:
            return super().execute_command(*args, **options)  # type: ignore[no-untyped-call]
        except (redis.ConnectionError, redis.TimeoutError):
            answered = False
            raise
        finally:
            (server.worked if answered else server.failed)()


@cache
def connect(url: str) -> redis.Redis:
    """Return this process's client for `url`. It connects with its first command, and tries none twice.

    Its pool opens new connections after a fork, and replaces one that the server has closed.
    """
    return QuickRedis.from_url(url, retry=Retry(NoBackoff(), 0), **TIMEOUTS)
