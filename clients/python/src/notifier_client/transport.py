"""One HTTP request that follows no redirect, reads no more than it needs, and always ends.

urllib is used for its support of proxies (HTTPS_PROXY, NO_PROXY).
"""

import http.client
import io
import socket
import ssl
import time
import urllib.error
import urllib.request
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cache
from typing import Any

MAX_ANSWER_BYTES = 65_536


@dataclass(frozen=True)
class Answer:
    """What a server answered."""

    status: int
    headers: Mapping[str, str]
    body: bytes


class _TimedReader(io.RawIOBase):
    """Reads from a socket until a deadline, however slowly the bytes arrive: a socket's timeout is for one read."""

    def __init__(self, sock: socket.socket) -> None:
        self._sock = sock
        self._raw = sock.makefile("rb", buffering=0)
        self._deadline = time.monotonic() + (sock.gettimeout() or 0)

    def readable(self) -> bool:
        return True

    def readinto(self, buffer: Any) -> int | None:
        left = self._deadline - time.monotonic()
        if left <= 0:
            raise TimeoutError("the answer took too long")
        self._sock.settimeout(left)
        return self._raw.readinto(buffer)

    def close(self) -> None:
        self._raw.close()
        super().close()


class _TimedResponse(http.client.HTTPResponse):
    def __init__(self, sock: socket.socket, *arguments: Any, **options: Any) -> None:
        super().__init__(sock, *arguments, **options)
        self.fp.close()
        self.fp = io.BufferedReader(_TimedReader(sock))


@cache
def tls_context() -> ssl.SSLContext:
    """Return the context of all connections: reading the machine's certificates takes long."""
    context = ssl.create_default_context()
    context.set_alpn_protocols(["http/1.1"])
    return context


class _Connection(http.client.HTTPConnection):
    response_class = _TimedResponse


class _TlsConnection(http.client.HTTPSConnection):
    response_class = _TimedResponse


class _Handler(urllib.request.HTTPHandler):
    def http_open(self, req: urllib.request.Request) -> http.client.HTTPResponse:
        return self.do_open(_Connection, req)


class _TlsHandler(urllib.request.HTTPSHandler):
    def https_open(self, req: urllib.request.Request) -> http.client.HTTPResponse:
        return self.do_open(_TlsConnection, req, context=tls_context())


class _NoRedirect(urllib.request.HTTPRedirectHandler):
    """Returns a redirect as the answer: the key goes to no other address."""

    def http_error_302(self, req: Any, fp: Any, code: int, msg: str, headers: Any) -> None:
        return None

    http_error_301 = http_error_303 = http_error_307 = http_error_308 = http_error_302


_opener = urllib.request.build_opener(_NoRedirect, _Handler, _TlsHandler)


def post(url: str, body: bytes, headers: Mapping[str, str], timeout: float) -> Answer:
    """Send one POST and return the answer, whatever its status.

    Raise OSError or http.client.HTTPException when there is none, or when it is cut off.
    """
    request = urllib.request.Request(url, body, dict(headers), method="POST")  # noqa: S310  (Notifier checks the scheme)
    try:
        response = _opener.open(request, timeout=timeout)
    except urllib.error.HTTPError as error:
        response = error
    with response:
        return Answer(response.status or 0, response.headers, _read(response))


def _read(response: Any) -> bytes:
    """Return the body, or its beginning when it is too long to be Notifier's."""
    body: bytes = response.read(MAX_ANSWER_BYTES + 1)
    declared = response.headers.get("Content-Length") or ""
    if len(body) <= MAX_ANSWER_BYTES and declared.isdecimal() and len(body) < int(declared):
        raise http.client.IncompleteRead(body)
    return body
