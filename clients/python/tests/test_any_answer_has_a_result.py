"""The client and servers with any answer: only Notifier's own 202 and 409 are a success, and nothing raises."""

import json
import random
import ssl
from datetime import datetime, timedelta, timezone
from email.utils import format_datetime
from pathlib import Path

import pytest
from hostile import response, server

from notifier_client import Accepted, Duplicate, FieldError, Notifier, Refused, SignIn, Unreachable
from notifier_client.retry import read_retry_after, wait_before
from notifier_client.transport import tls_context

CERTIFICATE = Path(__file__).parent / "localhost.pem"
PROBLEM = '{"type": "urn:notifier:problem:%s"}'
ACCEPTED = response(202, '{"jobId": "a", "status": "enqueued"}')
BUSY = response(503, PROBLEM % "database-away")
SIGN_IN = SignIn(user_id="42", email="bat@example.mn", name="Бат", job_id="a")


@pytest.fixture(autouse=True)
def quick(monkeypatch):
    monkeypatch.setattr("notifier_client.retry.FIRST_WAIT", 0.01)


def notify(*answers, budget=30, timeout=2.0, sign_in=SIGN_IN):
    """Return the result of one sign-in and the requests that the server got."""
    with server(*answers) as running:
        result = Notifier(running.url, "nk_key", timeout=timeout, budget=budget).notify(sign_in)
        return result, running.requests


@pytest.mark.parametrize(
    ("status", "body", "kind"),
    [
        (202, '{"jobId": "a", "status": "enqueued"}', Accepted),
        (409, PROBLEM % "duplicate-job", Duplicate),
        (409, PROBLEM % "not-a-dead-letter", Refused),
        (409, "<html>conflict</html>", Refused),
        (422, PROBLEM % "job-id-of-another-user", Refused),
        (200, "<html>welcome</html>", Refused),
        (204, "", Refused),
        (404, "<html>not found</html>", Refused),
        (400, "[1]", Refused),
        (400, "null", Refused),
        (400, '{"type": 3, "errors": 7}', Refused),
        (400, '{"type": "urn:notifier:problem:invalid-fields", "errors": [1, {"field": []}]}', Refused),
        (401, PROBLEM % "unauthenticated", Refused),
        (429, PROBLEM % "too-many-notices", Refused),
        (429, PROBLEM % "too-many-requests", Unreachable),
        (429, "<html>slow down</html>", Unreachable),
        (503, "<html>away</html>", Unreachable),
        (502, "", Unreachable),
        (202, "{}", Unreachable),
        (202, "null", Unreachable),
        (202, "[]", Unreachable),
        (202, '{"jobId": 1, "status": []}', Unreachable),
        (202, "[" * 50_000, Unreachable),
        (202, b"\xff\xfe", Unreachable),
        (202, '{"jobId": "' + "a" * 100_000, Unreachable),
    ],
)
def test_each_answer_has_one_result(status, body, kind):
    result, _ = notify(response(status, body), budget=0)
    assert type(result) is kind
    assert result.job_id == "a"
    _, requests = notify(response(status, body), ACCEPTED, budget=30)
    assert len(requests) == (2 if kind is Unreachable else 1)


@pytest.mark.parametrize(
    "answer",
    [
        b"",
        b"\x00\x01\x02",
        b"HTTP/1.1 202",
        b"HTTP/1.1 202 Accepted\r\n" + b"X: y\r\n" * 500 + b"\r\n",
        b"HTTP/1.1 202 Accepted\r\nX: " + b"y" * 100_000 + b"\r\n\r\n",
        response(202, '{"jobId": "a", "status": "enqueued"}', Content_Length="1000"),
        response(202, '{"jobId": "a", "sta', Content_Length="1000"),
        response(202, "zz", Content_Length=None, Transfer_Encoding="chunked"),
    ],
    ids=["nothing", "noise", "a cut line", "headers", "a long header", "cut off", "cut JSON", "no chunks"],
)
def test_an_answer_that_is_broken_is_asked_for_again(answer):
    result, requests = notify(answer, ACCEPTED)
    assert result == Accepted("a", "enqueued")
    assert len(requests) == 2
    assert requests[0][2] == requests[1][2]


def test_an_answer_that_drips_ends_at_the_time_limit():
    result, _ = notify([bytes([byte]) for byte in response(202, "x" * 400)], timeout=0.2, budget=0)
    assert isinstance(result, Unreachable)
    assert result.reason == "TimeoutError"


def test_an_endless_answer_is_not_read_to_its_end():
    endless = response(400, "x" * 20_000_000)
    result, _ = notify(endless)
    assert isinstance(result, Refused)


@pytest.mark.parametrize("status", [301, 302, 303, 307, 308])
@pytest.mark.parametrize("to", ["{url}/elsewhere", "ftp://x/", "http://[", ""])
def test_a_redirect_is_not_followed_with_the_key(status, to):
    with server(b"") as running:
        running.answers = [response(status, Location=to.format(url=running.url))]
        result = Notifier(running.url, "nk_key").notify(SIGN_IN)
        assert isinstance(result, Refused)
        assert [path for path, _, _ in running.requests] == ["/api/jobs/signin-notification"]


def test_a_server_that_does_not_exist_is_unreachable():
    with server(b"") as running:
        url = running.url
    result = Notifier(url, "nk_key", budget=0.2).notify(SIGN_IN)
    assert isinstance(result, Unreachable)
    assert result.reason == "ConnectionRefusedError"
    assert result.attempts > 1
    assert Notifier("https://" + "a" * 70 + ".example", "k", budget=0).notify(SIGN_IN).ok is False


