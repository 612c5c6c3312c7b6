"""/healthz is answered by the thread that accepts connections, and a worker that ends takes every connection."""

import io
import logging
import select
import selectors
import socket
import sys
from types import SimpleNamespace

import pytest
from gunicorn.sock import TCPSocket

from notifier.ops.health import healthz
from notifier.web.request_bytes import is_probe
from notifier.web.worker import has_waiting
from tests.support.web_worker import Accepting, Connection, Handing, accept, poll, received

KEPT, LAST = b"GET /healthz HTTP/1.1\r\nHost: a\r\n\r\n", b"GET /healthz HTTP/1.0\r\nHost: a\r\n\r\n"


@pytest.mark.parametrize(("request_", "connection"), [(KEPT, "keep-alive"), (LAST, "close")])
def test_healthz_needs_no_thread_and_has_the_answer_of_the_view(request_, connection, rf):
    head, _, body = accept(request_, Accepting()).recv(4096).partition(b"\r\n\r\n")
    status, *lines = head.decode().split("\r\n")
    headers = dict(line.split(": ") for line in lines)
    view = healthz(rf.get("/healthz"))
    assert (status, body) == ("HTTP/1.1 200 OK", view.content)
    assert headers == {**view.headers, "Content-Length": str(len(body)), "Connection": connection}


def test_the_answer_to_head_has_no_body():
    answer = received(accept(b"HEAD /healthz HTTP/1.0\r\n\r\n", Accepting()))
    assert answer.startswith(b"HTTP/1.1 200 OK\r\n")
    assert answer.endswith(b"\r\n\r\n")


def test_a_connection_takes_one_probe_after_the_other():
    worker = Accepting()
    client = accept(KEPT, worker)
    for _ in range(3):
        assert client.recv(4096).endswith(b'{"status": "ok"}')
        client.sendall(KEPT.replace(b"/healthz", b"/healthz?from=lb"))
        poll(worker)
    assert worker.nr_conns == 1


@pytest.mark.parametrize(
    ("request_", "changed"),
    [
        (LAST, {}),
        (KEPT.replace(b"Host", b"Connection: Close\r\nHost"), {}),
        (KEPT, {"alive": False}),  # a worker that ends
        (KEPT, {"max_keepalived": 0}),
    ],
)
def test_a_connection_that_is_not_kept_ends_after_the_answer(request_, changed):
    worker = Accepting()
    vars(worker).update(changed)
    assert b"\r\nConnection: close\r\n" in received(accept(request_, worker))
    poll(worker)
    assert (worker.nr_conns, list(worker.pending_conns)) == (0, [])


def test_a_client_that_has_left_does_no_harm():
    ours, theirs = socket.socketpair()
    theirs.sendall(KEPT)
    theirs.close()
    worker = Accepting()
    worker.enqueue_req(Connection(ours))
    poll(worker)
    assert (ours.fileno(), worker.nr_conns) == (-1, 0)


def test_a_client_that_leaves_its_connection_open_does_not_hold_the_worker():
    worker = Accepting()
    client = accept(LAST, worker)
    assert client.recv(4096).startswith(b"HTTP/1.1 200 OK")
    assert client.recv(4096) == b""
    client.sendall(b"more")
    poll(worker)
    assert (worker.nr_conns, len(worker.pending_conns)) == (1, 1)  # the worker is here, and the client has not left
    client.close()
    poll(worker)
    assert (worker.nr_conns, len(worker.pending_conns)) == (0, 0)


def test_a_client_that_never_closes_its_connection_loses_it():
    worker = Accepting()
    client = accept(LAST, worker)
    worker.pending_conns[0].timeout = 0
    worker.murder_pending()
    assert worker.nr_conns == 0
    client.close()


@pytest.mark.parametrize(
    "head",
    [
        b"GET /healthz HTTP/1.1\r\nHost:",  # the rest may never come
        b"POST /healthz HTTP/1.1\r\n\r\n",
        b"GET /healthz HTTP/1.1\r\nContent-Length: 9\r\n\r\n",
        b"GET /healthz HTTP/1.1\r\nTransfer-Encoding: chunked\r\n\r\n",
        b"GET /healthz HTTP/1.1\r\nA: b\ncontent-length: 9\r\n\r\n",
        b"GET /healthzz HTTP/1.1\r\n\r\n",
        b"GET /healthz HTTP/1.1\r\n\r\nGET / HTTP/1.1\r\n\r\n",
        b"GET /healthz HTTP/1.1\r\n\r\nGET / HTTP/1.1",
        b"GET http://a/healthz HTTP/1.1\r\n\r\n",
        b"",
    ],
)
def test_other_bytes_are_left_to_a_thread(head):
    assert not is_probe(head)


def test_a_probe_behind_an_unanswered_request_waits_for_it():
    parser = SimpleNamespace(unreader=SimpleNamespace(buf=io.BytesIO(b"GET / HTTP/1.1\r\n")))
    with pytest.raises(AttributeError, match="share_for"):  # it asks for a thread, and this worker has none
        accept(KEPT, Accepting(), parser=parser)


@pytest.fixture
def listener():
    made = TCPSocket(("127.0.0.1", 0), SimpleNamespace(reuse_port=False, backlog=8), logging.getLogger())
    yield made
    made.close()


class Ending(Handing):
    """A worker that ends."""

    def __init__(self, listener):
        super().__init__()
        self.alive, self.nr_conns, self._accepting, self.sockets = False, 0, True, [listener]
        self.poller.register(listener, selectors.EVENT_READ)


def test_a_worker_that_ends_takes_the_connections_behind_a_probe_too(listener):
    paths = ["/a", "/healthz", "/b", "/healthz", "/healthz", "/c"]
    clients = [socket.create_connection(listener.getsockname(), 5) for _ in paths]
    for client, path in zip(clients, paths, strict=True):
        client.sendall(f"GET {path} HTTP/1.1\r\n\r\n".encode())
    ending = Ending(listener)
    ending.set_accept_enabled(enabled=False)
    assert ([head.split()[1] for head in ending.handed], ending.nr_conns) == ([b"/a", b"/b", b"/c"], 6)
    for client, path in zip(clients, paths, strict=True):
        if path == "/healthz":
            assert received(client).startswith(b"HTTP/1.1 200 OK")
    poll(ending)
    assert ending.nr_conns == 3
    for each in [*clients, *ending.connections]:
        each.close()


def test_a_listener_tells_of_the_connections_that_wait(listener):
    assert not has_waiting(listener)
    with socket.create_connection(listener.getsockname(), 5):
        assert has_waiting(listener)
        listener.accept()[0].close()
        assert not has_waiting(listener)


@pytest.mark.skipif(sys.platform != "linux", reason="only Linux tells their number without a release of the lock")
def test_a_connection_is_seen_that_arrives_after_the_poll(listener, monkeypatch):
    monkeypatch.setattr(select, "poll", lambda: SimpleNamespace(register=lambda *_: None, poll=lambda _: []))
    assert not has_waiting(listener)
    with socket.create_connection(listener.getsockname(), 5):
        assert has_waiting(listener)
