"""The load of `make bench-api`: connections that each post a sign-in as soon as the last response has arrived.

    python -m benchmarks.api_load PORT PATH KEY CONNECTIONS SECONDS PREFIX

One event loop over plain sockets, so that it takes little of the processors that the site shares with it. Each post has
a user of its own, since the hourly limit of notices is one user's. The output is one JSON value: the milliseconds of
each response 2xx, the count of other responses by status, the seconds from the first to the last response, and the
number of posts with those of the warm-up.
"""

import json
import re
import selectors
import socket
import sys
import time
from collections import Counter
from dataclasses import dataclass
from datetime import UTC, datetime

WARM_UP_SECONDS = 1.0
LENGTH = re.compile(rb"\r\ncontent-length: *(\d+)", re.IGNORECASE)
LAST_CHUNK = b"0\r\n\r\n"
AGENTS = (
    "Mozilla/5.0 (Windows NT 10.0; Win64; x64) AppleWebKit/537.36 (KHTML, like Gecko) Chrome/126.0.0.0 Safari/537.36",
    "Mozilla/5.0 (X11; Linux x86_64; rv:128.0) Gecko/20100101 Firefox/128.0",
    "Mozilla/5.0 (iPhone; CPU iPhone OS 17_5 like Mac OS X) AppleWebKit/605.1.15 (KHTML, like Gecko) Version/17.5 "
    "Mobile/15E148 Safari/604.1",
)
HEAD = (
    "POST {path} HTTP/1.1\r\nHost: example.mn\r\nX-Forwarded-Proto: https\r\nX-Forwarded-For: 203.0.113.7\r\n"
    "Authorization: Bearer {key}\r\nContent-Type: application/json\r\nContent-Length: {length}\r\n\r\n"
)


def main() -> None:
    port, path, key, connections, seconds, prefix = sys.argv[1:]
    load = Load(int(port), path, key, prefix)
    load.run(int(connections), WARM_UP_SECONDS)
    print(json.dumps(load.run(int(connections), float(seconds))))


@dataclass
class Exchange:
    """One request and what has arrived of its response."""

    socket: socket.socket
    sent_at: float = 0.0
    received: bytes = b""

    def status(self) -> int:
        """Return the status of a complete response, else 0."""
        head, complete, body = self.received.partition(b"\r\n\r\n")
        length = LENGTH.search(head)
        if not complete or (len(body) < int(length[1]) if length else not body.endswith(LAST_CHUNK)):
            return 0
        return int(head.split(b" ", 2)[1])


class Load:
    """Posts of one key to one path. prefix: of the users' ids, which no other load has."""

    def __init__(self, port: int, path: str, key: str, prefix: str) -> None:
        self.port, self.path, self.key, self.prefix = port, path, key, prefix
        self.number = 0

    def run(self, connections: int, seconds: float) -> dict[str, object]:
        """Post for `seconds` and return the result; the last responses are waited for."""
        selector, took, others = selectors.DefaultSelector(), [], Counter[int]()
        began = time.perf_counter()
        for _ in range(connections):
            exchange = Exchange(socket.create_connection(("127.0.0.1", self.port)))
            selector.register(exchange.socket, selectors.EVENT_READ, exchange)
            self._send(exchange)
        while selector.get_map():
            for ready, _ in selector.select():
                exchange = ready.data
                if not (status := self._receive(exchange)):
                    continue
                now = time.perf_counter()
                if 200 <= status < 300:
                    took.append((now - exchange.sent_at) * 1000)
                else:
                    others[status] += 1
                if now - began < seconds:
                    self._send(exchange)
                else:
                    selector.unregister(exchange.socket)
                    exchange.socket.close()
        return {"took": took, "others": others, "seconds": time.perf_counter() - began, "posts": self.number}

    def _receive(self, exchange: Exchange) -> int:
        chunk = exchange.socket.recv(65536)
        if not chunk:
            raise ConnectionError("the site closed a connection")
        exchange.received += chunk
        return exchange.status()

    def _send(self, exchange: Exchange) -> None:
        self.number += 1
        body = self._body().encode()
        head = HEAD.format(path=self.path, key=self.key, length=len(body)).encode()
        exchange.received, exchange.sent_at = b"", time.perf_counter()
        exchange.socket.sendall(head + body)

    def _body(self) -> str:
        user = f"{self.prefix}-{self.number}"
        return json.dumps(
            {
                "userId": user,
                "email": f"{user}@example.mn",
                "name": "Батбаяр Дорж",
                "provider": "password",
                "ipAddress": f"203.0.113.{self.number % 256}",
                "userAgent": AGENTS[self.number % len(AGENTS)],
                "timestamp": datetime.now(UTC).isoformat(timespec="milliseconds"),
            }
        )


if __name__ == "__main__":
    main()