@pytest.fixture
def tls():
    """A server's context with a certificate for localhost."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(CERTIFICATE)
    tls_context.cache_clear()
    yield context
    tls_context.cache_clear()


def test_a_certificate_must_be_trusted_and_name_the_host(monkeypatch, tls):
    with server(response(202), ACCEPTED, tls=tls) as running:
        port = running.server_address[1]
        result = Notifier(f"https://localhost:{port}", "nk_key", budget=0).notify(SIGN_IN)
        assert (type(result), result.reason) == (Unreachable, "SSLCertVerificationError")
        monkeypatch.setenv("SSL_CERT_FILE", str(CERTIFICATE))
        tls_context.cache_clear()
        result = Notifier(f"https://127.0.0.1:{port}", "nk_key", budget=0).notify(SIGN_IN)
        assert (type(result), result.reason) == (Unreachable, "SSLCertVerificationError")
        assert running.requests == []
        result = Notifier(f"https://localhost:{port}", "nk_key", budget=5).notify(SIGN_IN)
        assert result.ok
        assert len(running.requests) == 2


def test_an_answer_that_drips_ends_at_the_time_limit_over_tls_too(monkeypatch, tls):
    monkeypatch.setenv("SSL_CERT_FILE", str(CERTIFICATE))
    drip = [bytes([byte]) for byte in response(202, "x" * 400)]
    with server(drip, tls=tls) as running:
        url = f"https://localhost:{running.server_address[1]}"
        result = Notifier(url, "nk_key", timeout=0.5, budget=0).notify(SIGN_IN)
    assert (type(result), result.reason) == (Unreachable, "TimeoutError")


def test_the_verdict_and_the_problem_are_passed_on():
    body = {"jobId": "a", "status": "enqueued", "newDevice": True, "signals": ["new_country", 3], "other": 1}
    result, _ = notify(response(202, json.dumps(body)))
    assert result == Accepted("a", "enqueued", new_device=True, signals=("new_country",))
    problem = {"type": "urn:notifier:problem:invalid-fields", "title": "Invalid", "errors": [{"field": "email"}]}
    result, _ = notify(response(400, json.dumps(problem)))
    assert (result.status, result.problem.errors) == (400, (FieldError("email", ""),))
    assert str(result) == "refused: 400 invalid-fields (email)"


def test_a_retry_sends_the_same_job_id_and_the_same_time():
    result, requests = notify(BUSY, b"", ACCEPTED, budget=5, sign_in=SignIn(user_id="1", email="a@b.mn"))
    assert result.ok
    assert len(requests) == 3
    assert len({body for _, _, body in requests}) == 1
    assert requests[0][1]["authorization"] == "Bearer nk_key"


def test_a_server_that_does_not_know_device_ids_gets_none():
    refusal = {"type": "urn:notifier:problem:invalid-fields", "errors": [{"field": "deviceId", "message": "is not"}]}
    sign_in = SignIn(user_id="1", email="a@b.mn", device_id="d")
    result, requests = notify(response(400, json.dumps(refusal)), ACCEPTED, sign_in=sign_in)
    assert result.ok
    assert [b"deviceId" in body for _, _, body in requests] == [True, False]


def test_the_client_waits_as_long_as_it_is_asked_to_or_gives_up(monkeypatch):
    waits = []
    monkeypatch.setattr("time.sleep", waits.append)
    result, requests = notify(response(503, Retry_After="7"), ACCEPTED, budget=10)
    assert result.ok
    assert waits == [7]
    result, requests = notify(response(503, Retry_After="3600"), ACCEPTED, budget=10)
    assert (type(result), len(requests)) == (Unreachable, 1)


SOON = format_datetime(datetime.now(timezone.utc) + timedelta(hours=1), usegmt=True)


@pytest.mark.parametrize(
    ("value", "least", "most"),
    [("7", 7, 7), (SOON, 3000, 3600), ("soon", 0, 0), ("-1", 0, 0), ("Thu, 01 Jan 1970", 0, 0), ("9" * 99, 0, 0),
     ("Thu, 01 Jan 1970 00:00:00 GMT", 0, 0), ("٣", 0, 0), ("", 0, 0)],
)  # fmt: skip
def test_the_time_to_wait_may_be_a_number_a_date_or_nonsense(value, least, most):
    assert least <= read_retry_after(value) <= most


def test_waits_double_up_to_a_limit(monkeypatch):
    monkeypatch.setattr("notifier_client.retry.FIRST_WAIT", 0.5)
    monkeypatch.setattr(random, "random", lambda: 0.0)
    assert [wait_before(attempt) for attempt in (2, 3, 4, 9, 99)] == [0.5, 1, 2, 30, 30]


@pytest.mark.parametrize("url", ["", "notifier.example.mn", "ftp://x", "file:///etc/passwd", "http://", "http://a:b",
                                 "http://u:p@x", "http://x?y", "http://x\r\ny", "http://[", None, "http://x:0",
                                 "http://тест.mn"])  # fmt: skip
def test_an_address_that_cannot_work_is_a_mistake_in_the_code(url):
    with pytest.raises(ValueError, match="https://notifier"):
        Notifier(url, "nk_key")


@pytest.mark.parametrize("key", ["", "nk key", "nk_key\r\n", "ключ", None])
def test_a_key_that_cannot_be_sent_is_a_mistake_in_the_code_and_not_repeated(key):
    with pytest.raises(ValueError) as error:
        Notifier("http://x", key)
    assert not key or key not in str(error.value)
