"""One HTTP request to a receiver: a checked address, TLS, a deadline for everything, and little that is read."""

import http.client
import io
import socket
import ssl
import time
from contextlib import suppress
from dataclasses import dataclass
from functools import cache
from typing import Any
from urllib.parse import SplitResult, urlsplit

from accounts.events import guard

SECONDS = 10.0  # for everything: the address, the connection, TLS, the request and the response
MOST_BYTES = 64 * 1024  # of a response, headers included
EXCERPT_BYTES = 1024  # of its body
USER_AGENT = "Notifier-Events/1.0"


class Failed(Exception):
    """No response was received; the text says why, without addresses."""


@dataclass(frozen=True)
class Response:
    """What a receiver answered."""

    status: int
    excerpt: bytes
    """The first bytes of the body."""


def post(url: str, body: bytes, headers: dict[str, str], *, allow_private: bool | None = None) -> Response:
    """POST a body to a receiver and return its response. Raise Failed.

    allow_private: whether the receiver may be in a private network; by default as EVENT_ALLOW_PRIVATE says.
    A redirect is a response like any other: it is not followed. No proxy of the environment is used.
    """
    sent = {"Content-Type": "application/json", "Content-Length": str(len(body)), **headers}
    return _exchange("POST", url, body, sent, allow_private)


def get(url: str, *, allow_private: bool | None = None) -> Response:
    """GET a URL, and return the response as `post` does. Raise Failed."""
    return _exchange("GET", url, b"", {}, allow_private)


def _exchange(method: str, url: str, body: bytes, headers: dict[str, str], allow_private: bool | None) -> Response:
    deadline = time.monotonic() + SECONDS
    parts = urlsplit(url)
    try:
        with _connect(parts, deadline, allow_private) as connection:
            connection.settimeout(_left(deadline))
            connection.sendall(_request(method, parts, body, headers))
            return _read(connection, deadline, method)
    except guard.Refused as refused:
        raise Failed(str(refused)) from None
    except ssl.SSLCertVerificationError as wrong:
        raise Failed(f"the certificate is not valid: {wrong.verify_message}"[:200]) from None
    except TimeoutError:
        raise Failed(f"no response within {SECONDS:.0f} s") from None
    except ssl.SSLError as wrong:
        raise Failed(f"TLS failed: {wrong.reason or 'the connection was closed'}"[:200]) from None
    except OSError as error:
        raise Failed(f"the connection failed: {error.strerror or error}"[:200]) from None
    except (http.client.HTTPException, ValueError):
        raise Failed("the response is not HTTP") from None


def _connect(parts: SplitResult, deadline: float, allow_private: bool | None) -> socket.socket:
    """Return a connection to the first address that accepts one."""
    host = parts.hostname or ""
    if not allow_private and parts.scheme not in guard.allowed_schemes():
        raise guard.Refused("the URL does not begin with https://")
    targets = guard.resolve(host, parts.port or guard.PORTS[parts.scheme], _left(deadline), allow_private)
    for number, target in enumerate(targets, start=1):
        plain = socket.socket(target.family, socket.SOCK_STREAM)
        try:
            plain.settimeout(_left(deadline))
            plain.connect(target.address)
            if parts.scheme == "http":
                return plain
            return _tls().wrap_socket(plain, server_hostname=host)
        except BaseException as error:
            plain.close()
            if number == len(targets) or isinstance(error, ssl.SSLError) or not isinstance(error, OSError):
                raise
    raise OSError("no address accepts a connection")


@cache
def _tls() -> ssl.SSLContext:
    return ssl.create_default_context()


def _request(method: str, parts: SplitResult, body: bytes, headers: dict[str, str]) -> bytes:
    """Return the bytes of the request."""
    path = parts.path or "/"
    lines = {
        "Host": parts.netloc,
        "User-Agent": USER_AGENT,
        "Accept": "*/*",
        "Connection": "close",
        **headers,
    }
    target = f"{path}?{parts.query}" if parts.query else path
    text = "".join(f"{name}: {value}\r\n" for name, value in lines.items())
    return f"{method} {target} HTTP/1.1\r\n{text}\r\n".encode("ascii") + body


def _read(connection: socket.socket, deadline: float, method: str) -> Response:
    """Read status, headers and the beginning of the body, within the limits of time and size.

    The status is what counts, so a body that is broken, endless or late is cut off without an error.
    """
    response = http.client.HTTPResponse(_Line(connection, deadline), method=method)  # type: ignore[arg-type]
    response.begin()
    excerpt = b""
    with suppress(OSError, http.client.HTTPException, ValueError):
        excerpt = response.read(EXCERPT_BYTES)
    return Response(response.status, excerpt)


def _left(deadline: float) -> float:
    """Return the seconds until the deadline. Raise TimeoutError when it has passed."""
    left = deadline - time.monotonic()
    if left <= 0:
        raise TimeoutError
    return left


class _Line:
    """What `http.client` reads a response from, in place of a socket."""

    def __init__(self, connection: socket.socket, deadline: float) -> None:
        self._reader = _Reader(connection, deadline)

    def makefile(self, _mode: str) -> io.BufferedReader:
        """Return the file that `http.client` reads."""
        return io.BufferedReader(self._reader)


class _Reader(io.RawIOBase):
    """Reads a connection until a deadline, and MOST_BYTES at most: a byte every nine seconds gains no time."""

    def __init__(self, connection: socket.socket, deadline: float) -> None:
        self._connection, self._deadline, self._left = connection, deadline, MOST_BYTES

    def readable(self) -> bool:
        return True

    def readinto(self, buffer: Any) -> int:
        """Read some bytes into the buffer; 0 at the end, or when the limit is reached."""
        if self._left <= 0:
            return 0
        self._connection.settimeout(_left(self._deadline))
        count = self._connection.recv_into(memoryview(buffer)[: self._left])
        self._left -= count
        return count
