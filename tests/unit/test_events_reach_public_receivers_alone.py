"""The guard against requests into private networks: every notation, names that change, and receivers that misbehave."""

import socket
import time

import pytest
from django import conf
from django.core.exceptions import ValidationError

from accounts.events import guard, request
from tests.support.ports import free_port
from tests.support.receiver import Receiver

PRIVATE = [
    *(
        "127.0.0.1",
        "127.1",
        "0.0.0.0",
        "0",
        "10.0.0.1",
        "172.16.0.1",
        "172.31.255.255",
        "192.168.1.1",
        "169.254.169.254",
    ),
    *("100.64.0.1", "192.0.0.8", "192.88.99.1", "198.18.0.1", "224.0.0.1", "240.0.0.1", "255.255.255.255"),
    *(
        "2130706433",
        "0x7f000001",
        "0x7f.1",
        "0177.0.0.1",
        "017700000001",
        "0xA9FEA9FE",
        "2852039166",
        "10.1",
        "127.0.1",
    ),
]
PRIVATE_IPV6 = [
    *("::", "::1", "::ffff:127.0.0.1", "::ffff:7f00:1", "::127.0.0.1", "64:ff9b::7f00:1", "64:ff9b:1::a00:1"),
    *("2002:7f00:1::", "2001::1", "fc00::1", "fd12::1", "fe80::1", "fec0::1", "ff02::1", "2001:db8::1", "100::1"),
]
PUBLIC = ["1.1.1.1", "93.184.216.34", "2606:4700:4700::1111"]


@pytest.mark.parametrize("host", PRIVATE)
def test_a_private_ipv4_address_is_refused_in_every_notation(host):
    with pytest.raises(ValidationError):
        guard.check_url(f"https://{host}/events")
    with pytest.raises((guard.Refused, OSError)):
        guard.resolve(host, 443, 5)


@pytest.mark.parametrize("host", PRIVATE_IPV6)
def test_a_private_ipv6_address_is_refused(host):
    with pytest.raises(ValidationError):
        guard.check_url(f"https://[{host}]/events")
    assert not guard.is_public(host)


@pytest.mark.parametrize("host", PUBLIC)
def test_a_public_address_is_allowed(host):
    assert guard.is_public(host)
    guard.check_url(f"https://[{host}]/e" if ":" in host else f"https://{host}/e")


@pytest.mark.parametrize("name", ["localhost", "LOCALHOST.", "printer", "db.local", "api.internal", "a.b.localhost"])
def test_a_name_of_a_local_network_is_refused(name):
    with pytest.raises(ValidationError):
        guard.check_url(f"https://{name}/events")


@pytest.mark.parametrize(
    "url",
    [
        *("http://shop.example/", "ftp://shop.example/", "shop.example/events", "https://", "https:///x", ""),
        *("https://user@shop.example/", "https://user:secret@shop.example/", "https://@shop.example/"),
        *("https://shop.example/#part", "https://shop.example:0/", "https://shop.example:99999/", "https://[::1/"),
        *(
            "https://shop.example/a b",
            "https://shop.example/\r\nX: y",
            "https://дэлгүүр.example/",
            "javascript:alert(1)",
        ),
        *("https://shop.example\\@127.0.0.1/", "https://shop.example/" + "x" * 500),
    ],
)
def test_a_bad_url_is_refused_when_the_endpoint_is_made(url):
    with pytest.raises(ValidationError):
        guard.check_url(url)


def test_http_and_private_hosts_need_a_setting(settings):
    settings.EVENT_ALLOW_PRIVATE = True
    guard.check_url("http://127.0.0.1:3000/events")
    settings.EVENT_ALLOW_PRIVATE, settings.DEBUG = False, True
    guard.check_url("http://shop.example/events")
    with pytest.raises(ValidationError):
        guard.check_url("http://127.0.0.1:3000/events")


def test_a_url_with_http_that_was_stored_under_other_settings_gets_no_connection(settings):
    with Receiver() as receiver:
        settings.EVENT_ALLOW_PRIVATE = True
        request.post(receiver.url, b"{}", {"webhook-id": "evt_1"})
        settings.EVENT_ALLOW_PRIVATE = False
        with pytest.raises(request.Failed, match="https://"):
            request.post(receiver.url, b"{}", {"webhook-id": "evt_2"})
        assert [one.id for one in receiver.requests] == ["evt_1"]


def names(monkeypatch, *answers):
    """Lets every name have these addresses, one list for each time that it is asked for; how often it was."""
    asked = []
    monkeypatch.setattr(conf.settings, "DEBUG", True)  # allows http, and no private address

    def look_up(host, port, **_):
        asked.append(host)
        addresses = answers[min(len(asked), len(answers)) - 1]
        return [(socket.AF_INET, socket.SOCK_STREAM, 6, "", (address, port)) for address in addresses]

    monkeypatch.setattr(guard.socket, "getaddrinfo", look_up)
    return asked


def test_a_name_with_a_private_address_gets_no_connection(monkeypatch):
    with Receiver() as receiver:
        names(monkeypatch, ["127.0.0.1"])
        with pytest.raises(request.Failed, match="no public address"):
            request.post(f"http://shop.example:{receiver.port}/", b"{}", {})
        assert receiver.requests == []


