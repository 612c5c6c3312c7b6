"""The API of event endpoints: only the own site's, secrets shown once, a history, replays, and clear refusals."""

import json
from datetime import timedelta
from io import StringIO

import pytest
from django.core.management import CommandError, call_command
from django.utils import timezone

from accounts.events import endpoint as endpoints
from accounts.events import sender
from accounts.events.emit import emit
from accounts.events.endpoint import EventEndpoint
from accounts.sites.site import Site
from jobs.core.audit import AuditEntry
from tests.support import api_client
from tests.support.events import endpoint_of, events, run_due
from tests.support.receiver import Receiver, signed_by

pytestmark = pytest.mark.django_db
PATH = "/api/event-endpoints"
URL = "https://shop.example/events?token=abc"


@pytest.fixture
def call(client):
    """A request with a key of the site "shop", unless another is given."""
    ours = api_client.key("admin")

    def send(method, path="", body=None, key=ours):
        headers = {"Authorization": f"Bearer {key}"}
        return client.generic(
            method, PATH + path, "" if body is None else json.dumps(body), "application/json", headers=headers
        )

    return send


def test_the_secret_is_in_the_answers_to_create_and_rotate_alone(call):
    made = call("POST", body={"url": URL, "types": ["sign_in.disputed"]})
    assert made.status_code == 201
    assert made.json()["secret"].startswith("whsec_")
    assert (made.json()["state"], made.json()["types"]) == ("on", ["sign_in.disputed"])
    path = f"/{made.json()['id']}"
    rotated = call("POST", f"{path}/rotate").json()
    assert rotated["secret"] != made.json()["secret"]
    assert rotated["formerUntil"]
    for answer in (
        call("GET"),
        call("GET", path),
        call("PATCH", path, {"types": []}),
        call("GET", f"{path}/deliveries"),
    ):
        assert answer.status_code == 200
        assert "whsec_" not in answer.content.decode()
    assert call("DELETE", path).status_code == 204
    assert call("GET", path).status_code == 404
    acts = AuditEntry.objects.filter(act__contains="endpoint").values_list("act", "who")
    assert list(acts.order_by("pk")) == [("create_endpoint", "key:shop"), *[("change_endpoint", "key:shop")] * 3]
    assert "token=abc" not in str(list(AuditEntry.objects.values_list("target", "detail")))


def test_another_site_sees_and_changes_nothing(call, settings):
    made, _ = endpoint_of(URL)
    theirs = api_client.key("admin", name="cafe")
    assert call("GET", key=theirs).json() == {"items": []}
    for method, path, body in [
        ("GET", "", None),
        ("PATCH", "", {"on": False}),
        ("DELETE", "", None),
        ("POST", "/rotate", None),
        ("POST", "/ping", None),
        ("GET", "/deliveries", None),
        ("POST", "/replay", {"jobId": "evt_" + "0" * 32}),
    ]:
        assert call(method, f"/{made.pk}{path}", body, key=theirs).status_code == 404, path
    assert call("GET", key=api_client.key("enqueue", "read")).status_code == 403
    assert EventEndpoint.objects.get().is_on


@pytest.mark.parametrize(
    "url", ["http://shop.example/", "https://127.0.0.1/", "https://0x7f.1/", "https://u:p@shop.example/", "nonsense"]
)
def test_a_bad_url_is_a_clear_problem_in_english(call, url):
    answer = call("POST", body={"url": url})
    assert answer.status_code == 400
    [error] = answer.json()["errors"]
    assert error["field"] == "url"
    assert error["message"].isascii()
    made, _ = endpoint_of(URL)
    assert call("PATCH", f"/{made.pk}", {"url": url}).status_code == 400
    made.refresh_from_db()
    assert made.url == URL


@pytest.mark.parametrize(
    "body",
    [
        {},
        {"url": 7},
        {"url": URL, "types": ["ping"]},
        {"url": URL, "types": ["x"]},
        {"url": URL, "secret": "x"},
        {"url": URL, "types": ["notice.failed\x00"]},
        {"url": "https://shop.example/" + "x" * 500},
    ],
)
def test_bad_fields_are_a_problem(call, body):
    assert call("POST", body=body).status_code == 400
    assert not EventEndpoint.objects.exists()


