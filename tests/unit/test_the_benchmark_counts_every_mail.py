"""The benchmark's mail server takes what a client may send: commands and mails in one segment, or byte by byte."""

import socket
import time
from collections.abc import Iterator

import pytest

from benchmarks.services import Sink

BODY = "DATA\r\nSubject: x\r\nX-Entity-Ref-ID: {name}@example.mn\r\n\r\nhello\r\n.dots\r\n.\r\n"
MAIL = "MAIL FROM:<a@example.mn> SIZE=60\r\nRCPT TO:<b@example.mn>\r\n" + BODY


@pytest.fixture
def sink() -> Iterator[Sink]:
    server = Sink()
    yield server
    server.close()


def client(sink):
    connection = socket.create_connection(("127.0.0.1", sink.port), timeout=10)
    connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
    return connection


def lines(connection, count):
    with connection.makefile("rb") as answers:
        return [answers.readline().decode().strip() for _ in range(count)]


def names(sink):
    return [name for name, _ in sink.request("arrivals", "")]


def test_mails_in_one_segment_are_counted_and_answered_in_order(sink):
    with client(sink) as connection:
        connection.sendall(("EHLO me\r\n" + MAIL.format(name="one") + MAIL.format(name="two") + "QUIT\r\n").encode())
        replies = lines(connection, 14)
    assert "250-PIPELINING" in replies
    assert [line[:3] for line in replies[5:]] == ["250", "250", "354", "250"] * 2 + ["221"]
    assert names(sink) == ["one", "two"]


def test_a_mail_that_comes_byte_by_byte_is_one(sink):
    with client(sink) as connection:
        for byte in MAIL.format(name="slow").encode():
            connection.send(bytes([byte]))
        lines(connection, 5)
    assert names(sink) == ["slow"]


def test_a_delay_holds_one_connection_and_no_other(sink):
    sink.request("reset", 1000)
    with client(sink) as first, client(sink) as second:
        began = time.monotonic()
        for name, connection in (("one", first), ("two", second)):
            connection.sendall(MAIL.format(name=name).encode())
        assert [lines(connection, 5)[-1] for connection in (first, second)] == ["250 taken"] * 2
        took = time.monotonic() - began
    assert 1.0 <= took < 1.9
    assert sink.request("count")[:2] == [2, 2]


def test_a_server_may_be_asked_not_to_offer_pipelining(sink):
    sink.request("offer", False)
    with client(sink) as connection:
        connection.sendall(b"EHLO me\r\n")
        assert "250-PIPELINING" not in lines(connection, 4)
