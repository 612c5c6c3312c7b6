"""gunicorn's worker with threads (gthread), which answers /healthz itself and shares the threads fairly.

1. The thread that accepts connections answers GET and HEAD of /healthz, even while all others are busy. No other thread
   takes the request over, so the answer waits for the interpreter's lock less often.
2. Requests of programs (the API, webhooks) and of people each leave one thread to the other group.
3. A connection that has sent nothing, or only a part of its request, holds no thread.
4. A site that starts listens when its code is loaded: until then connections are refused, and no request waits.
5. A worker that ends first answers the connections that the kernel has accepted for it (E7): no proxy sees them reset.
6. A client that does not close its connection after the last answer holds no thread, not even the accepting one.
7. A busy thread leaves the interpreter to a waiting one after a millisecond.

Only the main process of gunicorn imports this module, before the settings: it uses neither these nor Django.
"""

import gc
import os
import select
import selectors
import socket
import sys
import threading
import time
from collections import deque
from collections.abc import Callable, Iterable
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import suppress
from functools import partial
from typing import Any

from gunicorn.sock import BaseSocket
from gunicorn.workers import gthread

from notifier.web.arrival import ARRIVED, PROGRAMS
from notifier.web.request_bytes import (
    HEAD_BYTES,
    answer_to_probe,
    bytes_awaited,
    first_bytes,
    is_probe,
    may_stay,
    method_and_path,
    send_answer,
)

SWITCH_SECONDS = 0.001  # a request takes the interpreter's lock dozens of times, and may wait this long for each
LOADING_NICENESS = 5  # of the thread that loads the code: a third of the share of a thread at 0
SILENT_SECONDS = 5.0  # until a connection is closed that sends nothing, or that its client leaves open
SLOW_SECONDS = 30.0  # until one is closed that has sent only a part of a request

Task = tuple["Future[Any]", Callable[..., Any], tuple[Any, ...]]


class Share:
    """A queue of tasks, of which at most `limit` run at a time in the threads of a pool."""

    def __init__(self, pool: ThreadPoolExecutor, limit: int) -> None:
        self._pool, self._limit = pool, limit
        self._waiting: deque[Task] = deque()
        self._running = 0
        self._lock = threading.Lock()

    def submit(self, function: Callable[..., Any], *args: Any) -> "Future[Any]":
        """Queue a function call; return the future of its result."""
        future: Future[Any] = Future()
        with self._lock:
            self._waiting.append((future, function, args))
        self._start()
        return future

    def _start(self) -> None:
        with self._lock:
            if not self._waiting or self._running >= self._limit:
                return
            self._running += 1
            task = self._waiting.popleft()
        self._pool.submit(self._run, *task)

    def _run(self, future: "Future[Any]", function: Callable[..., Any], args: tuple[Any, ...]) -> None:
        try:
            future.set_result(function(*args))
        except BaseException as error:  # as an executor does: gunicorn reads it from the future
            future.set_exception(error)
        finally:
            with self._lock:
                self._running -= 1
            self._start()


class Threads:
    """The threads of a worker. gunicorn calls `shutdown`."""

    def __init__(self, threads: int) -> None:
        self._pool = ThreadPoolExecutor(threads, "request")
        limit = max(1, threads - 1)
        self.programs, self.people = Share(self._pool, limit), Share(self._pool, limit)

    def share_for(self, head: bytes) -> Share:
        """Return the share of a request that begins with `head`."""
        _, path = method_and_path(head)
        return self.programs if path.decode("latin-1").startswith(PROGRAMS) else self.people

    def shutdown(self, wait: bool = True) -> None:
        self._pool.shutdown(wait)