@pytest.mark.parametrize("pk", ["0", "-1", "9223372036854775808", "x", "1.5"])
def test_an_impossible_id_is_a_problem(call, pk):
    assert call("GET", f"/{pk}").status_code in (400, 404)


def test_a_site_has_a_limited_number_of_endpoints(call, monkeypatch):
    monkeypatch.setattr(endpoints, "MOST_OF_A_SITE", 1)
    assert call("POST", body={"url": URL}).status_code == 201
    refused = call("POST", body={"url": URL})
    assert (refused.status_code, refused.json()["type"]) == (409, "urn:notifier:problem:too-many-endpoints")


def test_the_developer_sees_what_was_sent_and_answered_and_sends_it_again(call, settings, monkeypatch):
    settings.EVENT_ALLOW_PRIVATE = True
    monkeypatch.setattr(sender, "this_process", sender.Attempts())
    with Receiver() as receiver:
        made = call("POST", body={"url": receiver.url}).json()
        path = f"/{made['id']}"
        assert call("POST", f"{path}/ping").json()["status"] == "enqueued"
        run_due()
        assert signed_by(made["secret"], receiver.accepted[0])
        receiver.answer = (500, b"we are sorry")
        emit("shop", "notice.delivered", {"jobId": "1", "userId": "bat@example.mn"}, key="1")
        run_due()
        first = call("GET", f"{path}/deliveries?limit=1").json()
        [row] = first["items"]
        assert (row["type"], row["attempt"], row["statusCode"]) == ("notice.delivered", 1, 500)
        assert (row["response"], row["error"]) == ("we are sorry", "the receiver answered 500")
        assert row["request"]["data"] == {"jobId": "1", "userId": "b***@example.mn"}
        rest = call("GET", f"{path}/deliveries?limit=1&cursor={first['nextCursor']}").json()
        assert [one["type"] for one in rest["items"]] == ["ping"]
        assert rest["nextCursor"] is None
        assert call("GET", f"{path}/deliveries?cursor=x").status_code == 400
        assert call("GET", path).json()["state"] == "failing"

        receiver.answer = (200, b"")
        EventEndpoint.objects.update(last_failure_at=timezone.now() - timedelta(hours=1))
        again = call("POST", f"{path}/replay", {"jobId": row["jobId"]})
        assert (again.status_code, again.json()) == (202, {"replayed": 1})
        run_due()
        assert events().get(job_id=row["jobId"]).status == "completed"
        assert call("POST", f"{path}/replay", {"jobId": row["jobId"]}).status_code == 409
        assert call("POST", f"{path}/replay", {"jobId": "evt_" + "0" * 32}).status_code == 404
        since = {"failedSince": (timezone.now() - timedelta(hours=1)).isoformat()}
        assert call("POST", f"{path}/replay", since).json() == {"replayed": 0}
        for wrong in ({}, {**since, "jobId": row["jobId"]}, {"failedSince": "yesterday"}, {"jobId": "x"}):
            assert call("POST", f"{path}/replay", wrong).status_code == 400
        call("PATCH", path, {"on": False})
        assert call("POST", f"{path}/ping").json()["type"].endswith("endpoint-off")
        assert call("POST", f"{path}/replay", since).status_code == 409
        assert call("PATCH", path, {"on": True}).json()["state"] == "on"


def test_the_command_prints_the_secret_once_and_refuses_with_one_line():
    Site.objects.find_or_make("shop", who="tests")
    out = StringIO()
    call_command("create_event_endpoint", "shop", URL, "--type", "notice.failed", stdout=out)
    [endpoint] = EventEndpoint.objects.all()
    assert out.getvalue().strip() == endpoint.secrets()[0]
    assert endpoint.types == ["notice.failed"]
    for slug, url in (("none", URL), ("shop", "http://shop.example/"), ("signal", URL)):
        with pytest.raises(CommandError):
            call_command("create_event_endpoint", slug, url)
