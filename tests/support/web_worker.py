"""gunicorn's worker as the tests use it: without threads, with connections that they make themselves."""

import io
import selectors
import socket
from collections import deque
from concurrent.futures import Future
from types import SimpleNamespace

from notifier.web.worker import Worker


class Connection(SimpleNamespace):
    """gunicorn's connection of a client. `parser` stands for the state of the requests before."""

    def __init__(self, sock, parser=None):
        super().__init__(sock=sock, parser=parser, initialized=bool(parser), data_ready=False, timeout=0)

    def init(self):
        self.initialized = True
        self.parser = SimpleNamespace(unreader=SimpleNamespace(buf=io.BytesIO()))

    def set_timeout(self):
        self.timeout = 75

    def close(self):
        self.sock.close()


class Accepting(Worker):
    """A worker that has accepted one connection, and has no thread for it."""

    def __init__(self):
        self.alive, self.nr_conns, self.tpool, self.max_keepalived = True, 1, None, 9
        self.cfg = SimpleNamespace(keepalive=75)
        self.poller, self.keepalived_conns, self.pending_conns = selectors.DefaultSelector(), deque(), deque()


class Handing(Accepting):
    """One whose threads never begin: it notes what has arrived of each request that it hands to them."""

    def __init__(self):
        super().__init__()
        self.tpool, self.handed, self.connections = self, [], []

    def share_for(self, head):
        self.handed.append(head)
        return self

    def submit(self, _handle, conn, _arrived):
        self.connections.append(conn)
        return Future()


def accept(request: bytes, worker: Worker, *, parser=None) -> socket.socket:
    """Have a worker accept a connection on which `request` has arrived; return the client's end."""
    ours, theirs = socket.socketpair()
    theirs.sendall(request)
    theirs.settimeout(5)
    worker.enqueue_req(Connection(ours, parser))
    return theirs


def received(client: socket.socket) -> bytes:
    """Return what has been sent until the end of the connection, and close the client's end."""
    with client:
        return b"".join(iter(lambda: client.recv(4096), b""))


def poll(worker: Worker, seconds: float = 0) -> None:
    """Have a worker look at its connections once; wait up to `seconds` for an event."""
    worker.wait_for_and_dispatch_events(seconds)


def ended(*, kept: bool) -> Future:
    """The future of a request whose response has been sent. kept: whether its connection is for the next one too."""
    future: Future = Future()
    future.set_result(kept)
    return future
