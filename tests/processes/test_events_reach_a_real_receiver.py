"""A real receiver, workers and API: a notice is posted and its event arrives; an outage loses and doubles nothing."""

import json
import time
import urllib.request
from collections import Counter

import pytest

from tests.support.hostile_bodies import notification
from tests.support.machine import eventually
from tests.support.receiver import Receiver, signed_by
from tests.support.site import Site

EMIT = """
from django.db import transaction
from accounts.events.emit import Event, emit_many
def make(kind, first, count):
    numbers = range(first, first + count)
    return [Event("shop", kind, {"jobId": str(n), "userId": f"user-{n}"}, f"shop:{n}") for n in numbers]
routine, reports = make("notice.delivered", 0, %d), make("sign_in.disputed", 1_000_000, %d)
for start in range(0, len(routine), 500):
    with transaction.atomic():
        emit_many(routine[start:start + 500])
emit_many(reports)
"""
REPORTS = 10


@pytest.fixture
def receiver():
    with Receiver() as running:
        yield running


@pytest.fixture
def site(receiver):
    with Site(EVENT_ALLOW_PRIVATE="1", API_RATE="1000000/m") as running:
        running.key = running.manage("create_api_key", "shop", "--scope", "enqueue", "--scope", "admin").split()[-1]
        running.secret = running.manage("create_event_endpoint", "shop", receiver.url).split()[-1]
        running.start("mail", "worker", "web")
        yield running


def call(site, method, path, body=None):
    headers = {"Authorization": f"Bearer {site.key}", "Content-Type": "application/json"}
    data = None if body is None else json.dumps(body).encode()
    request = urllib.request.Request(site.url + path, data, headers, method=method)
    with urllib.request.urlopen(request, timeout=30) as answer:
        return json.loads(answer.read())


def test_a_posted_notice_becomes_a_signed_event(site, receiver):
    began = time.monotonic()
    body = notification(userId="42", email="bat@example.mn", name="Бат-Эрдэнэ", ipAddress="203.0.113.7", jobId="n-1")
    call(site, "POST", "/api/jobs/signin-notification", body)
    [one] = eventually(lambda: receiver.accepted)
    print(f"the event arrived after {time.monotonic() - began:.2f} s")  # noqa: T201
    assert signed_by(site.secret, one)
    assert (one.body["type"], one.body["data"]) == ("notice.delivered", {"jobId": "n-1", "userId": "42"})
    for personal in ("bat@", "Бат-Эрдэнэ", "203.0.113.7", "Chrome"):
        assert personal not in one.raw.decode()
    [row] = eventually(lambda: call(site, "GET", "/api/event-endpoints/1/deliveries")["items"])
    assert (row["jobId"], row["statusCode"], row["request"]["data"]["userId"]) == (one.id, 204, "42")
    assert call(site, "GET", f"/api/jobs/{one.id}")["status"] == "completed"
    assert "token=abc" not in site.log("worker") + site.log("web")


def outage(site, receiver, count, seconds):
    """A receiver that fails for so long, events meanwhile, and what is true once it works again."""
    began = []

    def answer(_one):
        began.append(time.monotonic())
        return (200, b"ok") if time.monotonic() - began[0] > seconds else (503, b"later")

    receiver.answer = answer
    site.manage("shell", "-v0", "-c", EMIT % (count, REPORTS))
    total = count + REPORTS
    eventually(lambda: len(receiver.accepted) >= total, seconds=seconds * 2 + 60 + count / 20)
    eventually(lambda: site.sql("SELECT count(*) FROM job_logs WHERE status <> 'completed'") == [(0,)])
    arrived = Counter(one.id for one in receiver.accepted)
    assert (len(arrived), set(arrived.values())) == (total, {1}), "all, each once"
    assert all(signed_by(site.secret, one) for one in receiver.accepted[-50:])
    order = [one.body["type"] for one in receiver.accepted]
    reports = [place for place, kind in enumerate(order) if kind == "sign_in.disputed"]
    assert len(reports) == REPORTS
    assert reports[-1] < total / 2, "reports of users come first"
    [endpoint] = call(site, "GET", "/api/event-endpoints")["items"]
    assert endpoint["state"] == "on"
    history = dict(site.sql("SELECT status_code, count(*) FROM accounts_eventdelivery GROUP BY 1"))
    print(figures(receiver, history))  # noqa: T201
    return history


def figures(receiver, history):
    """How long the outage was and what followed it, in words."""
    first, *_, last = (one.at for one in receiver.requests)
    times = [one.at for one in receiver.accepted]
    reported = [one.at for one in receiver.accepted if one.body["type"] == "sign_in.disputed"]
    return (
        f"{history[503]} requests failed in {times[0] - first:.1f} s; then the first event arrived, the {REPORTS} "
        f"reports within {reported[-1] - times[0]:.2f} s, all {len(times)} within {last - times[0]:.1f} s "
        f"({len(times) / max(last - times[0], 0.01):.0f} a second)"
    )


def test_a_receiver_that_fails_for_a_while_gets_every_event_once_and_reports_first(site, receiver):
    history = outage(site, receiver, count=300, seconds=3)
    assert history[200] == 310
    assert 0 < history[503] < 310, "while it fails, most events only wait"


@pytest.mark.world
@pytest.mark.timeout(1800)
def test_ten_thousand_events_and_five_minutes_without_a_receiver(site, receiver):
    history = outage(site, receiver, count=10_000, seconds=300)
    assert history[200] == 10_010
    assert 0 < history[503] < 10_010