def test_a_name_that_changes_its_address_is_asked_once_and_leads_to_the_checked_one(monkeypatch):
    """The first answer is public, the second would be ours: there is no second."""
    reached = []
    monkeypatch.setattr(socket.socket, "connect", lambda _self, address: reached.append(address))
    monkeypatch.setattr(socket.socket, "sendall", lambda *_: None)
    asked = names(monkeypatch, ["93.184.216.34"], ["127.0.0.1"])
    with pytest.raises(request.Failed):
        request.post("http://shop.example/", b"{}", {})
    assert asked == ["shop.example"]
    assert reached == [("93.184.216.34", 80)]


def test_of_a_name_with_both_kinds_of_addresses_the_public_ones_are_used(monkeypatch):
    names(monkeypatch, ["10.0.0.1", "93.184.216.34"])
    assert [target.address[0] for target in guard.resolve("shop.example", 443, 5)] == ["93.184.216.34"]


@pytest.fixture
def receiver(settings):
    settings.EVENT_ALLOW_PRIVATE = True
    with Receiver() as running:
        yield running


def test_a_redirect_is_not_followed(receiver):
    with Receiver() as other:
        receiver.answer = b"HTTP/1.1 302 Found\r\nLocation: %s\r\nContent-Length: 0\r\n\r\n" % other.url.encode()
        assert request.post(receiver.url, b"{}", {}).status == 302
        assert other.requests == []


def test_proxies_of_the_environment_are_not_used(receiver, monkeypatch):
    monkeypatch.setenv("http_proxy", f"http://127.0.0.1:{free_port()}")
    assert request.post(receiver.url, b"{}", {}).status == 204


def test_the_request_is_what_the_standard_asks_for(receiver):
    request.post(receiver.url, b'{"a":1}', {"webhook-id": "evt_1"})
    [one] = receiver.requests
    assert one.headers[""] == "POST /events?token=abc HTTP/1.1"
    assert one.headers["content-type"] == "application/json"
    assert one.headers["user-agent"] == "Notifier-Events/1.0"
    assert one.headers["host"] == f"127.0.0.1:{receiver.port}"
    assert (one.id, one.body) == ("evt_1", {"a": 1})


@pytest.mark.parametrize(
    "answer", [b"garbage\r\n\r\n", b"", b"HTTP/1.1 abc OK\r\n\r\n", b"\x00\xff" * 1000, b"\x16\x03\x01"]
)
def test_garbage_is_a_failure_and_not_an_error_of_ours(receiver, answer):
    receiver.answer = answer
    with pytest.raises(request.Failed):
        request.post(receiver.url, b"{}", {})


def test_endless_headers_are_cut_off(receiver):
    sent = []

    def answer(_one):
        yield b"HTTP/1.1 200 OK\r\n"
        while len(sent) < 1000:
            sent.append(1)
            yield b"X: " + b"y" * 60_000 + b"\r\n"

    receiver.answer = answer
    assert request.post(receiver.url, b"{}", {}).status == 200
    assert len(sent) < 1000


def test_of_a_huge_body_only_the_beginning_is_read(receiver):
    receiver.answer = (200, b"x" * 50_000_000)
    began = time.monotonic()
    response = request.post(receiver.url, b"{}", {})
    assert (response.status, response.excerpt) == (200, b"x" * 1024)
    assert time.monotonic() - began < request.SECONDS


@pytest.mark.parametrize("part", ["status", "headers", "body", "silence"])
def test_a_slow_receiver_gets_no_more_than_its_time(receiver, monkeypatch, part):
    monkeypatch.setattr(request, "SECONDS", 0.6)

    def drip(_one):
        whole = b"HTTP/1.1 200 OK\r\nX-A: b\r\nContent-Length: 500\r\n\r\n"
        before = {"status": 5, "headers": 20, "body": len(whole), "silence": 0}[part]
        yield whole[:before]
        for _ in range(300):
            time.sleep(0.1)
            yield b"" if part == "silence" else b"x"

    receiver.answer = lambda one: drip(one)
    began = time.monotonic()
    if part == "body":
        assert request.post(receiver.url, b"{}", {}).status == 200
    else:
        with pytest.raises(request.Failed, match="no response within"):
            request.post(receiver.url, b"{}", {})
    assert time.monotonic() - began < 10


def test_a_resolver_that_does_not_answer_is_given_up(monkeypatch):
    monkeypatch.setattr(request, "SECONDS", 0.3)
    monkeypatch.setattr(guard.socket, "getaddrinfo", lambda *_, **__: time.sleep(1) or [])
    with pytest.raises(request.Failed, match="no response within"):
        request.post("https://shop.example/", b"{}", {})


def test_a_receiver_without_tls_or_that_refuses_is_a_failure(receiver):
    with pytest.raises(request.Failed, match="TLS failed"):
        request.post(f"https://127.0.0.1:{receiver.port}/", b"{}", {})
    with pytest.raises(request.Failed, match="the connection failed"):
        request.post(f"http://127.0.0.1:{free_port()}/", b"{}", {})
