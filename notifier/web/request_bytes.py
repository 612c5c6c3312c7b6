"""What the bytes of a request say before a thread reads it (worker.py), and the answer to a probe of /healthz.

Only the main process of gunicorn imports this module, before the settings: it uses neither these nor Django.
"""

import re
import socket
from contextlib import suppress

PROBE = b"/healthz"
HEAD_BYTES = 1 << 16  # the head of a request is waited for up to this size
WHOLE_BYTES = 1 << 17  # and the whole of it up to this one, which nginx allows for a body (deploy/nginx)
EXPECTS = b"\nexpect:"  # the client sends the body when it is asked to: a thread asks
LENGTH = re.compile(rb"\ncontent-length:[ \t]*([0-9]{1,9})[ \t]*\r", re.IGNORECASE)
PROBE_HEAD = (
    b"HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nContent-Length: 16\r\nCache-Control: no-store\r\n"
    b"Connection: %s\r\n\r\n"
)
# By method; equal to those of the view (notifier/ops/health.py), which answers under other servers.
PROBE_BODIES = {b"GET": b'{"status": "ok"}', b"HEAD": b""}
END = b"\r\n\r\n"
OF_A_BODY = b"\ncontent-length", b"\ntransfer-encoding"  # a body could arrive later, and be taken for the next request


def is_probe(head: bytes) -> bool:
    """Return whether these bytes are a whole request GET or HEAD /healthz, without a body, and no more."""
    method, path = method_and_path(head)
    if path != PROBE or method not in PROBE_BODIES or head.find(END) != len(head) - len(END):
        return False
    return not any(header in head.lower() for header in OF_A_BODY)


def may_stay(head: bytes) -> bool:
    """Return whether the client of a request can send another over the same connection (RFC 9112, 9.3)."""
    return head.partition(b"\r\n")[0].endswith(b" HTTP/1.1") and b"\nconnection" not in head.lower()


def bytes_awaited(head: bytes) -> int:
    """Return how many bytes of a request must have arrived so that a thread need not wait for more of them.

    One more than there are while its head is not complete; 0 when the head or the body is too long to wait for.
    """
    end = head.find(END)
    if end < 0:
        return len(head) + 1 if len(head) < HEAD_BYTES else 0
    length = None if EXPECTS in head[:end].lower() else LENGTH.search(head, 0, end + len(END))
    size = end + len(END) + (int(length[1]) if length else 0)
    return size if size <= WHOLE_BYTES else 0


def answer_to_probe(head: bytes, *, kept: bool) -> bytes:
    """Return the answer to a probe, over a connection that is kept for the next request or closed."""
    return PROBE_HEAD % (b"keep-alive" if kept else b"close") + PROBE_BODIES[method_and_path(head)[0]]


def send_answer(sock: socket.socket, answer: bytes) -> bool:
    """Read the request and send an answer; return whether the socket's buffer took it."""
    with suppress(OSError):
        sock.recv(HEAD_BYTES, socket.MSG_DONTWAIT)
        return sock.send(answer, socket.MSG_DONTWAIT) == len(answer)
    return False


def method_and_path(head: bytes) -> tuple[bytes, bytes]:
    """Return the method of a request, and its path without the query."""
    method, _, rest = head.partition(b" ")
    return method, rest.partition(b" ")[0].partition(b"?")[0]


def first_bytes(connection: socket.socket) -> bytes | None:
    """Return up to WHOLE_BYTES of the next request without taking them; None when there are none yet."""
    try:
        return connection.recv(WHOLE_BYTES, socket.MSG_PEEK | socket.MSG_DONTWAIT)
    except (OSError, ValueError):
        return None
