"""A receiver of events, in threads of the test, that misbehaves on command and verifies each signature on its own.

with Receiver() as receiver: receiver.url, receiver.secret = ..., receiver.behave("500"), receiver.events
"""

import base64
import hashlib
import hmac
import json
import socketserver
import threading
import time
from dataclasses import dataclass, field
from typing import Any, Self

from tests.support.ports import free_port

TOLERANCE = 300  # seconds


@dataclass(frozen=True)
class Received:
    """One request."""

    id: str
    headers: dict[str, str]
    raw: bytes
    at: float = field(default_factory=time.time)

    @property
    def body(self) -> Any:
        return json.loads(self.raw)


def signed_by(secret: str, one: Received) -> bool:
    """Whether one of the signatures of a request is that of the secret, as Standard Webhooks says, and is recent."""
    timestamp = one.headers["webhook-timestamp"]
    key = base64.b64decode(secret.partition("whsec_")[2])
    expected = hmac.digest(key, f"{one.id}.{timestamp}.".encode() + one.raw, hashlib.sha256)
    given = [part.partition(",") for part in one.headers["webhook-signature"].split(" ")]
    recent = abs(time.time() - int(timestamp)) <= TOLERANCE
    return recent and any(v == "v1" and base64.b64decode(mac) == expected for v, _, mac in given)


class _Server(socketserver.ThreadingTCPServer):
    allow_reuse_address = True
    daemon_threads = True
    request_queue_size = 128


class Receiver:
    """An HTTP server; `answer` is what it says: a status and a body, or whole bytes, or a function of the request."""

    def __init__(self, host: str = "127.0.0.1") -> None:
        self.port, self.host = free_port(), host
        self.url = f"http://{host}:{self.port}/events?token=abc"
        self.requests: list[Received] = []  # all of them
        self.accepted: list[Received] = []  # those that were answered with success
        self.answer: Any = (204, b"")
        self.delay = 0.0
        self._lock = threading.Lock()

    def __enter__(self) -> Self:
        receiver = self

        class Handler(socketserver.StreamRequestHandler):
            def handle(self) -> None:
                if one := _read(self.rfile):
                    receiver.take(one, self.wfile)

        self._server = _Server((self.host, self.port), Handler)
        threading.Thread(target=self._server.serve_forever, args=(0.05,), daemon=True).start()
        return self

    def __exit__(self, *_: object) -> None:
        self._server.shutdown()
        self._server.server_close()

    def take(self, one: Received, out: Any) -> None:
        """Answers one request."""
        answer = self.answer(one) if callable(self.answer) else self.answer
        with self._lock:
            self.requests.append(one)
            if isinstance(answer, tuple) and 200 <= answer[0] < 300:
                self.accepted.append(one)
        time.sleep(self.delay)
        try:
            if isinstance(answer, tuple):
                status, body = answer
                answer = b"HTTP/1.1 %d Something\r\nContent-Length: %d\r\n\r\n%s" % (status, len(body), body)
            for piece in [answer] if isinstance(answer, bytes) else answer:
                out.write(piece)
        except OSError:
            pass  # the caller has gone


def _read(stream: Any) -> Received | None:
    line = stream.readline()
    headers: dict[str, str] = {"": line.decode().strip()}
    while (line := stream.readline().decode().strip()) != "":
        name, _, value = line.partition(": ")
        headers[name.lower()] = value
    raw = stream.read(int(headers.get("content-length", "0")))
    return Received(headers.get("webhook-id", ""), headers, raw) if headers[""] else None
