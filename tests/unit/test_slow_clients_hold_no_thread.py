"""A request that arrives in parts is left to the poller until a thread would not have to wait for it."""

import socket
import time
from types import SimpleNamespace

import pytest

from notifier.web.request_bytes import HEAD_BYTES, bytes_awaited
from tests.support.web_worker import Connection, Handing, ended, poll


@pytest.fixture
def client():
    """A client that has connected over TCP, and the worker's connection to it."""
    with socket.create_server(("127.0.0.1", 0)) as listener:
        theirs = socket.create_connection(listener.getsockname(), 5)
        ours = Connection(listener.accept()[0])
    with theirs:
        yield SimpleNamespace(sock=theirs, conn=ours)
        ours.close()


HEAD = b"POST /a HTTP/1.1\r\nHost: a\r\ncontent-Length: 6\r\n\r\n"


def send(client, worker, data: bytes) -> list[bytes]:
    """Send bytes, and have the worker look; return what it has handed to threads until now."""
    client.sock.sendall(data)
    poll(worker, 0.05)
    return worker.handed


def test_a_request_that_arrives_in_parts_holds_no_thread(client):
    worker = Handing()
    client.sock.sendall(b"P")
    worker.enqueue_req(client.conn)
    for part in (HEAD[1:9], HEAD[9:-2], HEAD[-2:], b"bo", b"di"):
        assert send(client, worker, part) == []
    assert send(client, worker, b"es") == [HEAD + b"bodies"]
    assert list(worker.pending_conns) == []


def test_the_next_request_of_a_connection_may_come_in_parts_too(client):
    worker = Handing()
    client.sock.sendall(HEAD)
    worker.enqueue_req(client.conn)
    assert len(send(client, worker, b"bodies")) == 1
    client.conn.init()
    client.conn.sock.recv(100)
    worker.finish_request(client.conn, ended(kept=True))
    assert len(send(client, worker, HEAD)) == 1
    assert len(send(client, worker, b"bodies")) == 2


@pytest.mark.parametrize("ahead", [1, len(HEAD) - 1, len(HEAD), len(HEAD) + 3])
def test_a_part_that_was_read_with_the_request_before_it_holds_no_thread(client, ahead):
    worker, request_ = Handing(), HEAD + b"bodies"
    client.conn.init()
    client.conn.parser.unreader.buf.write(request_[:ahead])
    worker.finish_request(client.conn, ended(kept=True))
    assert worker.handed == []
    assert send(client, worker, request_[ahead:-1]) == []
    assert send(client, worker, request_[-1:]) == [request_]


def test_the_poller_does_not_wake_the_worker_for_a_part_of_what_it_waits_for(client):
    worker = Handing()
    client.sock.sendall(HEAD)
    worker.enqueue_req(client.conn)
    client.sock.sendall(b"body")
    assert worker.poller.select(0.05) == []


def test_a_client_that_ends_in_the_middle_is_left_to_a_thread(client):
    worker = Handing()
    client.sock.sendall(HEAD)
    worker.enqueue_req(client.conn)
    client.sock.shutdown(socket.SHUT_WR)
    poll(worker, 5)
    assert worker.handed == [HEAD]


def test_a_client_that_never_sends_the_rest_loses_its_connection(client):
    worker = Handing()
    client.sock.sendall(HEAD)
    worker.enqueue_req(client.conn)
    assert worker.pending_conns[0].timeout > time.monotonic()
    worker.pending_conns[0].timeout = 0
    worker.murder_pending()
    assert (worker.nr_conns, worker.handed) == (0, [])


def test_a_worker_that_ends_leaves_a_slow_client_to_a_thread(client):
    worker = Handing()
    worker.alive = False
    client.sock.sendall(HEAD)
    worker.enqueue_req(client.conn)
    assert worker.handed == [HEAD]


@pytest.mark.parametrize(
    ("head", "awaited"),
    [
        (b"G", 2),
        (b"GET / HTTP/1.1\r\n\r\n", 18),
        (HEAD, len(HEAD) + 6),
        (HEAD + b"bodies and more", len(HEAD) + 6),
        (b"GET / HTTP/1.1\r\n\r\ncontent-length: 9\r\n", 18),
        (b"POST / HTTP/1.1\r\nTransfer-Encoding: chunked\r\n\r\n", 47),
        (HEAD.replace(b"6", b"131073"), 0),
        (HEAD.replace(b"Host", b"Expect: 100-continue\r\nHost"), len(HEAD) + 22),
        (b"A" * HEAD_BYTES, 0),
    ],
)
def test_a_request_is_awaited_as_far_as_its_head_tells(head, awaited):
    assert bytes_awaited(head) == awaited
