"""The shares of gunicorn's worker: no group of requests takes every thread, and /healthz needs none."""

import io
import socket
import threading
from concurrent.futures import Future
from types import SimpleNamespace

import pytest

from notifier.ops.health import healthz
from notifier.web import worker
from notifier.web.worker import Share, Threads, Worker


@pytest.fixture
def shares():
    made = Threads(4)
    yield made
    made.shutdown()


def occupy(share: Share, tasks: int) -> threading.Event:
    """Give a share tasks that wait for the event."""
    end = threading.Event()
    for _ in range(tasks):
        share.submit(end.wait)
    return end


@pytest.mark.parametrize(
    ("head", "name"),
    [
        (b"GET /healthz HTTP/1.1\r\nHost:", "people"),  # the rest may never come
        (b"GET /healthzz HTTP/1.1\r\n\r\n", "people"),
        (b"POST /healthz HTTP/1.1\r\nContent-Length: 9\r\n\r\n", "people"),
        (b"POST /api/jobs/signin-notification HTTP/1.1\r\n\r\n", "programs"),
        (b"POST /anymail/mailgun/tracking/ HTTP/1.1\r\n\r\n", "programs"),
        (b"GET /accounts/login/ HTTP/1.1\r\n\r\n", "people"),
        (b"\x16\x03\x01\x02", "people"),
        (b"", "people"),
    ],
)
def test_a_request_goes_to_the_share_of_its_kind(shares, head, name):
    assert shares.share_for(head) is getattr(shares, name)


@pytest.mark.parametrize(("busy", "free"), [("programs", "people"), ("people", "programs")])
def test_a_share_whose_requests_all_hang_leaves_the_other_a_thread(shares, busy, free):
    end = occupy(getattr(shares, busy), 20)
    try:
        assert getattr(shares, free).submit(lambda: "answered").result(10) == "answered"
    finally:
        end.set()


class Accepting(Worker):
    """A worker that has accepted one connection, and has no thread for it."""

    alive, nr_conns, tpool = True, 1, None

    def __init__(self):
        pass


def accept(request: bytes, *, parser=None) -> socket.socket:
    """Have a worker without threads accept a connection on which `request` has arrived; return the client's end."""
    ours, theirs = socket.socketpair()
    theirs.sendall(request)
    theirs.settimeout(5)
    conn = SimpleNamespace(sock=ours, parser=parser, initialized=bool(parser), data_ready=False, close=ours.close)
    Accepting().enqueue_req(conn)
    return theirs


def received(client: socket.socket) -> bytes:
    with client:
        return b"".join(iter(lambda: client.recv(4096), b""))


@pytest.mark.parametrize("path", ["/healthz", "/healthz?from=lb"])
def test_healthz_needs_no_thread_and_has_the_answer_of_the_view(path, rf):
    head, _, body = received(accept(f"GET {path} HTTP/1.1\r\nHost: a\r\n\r\n".encode())).partition(b"\r\n\r\n")
    status, *lines = head.decode().split("\r\n")
    headers = dict(line.split(": ") for line in lines)
    view = healthz(rf.get("/healthz"))
    assert (status, body) == ("HTTP/1.1 200 OK", view.content)
    assert headers.pop("Connection") == "close"
    assert headers == {**view.headers, "Content-Length": str(len(body))}


def test_the_answer_to_head_has_no_body():
    answer = received(accept(b"HEAD /healthz HTTP/1.0\r\n\r\n"))
    assert answer.startswith(b"HTTP/1.1 200 OK\r\n")
    assert answer.endswith(b"\r\n\r\n")


def test_a_client_that_has_left_does_no_harm():
    ours, theirs = socket.socketpair()
    theirs.close()
    worker.send_answer(SimpleNamespace(sock=ours, close=ours.close), worker.PROBE_ANSWERS[b"GET"])
    assert ours.fileno() == -1


@pytest.mark.parametrize(
    "head",
    [
        b"GET /healthz HTTP/1.1\r\nHost:",  # the rest may never come
        b"POST /healthz HTTP/1.1\r\nContent-Length: 9\r\n\r\n",
        b"GET /healthzz HTTP/1.1\r\n\r\n",
        b"GET /healthz HTTP/1.1\r\n\r\nGET / HTTP/1.1\r\n\r\n",
        b"GET /healthz HTTP/1.1\r\n\r\nGET / HTTP/1.1",
        b"GET http://a/healthz HTTP/1.1\r\n\r\n",
        b"",
    ],
)
def test_other_bytes_are_left_to_a_thread(head):
    assert worker.answer_to_probe(head) == b""


def test_a_probe_behind_an_unanswered_request_waits_for_it():
    parser = SimpleNamespace(unreader=SimpleNamespace(buf=io.BytesIO(b"GET / HTTP/1.1\r\n")))
    with pytest.raises(AttributeError, match="share_for"):  # it asks for a thread, and this worker has none
        accept(b"GET /healthz HTTP/1.1\r\n\r\n", parser=parser)


class Ending(Accepting):
    """A worker that ends: it notes each request for which it asks for a thread."""

    alive, nr_conns, _accepting, cfg = False, 0, True, None

    def __init__(self, listener):
        self.sockets, self.poller, self.tpool = [listener], SimpleNamespace(unregister=lambda _: None), self
        self.taken, self.connections = [], []

    def share_for(self, head):
        self.taken.append(head.split()[1])
        return self

    def submit(self, _handle, conn, _arrived):
        self.connections.append(conn)
        return Future()


def test_a_worker_that_ends_takes_the_connections_behind_a_probe_too():
    listener = socket.create_server(("127.0.0.1", 0))
    paths = ["/a", "/healthz", "/b", "/healthz", "/healthz", "/c"]
    clients = [socket.create_connection(listener.getsockname(), 5) for _ in paths]
    for client, path in zip(clients, paths, strict=True):
        client.sendall(f"GET {path} HTTP/1.1\r\n\r\n".encode())
    ending = Ending(listener)
    ending.set_accept_enabled(enabled=False)
    assert (ending.taken, ending.nr_conns) == ([b"/a", b"/b", b"/c"], 3)
    for client, path in zip(clients, paths, strict=True):
        if path == "/healthz":
            assert received(client).startswith(b"HTTP/1.1 200 OK")
    for each in [*clients, *ending.connections]:
        each.close()


def test_tasks_of_a_share_run_in_order_and_an_error_stays_in_its_future(shares):
    done: list[int] = []
    one = Threads(1).people
    futures = [one.submit(done.append, number) for number in range(50)]
    failing = one.submit(lambda: 1 / 0)
    for future in futures:
        future.result(10)
    assert done == list(range(50))
    with pytest.raises(ZeroDivisionError):
        failing.result(10)
