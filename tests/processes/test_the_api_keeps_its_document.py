"""The OpenAPI document is true: schemathesis with a key of each scope and with none, and every status it names."""

import os
import subprocess
import sys
from pathlib import Path

import pytest
from django.db.models.functions import Now
from django.utils import timezone
from openapi_spec_validator import OpenAPIV31SpecValidator

from accounts.events.endpoint import MOST_OF_A_SITE
from jobs.core.job import JobLog, Reason, Status
from jobs.queue.enqueue import enqueue
from tests.support import api_client
from tests.support.live_site import ROOT, LiveSite
from tests.support.ports import free_port

SCHEMATHESIS = Path(sys.executable).with_name("schemathesis")
OPTIONS = ["--no-color", "--max-examples=5", "--phases=examples,coverage,fuzzing"]


def dead_letter(job_id: str, **fields: object) -> JobLog:
    """A dead letter of the source "shop"."""
    job = enqueue("signin-notification", {}, job_id=job_id, user_id=job_id, source="shop")
    died = {"status": Status.DLQ, "dlq_reason": Reason.PERMANENT, "error_class": "permanent", "processed_at": Now()}
    JobLog.objects.filter(pk=job.pk).update(**{**died, **fields})
    job.refresh_from_db()
    return job


SCOPES = [("read",), ("enqueue", "read", "admin"), ()]  # make test-world has each scope alone
if os.environ.get("WORLD"):
    SCOPES += [("enqueue",), ("admin",)]


@pytest.mark.django_db(transaction=True)
@pytest.mark.parametrize("scopes", SCOPES)
def test_schemathesis_finds_nothing_wrong(scopes, tmp_path):
    for number in range(5):
        dead_letter(f"dead-{number}")
    header = ["-H", f"Authorization: Bearer {api_client.key(*scopes)}"] if scopes else []
    with LiveSite(API_RATE="1000000/m", workers=1) as site:
        done = subprocess.run(
            [SCHEMATHESIS, "run", f"{site.url}/api/openapi.json", *OPTIONS, *header],
            cwd=tmp_path,
            env={**os.environ, "PYTHONPATH": str(ROOT), "SCHEMATHESIS_HOOKS": "tests.support.schemathesis_hooks"},
            capture_output=True,
            text=True,
        )
        assert "Traceback" not in site.log
    assert done.returncode == 0, done.stdout[-6000:]
    assert "19 selected / 19 total" in done.stdout


ENDPOINTS = "/api/event-endpoints"
READING = ("readJob", "listJobs")
WITH_BODY = {
    *("enqueueSignInNotification", "enqueueSignInNotifications", "replayDeadLetters"),
    *("createEventEndpoint", "changeEventEndpoint", "replayEvents"),
}