class Worker(gthread.ThreadWorker):
    """The worker class of gunicorn.conf.py."""

    def get_thread_pool(self) -> Threads:
        self._current = threading.local()
        return Threads(self.cfg.threads)

    def load_wsgi(self) -> None:
        with ThreadPoolExecutor(1, "load", initializer=_give_way) as pool:
            pool.submit(super().load_wsgi).result()
            pool.submit(_exempt_from_collection).result()
        application: Any = vars(self)["wsgi"]

        def respond(environ: dict[str, Any], start_response: Any) -> Iterable[bytes]:
            environ[ARRIVED] = self._current.arrived
            result: Iterable[bytes] = application(environ, start_response)
            return result

        self.wsgi = respond

    def run(self) -> None:
        """Listen, now that the code is loaded, and serve."""
        sys.setswitchinterval(SWITCH_SECONDS)
        for listener in self.sockets:
            listener.listen(self.cfg.backlog)
        super().run()

    def enqueue_req(self, conn: Any) -> None:
        """Answer a probe, queue another request by its kind, leave a silent or slow connection to the poller."""
        read, head = _read_ahead(conn), first_bytes(conn.sock)
        if not read and is_probe(head or b""):
            self._answer_probe(conn, head or b"")
            return
        if self.alive and head is None and not (conn.initialized or conn.data_ready):
            self._wait_for_more(conn, time.monotonic() + SILENT_SECONDS)
            return
        if self.alive and (read or head) and not _is_whole(conn, read, head or b""):
            self._wait_for_more(conn, conn.slow_until)
            return
        future = self.tpool.share_for(read + (head or b"")).submit(self._handle, conn, time.monotonic())
        future.add_done_callback(lambda done: self.method_queue.defer(self.finish_request, conn, done))

    def _wait_for_more(self, conn: Any, until: float) -> None:
        super().finish_request(conn, _done(gthread._DEFER))
        conn.timeout = until

    def murder_pending(self) -> None:
        """Close the connections whose wait is over, whatever their order: the waits differ."""
        now = time.monotonic()
        for conn in [each for each in self.pending_conns if each.timeout <= now]:
            self._stop_waiting(conn)

    def _stop_waiting(self, conn: Any) -> None:
        self.poller.unregister(conn.sock)
        self.pending_conns.remove(conn)
        self._close(conn)

    def _answer_probe(self, conn: Any, head: bytes) -> None:
        kept = self.alive and may_stay(head) and len(self.keepalived_conns) < self.max_keepalived
        if kept:
            conn.init()
        self.finish_request(conn, _done(send_answer(conn.sock, answer_to_probe(head, kept=kept)) and kept))

    def _handle(self, conn: Any, arrived: float) -> Any:
        self._current.arrived = arrived
        return self.handle(conn)

    def finish_request(self, conn: Any, future: "Future[Any]") -> None:
        """Keep a connection as gunicorn does. One to be closed waits in the poller until its client closes it too.

        gunicorn waits for that in this thread, for two seconds, in which no connection is accepted. Without the wait,
        bytes that were not read would reset the connection, and the client could lose the answer (RFC 9112, 9.6).
        """
        if future.exception() or future.result():
            super().finish_request(conn, future)
            return
        try:
            conn.sock.setblocking(False)
            conn.sock.shutdown(socket.SHUT_WR)
            self.poller.register(conn.sock, selectors.EVENT_READ, partial(self._discard, conn))
        except OSError:
            self._close(conn)
            return
        conn.timeout = time.monotonic() + SILENT_SECONDS
        self.pending_conns.append(conn)

    def _discard(self, conn: Any, _sock: Any) -> None:
        if not _is_open(conn.sock):
            self._stop_waiting(conn)

    def _close(self, conn: Any) -> None:
        self.nr_conns -= 1
        conn.close()

    def set_accept_enabled(self, enabled: bool) -> None:
        """Start or stop accepting. A worker that ends takes what the kernel has accepted, and closes the listener."""
        super().set_accept_enabled(enabled)
        if self.alive or enabled:
            return
        for listener in self.sockets:
            listener.setblocking(False)
            while has_waiting(listener):  # `nr_conns` says nothing: a probe may be closed while it is accepted
                self.accept(listener)
            listener.close()


def has_waiting(listener: BaseSocket) -> bool:
    """Return whether the kernel has accepted a connection that no process has taken yet.

    On Linux the last look keeps the interpreter's lock, so no other thread delays a close that follows it. A close
    resets the connections that have arrived since the last look.
    """
    waiting = select.poll()
    waiting.register(listener, select.POLLIN)
    return bool(waiting.poll(0)) or listener.get_backlog() > 0


def _done(result: Any) -> "Future[Any]":
    future: Future[Any] = Future()
    future.set_result(result)
    return future


def _is_open(sock: socket.socket) -> bool:
    """Discard what a client sends after its last answer; return whether it may send more."""
    try:
        return bool(sock.recv(HEAD_BYTES, socket.MSG_DONTWAIT))
    except BlockingIOError:
        return True
    except OSError:
        return False


def _is_whole(conn: Any, read: bytes, head: bytes) -> bool:
    """Return whether a thread would not wait for more of a request; else have the poller wait for it.

    read: its beginning, if that was read with the request before it; head: what has arrived since.
    If the poller reports fewer bytes than it was to wait for, the client has stopped sending, or the system cannot
    wait for a number of bytes: a thread reads the request then.
    """
    arrived, expected = len(head), getattr(conn, "expected", 0)
    awaited = max(0, bytes_awaited(read + head) - len(read))
    if arrived >= awaited or arrived < expected:
        awaited = 0
    if awaited and not expected:
        conn.slow_until = time.monotonic() + SLOW_SECONDS
    if awaited != expected:
        conn.expected = awaited
        conn.sock.setsockopt(socket.SOL_SOCKET, socket.SO_RCVLOWAT, awaited or 1)
    return not awaited


def _read_ahead(conn: Any) -> bytes:
    """Return what was read of the next request together with the last one of a connection."""
    read: bytes = conn.parser.unreader.buf.getvalue() if conn.parser else b""
    return read


def leave_listening_to_workers() -> None:
    """Have gunicorn bind its sockets without listening, as if each one listened already: its workers do it."""
    BaseSocket._is_listening = staticmethod(lambda _socket: True)


def _give_way() -> None:
    """Let other processes run before this thread. It cannot get its priority back, so the thread has to end."""
    if sys.platform != "linux":  # where priorities are not those of threads
        return
    with suppress(OSError):
        os.setpriority(os.PRIO_PROCESS, threading.get_native_id(), LOADING_NICENESS)


def _exempt_from_collection() -> None:
    """Leave what is loaded out of garbage collections: a full one stops every thread for 50 ms and more."""
    gc.collect()
    gc.freeze()
