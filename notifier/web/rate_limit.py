"""The rate limit of the API: exact over all processes and hosts, without asking the shared counter for each request.

A process takes requests of a client's limit from the counter in the cache in blocks, and counts down its block in
memory. The counter is the sum of all blocks, and no block reaches beyond the limit, so that no request does. A block is
what the process used in BLOCK_SECONDS, and a small share of what is left: the unused blocks of a host's processes are
at most EARLY of the limit. By that much a client may be refused early.
"""

import hashlib
import math
import re
import threading
import time
import zlib
from collections import OrderedDict

from django.conf import settings
from django.core.cache import cache
from django.db import Error
from redis.exceptions import RedisError

from jobs.brokers.circuit import Circuit
from notifier.web import waits

EARLY = 0.05
BLOCK_SECONDS = 0.1
AWAY_SECONDS = 1.0  # for which no request is counted after the cache has failed
MOST_CLIENTS = 10_000  # in the memory of a process
CLOCK_SECONDS = 5  # by which the clocks of hosts may differ: a counter outlives its window by that much
UNITS = {"s": 1, "m": 60, "h": 3600, "d": 24 * 3600}


class CacheAway(Exception):
    """The request cannot be counted."""


class Window:
    """The requests of one client until `ends_at` (time.time()), as far as this process knows. Safe for threads."""

    def __init__(self, key: str, limit: int, ends_at: int, circuit: Circuit) -> None:
        self.ends_at = ends_at
        self._key, self._limit, self._circuit = key, limit, circuit
        self._lock = threading.Lock()
        self._block, self._taken_at = 1, float("-inf")
        self._unused = 0  # of the block
        self._left = limit  # for all processes, when the block was taken

    def count(self) -> bool:
        """Count a request; False when the limit is used up. Raise CacheAway."""
        began = time.monotonic()
        with self._lock:
            if patience := waits.patience():
                patience.spend(time.monotonic() - began)
            if not self._unused:
                self._unused = self._ask()
            if not self._unused:
                return False
            self._unused -= 1
            return True

    def _ask(self) -> int:
        """Take a block, and return how much of it is within the limit."""
        if not self._circuit.allows():
            raise CacheAway("it has just failed")
        try:
            granted = 0 if self._is_used_up() else self._take_block()
        except (RedisError, Error) as error:
            self._circuit.failed()
            raise CacheAway(type(error).__name__) from error
        self._circuit.worked()
        return granted

    def _is_used_up(self) -> bool:
        """Return whether the counter, which was at the limit before, still is: read without waiting for a lock."""
        return self._left == 0 and (cache.get(self._key) or 0) >= self._limit

    def _take_block(self) -> int:
        before, self._taken_at = self._taken_at, time.monotonic()
        used = math.ceil(self._block * BLOCK_SECONDS / max(self._taken_at - before, 1e-6))
        most = int(self._left * EARLY / settings.WEB_WORKERS)
        self._block = max(1, min(used, 2 * self._block, most))
        total = self._add(self._block)
        self._left = max(0, self._limit - total)
        return max(0, min(self._block, self._limit - (total - self._block)))

    def _add(self, count: int) -> int:
        """Add to the counter and return its sum; `count` when the cache loses the counter meanwhile."""
        for _ in range(2):
            try:
                return cache.incr(self._key, count)
            except ValueError:
                if cache.add(self._key, count, self.ends_at - int(time.time()) + CLOCK_SECONDS):
                    break
        return count


class RateLimit:
    """The windows of the clients that this process has served last."""

    def __init__(self) -> None:
        self._windows: OrderedDict[tuple[str, str], Window] = OrderedDict()
        self._lock = threading.Lock()
        self._circuit = Circuit(AWAY_SECONDS)

    def count(self, client: str, rate: str) -> int:
        """Count one request of a client. Return 0, or above its rate the seconds until the next window.

        rate: in the form of API_RATE. Raise CacheAway when the request cannot be counted.
        """
        now = time.time()
        with self._lock:
            window = self._windows.get((client, rate))
            if window is None or window.ends_at <= now:
                window = self._windows[client, rate] = self._open(client, rate, now)
            self._windows.move_to_end((client, rate))
            if len(self._windows) > MOST_CLIENTS:
                self._windows.popitem(last=False)
        return 0 if window.count() else max(1, math.ceil(window.ends_at - now))

    def _open(self, client: str, rate: str, now: float) -> Window:
        """Return the present window of a client. The windows of clients do not all end at the same time."""
        limit, seconds = parse_rate(rate)
        name = f"{client}\0{rate}".encode()
        since_start = int(now - zlib.crc32(name) % seconds) % seconds
        ends_at = int(now) - since_start + seconds
        return Window(f"api:{hashlib.sha256(name).hexdigest()}:{ends_at}", limit, ends_at, self._circuit)


def parse_rate(rate: str) -> tuple[int, int]:
    """Return the requests and the seconds of a rate that `is_rate` accepts: `6000/m`, `100/10s`."""
    count, factor, unit = re.fullmatch(r"(\d+)/(\d*)([smhd])", rate).groups()  # type: ignore[union-attr]
    return int(count), int(factor or 1) * UNITS[unit]


requests = RateLimit()