def answers_of(site, limited, away):
    """One request for each status of each call: (operation, status expected, answer)."""
    key, read, body = api_client.key(), api_client.key("read"), api_client.notification
    replay, many, dlq = "/api/admin/dlq/dead-1/replay", "/api/admin/dlq/replay", "/api/admin/dlq"
    discard, order, text = (
        "/api/admin/dlq/dead-2/discard",
        {"filter": {}, "dryRun": True},
        {"Content_Type": "text/plain"},
    )
    chunked = {"Transfer_Encoding": "chunked"}
    made = site.call("POST", ENDPOINTS, {"url": "https://shop.example/events"}, key=key).body["id"]
    endpoint, since = f"{ENDPOINTS}/{made}", {"failedSince": timezone.now().isoformat()}
    calls = {
        "enqueueSignInNotification": ("POST", api_client.PATH, body(jobId="a")),
        "enqueueSignInNotifications": ("POST", f"{api_client.PATH}/batch", {"items": [body(jobId="b")]}),
        "listJobs": ("GET", "/api/jobs", None),
        "readJob": ("GET", "/api/jobs/a", None),
        "cancelJob": ("POST", "/api/jobs/a/cancel", None),
        "listDeadLetters": ("GET", dlq, None),
        "replayDeadLetters": ("POST", many, order),
        "replayDeadLetter": ("POST", replay, None),
        "discardDeadLetter": ("POST", discard, None),
        "listEventEndpoints": ("GET", ENDPOINTS, None),
        "createEventEndpoint": ("POST", ENDPOINTS, {"url": "https://shop.example/events"}),
        "readEventEndpoint": ("GET", endpoint, None),
        "changeEventEndpoint": ("PATCH", endpoint, {"types": []}),
        "rotateEventSecret": ("POST", f"{endpoint}/rotate", None),
        "pingEventEndpoint": ("POST", f"{endpoint}/ping", None),
        "listEventDeliveries": ("GET", f"{endpoint}/deliveries", None),
        "replayEvents": ("POST", f"{endpoint}/replay", since),
    }
    usual = {
        "enqueueSignInNotifications": 200,
        "createEventEndpoint": 201,
        "changeEventEndpoint": 200,
        "rotateEventSecret": 200,
    }
    for name, call in calls.items():
        yield name, usual.get(name, 202 if call[0] == "POST" else 200), site.call(*call, key=key)
        yield name, 401, site.call(*call, key="nk_000000000000_" + "x" * 43)
        yield name, 403, site.call(*call, key=api_client.key("enqueue") if name in READING else read)
        limited.call("GET", "/api/jobs/a", key=key)
        yield name, 429, limited.call(*call, key=key)
        yield name, 503, away.call(*call, key=key)
        if name in WITH_BODY:
            yield name, 400, site.call(call[0], call[1], b"{", key=key)
            yield name, 411, site.call(call[0], call[1], b"0\r\n\r\n", key=key, **chunked)
            yield name, 413, site.call(call[0], call[1], b"x" * 65_537, key=key)
            yield name, 415, site.call(*call, key=key, **text)
    for name, (method, path, given) in calls.items():
        if path.startswith(f"{ENDPOINTS}/"):
            none = path.replace(endpoint, f"{ENDPOINTS}/999999999")
            yield name, 404, site.call(method, none, given, key=key)
            yield name, 400, site.call(method, path.replace(endpoint, f"{ENDPOINTS}/none"), given, key=key)
    site.call("PATCH", endpoint, {"on": False}, key=key)
    for name in ("pingEventEndpoint", "replayEvents"):
        yield name, 409, site.call(*calls[name], key=key)
    for _ in range(MOST_OF_A_SITE):
        site.call(*calls["createEventEndpoint"], key=key)
    yield "createEventEndpoint", 409, site.call(*calls["createEventEndpoint"], key=key)
    erased = ("DELETE", "/api/users/7", None)
    yield "eraseUser", 204, site.call(*erased, key=key)
    yield "eraseUser", 401, site.call(*erased)
    yield "eraseUser", 403, site.call(*erased, key=read)
    yield "eraseUser", 429, limited.call(*erased, key=key)
    yield "eraseUser", 503, away.call(*erased, key=key)
    yield "eraseUser", 400, site.call("DELETE", f"/api/users/{'x' * 129}", key=key)
    yield "eraseUser", 404, site.call("DELETE", "/api/users/a%0Ab", key=key)
    yield "listJobs", 400, site.call("GET", "/api/jobs?cursor=x", key=key)
    yield "readJob", 400, site.call("GET", "/api/jobs/a?wait=21", key=key)
    gone = ("DELETE", endpoint, None)
    yield "deleteEventEndpoint", 400, site.call("DELETE", f"{ENDPOINTS}/none", key=key)
    yield "deleteEventEndpoint", 401, site.call(*gone)
    yield "deleteEventEndpoint", 403, site.call(*gone, key=read)
    yield "deleteEventEndpoint", 429, limited.call(*gone, key=key)
    yield "deleteEventEndpoint", 503, away.call(*gone, key=key)
    yield "deleteEventEndpoint", 204, site.call(*gone, key=key)
    yield "deleteEventEndpoint", 404, site.call(*gone, key=key)
    yield "enqueueSignInNotification", 409, site.call(*calls["enqueueSignInNotification"], key=key)
    others = body(jobId="a", userId="another")
    yield "enqueueSignInNotification", 422, site.call("POST", api_client.PATH, others, key=key)
    yield "listDeadLetters", 400, site.call("GET", f"{dlq}?cursor=x", key=key)
    yield "readJob", 404, site.call("GET", "/api/jobs/none", key=key)
    ended = {"replayDeadLetter": replay, "discardDeadLetter": discard, "cancelJob": calls["cancelJob"][1]}
    for name, path in ended.items():
        yield name, 404, site.call("POST", path.replace("dead-", "none-").replace("/a/", "/none/"), key=key)
        yield name, 409, site.call("POST", path, key=key)


