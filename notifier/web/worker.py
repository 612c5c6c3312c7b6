"""gunicorn's worker with threads (gthread), with a thread for /healthz, and threads shared fairly.

1. GET and HEAD of /healthz have a thread of their own, whatever the other threads wait for.
2. Requests of programs (the API, webhooks) and of people each leave one thread to the other group.
3. A connection that has sent nothing holds no thread.
4. A site that starts listens when its code is loaded: until then connections are refused, and no request waits.
5. A worker that ends first answers the connections that the kernel has accepted for it (E7): no proxy sees them reset.
6. A busy thread leaves the interpreter to a waiting one after a millisecond.

Only the main process of gunicorn imports this module, before the settings: it uses neither these nor Django.
"""

import gc
import os
import socket
import sys
import threading
import time
from collections import deque
from collections.abc import Callable, Iterable
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import suppress
from typing import Any

from gunicorn.workers import gthread

from notifier.web.arrival import ARRIVED, PROGRAMS

PROBE = b"/healthz"
HEAD_BYTES = 4096
SWITCH_SECONDS = 0.001  # /healthz takes the interpreter's lock a dozen times; Python's own 0.005 make it 0.2 s and more
LOADING_NICENESS = 5  # of the thread that loads the code while others answer: a third of their share, not starved
SILENT_SECONDS = 5.0  # after which a new connection that has sent nothing is closed

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
        self._pools = ThreadPoolExecutor(threads, "request"), ThreadPoolExecutor(1, "healthz")
        limit = max(1, threads - 1)
        self.programs, self.people = Share(self._pools[0], limit), Share(self._pools[0], limit)
        self.probes = Share(self._pools[1], 1)

    def share_for(self, head: bytes) -> Share:
        """Return the share of a request that begins with `head`."""
        method, _, rest = head.partition(b" ")
        path = rest.partition(b" ")[0].partition(b"?")[0]
        if path == PROBE and method in (b"GET", b"HEAD") and b"\r\n\r\n" in head:
            return self.probes
        return self.programs if path.decode("latin-1").startswith(PROGRAMS) else self.people

    def shutdown(self, wait: bool = True) -> None:
        for pool in self._pools:
            pool.shutdown(wait)


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
        """Queue a request in the share of its kind; leave a connection without one to the poller."""
        head = _first_bytes(conn.sock)
        if head is None and self.alive and not (conn.initialized or conn.data_ready):
            silent: Future[Any] = Future()
            silent.set_result(gthread._DEFER)
            self.finish_request(conn, silent)
            conn.timeout = time.monotonic() + SILENT_SECONDS
            return
        future = self.tpool.share_for(head or b"").submit(self._handle, conn, time.monotonic())
        future.add_done_callback(lambda done: self.method_queue.defer(self.finish_request, conn, done))

    def _handle(self, conn: Any, arrived: float) -> Any:
        self._current.arrived = arrived
        return self.handle(conn)

    def set_accept_enabled(self, enabled: bool) -> None:
        """Start or stop accepting. A worker that ends takes what the kernel has accepted, and closes the listener."""
        super().set_accept_enabled(enabled)
        if self.alive or enabled:
            return
        for listener in self.sockets:
            listener.setblocking(False)
            before = -1
            while before < self.nr_conns:  # `accept` returns without a connection when there is none
                before = self.nr_conns
                self.accept(listener)
            listener.close()


def refuse_connections(listeners: Iterable[socket.socket]) -> None:
    """Stop listening, and keep the address. On Linux alone, and not for unix sockets, which could not listen again."""
    for listener in listeners:
        if listener.family != socket.AF_UNIX:
            with suppress(OSError):
                listener.shutdown(socket.SHUT_RD)


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


def _first_bytes(connection: socket.socket) -> bytes | None:
    """Return the first bytes of the next request without taking them; None when there are none yet."""
    try:
        return connection.recv(HEAD_BYTES, socket.MSG_PEEK | socket.MSG_DONTWAIT)
    except (OSError, ValueError):
        return None