@pytest.mark.django_db(transaction=True)
def test_every_status_in_the_document_is_seen_and_no_other():
    dead_letter("dead-1")
    dead_letter("dead-2")
    nowhere = f"postgres://postgres@127.0.0.1:{free_port()}/none"
    with LiveSite() as site, LiveSite(API_RATE="1/d") as limited, LiveSite(DATABASE_URL=nowhere) as away:
        seen = {}
        for name, expected, answer in answers_of(site, limited, away):
            assert answer.status == expected, (name, expected, answer)
            seen.setdefault(name, set()).add(str(expected))
            if expected >= 400:
                assert answer.headers["Content-Type"] == "application/problem+json"
                assert answer.body["type"].startswith("urn:notifier:problem:")
            if expected in (429, 503):
                assert int(answer.headers["Retry-After"]) > 0
        document = site.call("GET", "/api/openapi.json").body
    named = {
        call["operationId"]: set(call["responses"]) for path in document["paths"].values() for call in path.values()
    }
    assert seen == named


@pytest.mark.django_db
def test_what_is_not_there_and_what_is_not_allowed_are_problems_too(client):
    for method, path, status in [
        ("get", "/api/", 404),
        ("get", "/api/nothing", 404),
        ("get", "/api/jobs/a/b", 404),
        ("post", "/api/admin/dlq/a%2Fb/replay", 404),
        ("delete", "/api/jobs/a", 405),
        ("get", api_client.PATH, 405),
    ]:
        answer = getattr(client, method)(path)
        assert answer.status_code == status, path
        assert answer["Content-Type"] == "application/problem+json"
        assert answer.json()["status"] == status
        assert status != 405 or answer["Allow"]


@pytest.mark.django_db
def test_the_example_in_the_document_is_a_request_that_is_taken(client):
    document = client.get("/api/openapi.json").json()
    assert document["openapi"].startswith("3.1")
    example = document["components"]["schemas"]["SignInNotification"]["examples"][0]
    answer = api_client.post(client, {**example, "timestamp": timezone.now().isoformat()}, api_client.key("enqueue"))
    assert answer.status_code == 202, answer.content
    assert JobLog.objects.get().payload["name"] == example["name"]


@pytest.mark.django_db
def test_the_document_is_valid_and_names_a_server(client):
    document = client.get("/api/openapi.json").json()
    OpenAPIV31SpecValidator(document).validate()
    assert document["servers"]
    parameters = [
        p for path in document["paths"].values() for call in path.values() for p in call.get("parameters", [])
    ]
    assert not any(isinstance(parameter.get("examples"), list) for parameter in parameters)


@pytest.mark.django_db
def test_a_problem_type_is_never_renamed():
    """The clients of other sites compare with these; a new one may be added, an old one stays."""
    from notifier.api.problems import KINDS

    promised = Path(ROOT, "docs", "api.md").read_text()
    assert all(f"`{kind}`" in promised for kind in KINDS)
