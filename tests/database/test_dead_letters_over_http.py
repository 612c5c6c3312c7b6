"""Dead letters over HTTP: every one is listed once, and each is replayed or discarded by one operator, once."""

import threading
from datetime import timedelta

import pytest
from django.contrib.auth.models import Permission
from django.core import signing
from django.db import connection
from django.db.models.functions import Now
from django.middleware.csrf import get_token
from django.test import Client, RequestFactory

from accounts.user import User
from jobs.core.audit import AuditEntry
from jobs.core.job import JobLog, Reason, Status
from jobs.queue.bulk_replay import BulkReplay
from jobs.queue.enqueue import enqueue
from tests.support import api_client


def dead_letter(job_id: str, **fields: object) -> JobLog:
    job = enqueue("signin-notification", {}, job_id=job_id, user_id=job_id, source="shop")
    died = {"status": Status.DLQ, "dlq_reason": Reason.PERMANENT, "error_class": "permanent", "processed_at": Now()}
    JobLog.objects.filter(pk=job.pk).update(**{**died, **fields})
    job.refresh_from_db()
    return job


@pytest.fixture
def bearer():
    return {"headers": {"Authorization": f"Bearer {api_client.key('admin')}"}}


@pytest.mark.django_db
def test_the_pages_hold_every_dead_letter_once_also_those_of_one_time(client, bearer):
    for number in range(7):
        dead_letter(f"job-{number}")
    JobLog.objects.filter(job_id__in=["job-1", "job-2", "job-3"]).update(processed_at=Now() - timedelta(hours=1))
    seen, cursor = [], ""
    while cursor is not None:
        page = client.get("/api/admin/dlq", {"limit": 2, "cursor": cursor}, **bearer).json()
        seen += [item["jobId"] for item in page["items"]]
        cursor = page["nextCursor"]
        if len(seen) == 2:
            dead_letter("one-that-comes-meanwhile")
    assert seen == ["job-6", "job-5", "job-4", "job-0", "job-3", "job-2", "job-1"]


@pytest.mark.django_db
def test_filters_choose_by_reason_class_and_type(client, bearer):
    dead_letter("refused")
    dead_letter("tired", dlq_reason=Reason.EXHAUSTED, error_class="temporary", error="451 busy")
    for query, expected in [
        ({}, {"refused", "tired"}),
        ({"reason": "", "errorClass": "", "jobType": "", "cursor": "", "limit": ""}, {"refused", "tired"}),
        ({"reason": "exhausted"}, {"tired"}),
        ({"errorClass": "permanent"}, {"refused"}),
        ({"jobType": "signin-notification", "reason": "poison"}, set()),
        ({"jobType": "another"}, set()),
    ]:
        page = client.get("/api/admin/dlq", query, **bearer).json()
        assert {item["jobId"] for item in page["items"]} == expected
    item = client.get("/api/admin/dlq", {"reason": "exhausted"}, **bearer).json()["items"][0]
    assert (item["reason"], item["errorClass"], item["error"]) == ("exhausted", "temporary", "451 busy")


@pytest.mark.django_db
@pytest.mark.parametrize(
    "query",
    [
        {"cursor": "x"},
        {"cursor": "W10:x"},
        {"cursor": "\x00"},
        {"cursor": signing.dumps(["2026-01-01", 1])},
        {"cursor": signing.Signer(salt="another").sign_object(["2026-01-01", 1])},
        {"cursor": "9" * 5000},
        {"limit": "0"},
        {"limit": "201"},
        {"limit": "9" * 400},
        {"limit": "-1"},
        {"limit": "ten"},
        {"reason": "boredom"},
        {"errorClass": "\x00"},
        {"jobType": "' OR 1=1"},
    ],
)
def test_a_hostile_cursor_or_filter_is_a_400(client, bearer, query):
    answer = client.get("/api/admin/dlq", query, **bearer)
    assert answer.status_code == 400
    assert answer["Content-Type"] == "application/problem+json"


@pytest.mark.django_db(transaction=True)
def test_ten_operators_replay_one_dead_letter_and_one_of_them_does_it():
    job, token = dead_letter("job"), api_client.key("admin")
    gate, statuses = threading.Barrier(10), []

    def replay() -> None:
        gate.wait()
        answer = Client().post("/api/admin/dlq/job/replay", headers={"Authorization": f"Bearer {token}"})
        statuses.append(answer.status_code)
        connection.close()

    threads = [threading.Thread(target=replay) for _ in range(10)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    job.refresh_from_db()
    assert sorted(statuses) == [202] + [409] * 9
    assert job.status == Status.ENQUEUED
    assert AuditEntry.objects.filter(act="replay", target="job", who="key:shop").count() == 1


@pytest.mark.django_db
def test_only_a_dead_letter_is_discarded(client, bearer):
    dead_letter("dead")
    enqueue("signin-notification", {}, job_id="alive", user_id="1")
    assert client.post("/api/admin/dlq/dead/discard", **bearer).json() == {"jobId": "dead", "status": "discarded"}
    for job_id, status in [("dead", "discarded"), ("alive", "enqueued")]:
        answer = client.post(f"/api/admin/dlq/{job_id}/discard", **bearer)
        assert (answer.status_code, answer.json()["status"]) == (409, status)
    assert client.post("/api/admin/dlq/none/discard", **bearer).status_code == 404


@pytest.mark.django_db
def test_a_bulk_replay_counts_first_and_is_handed_to_the_workers(client, bearer):
    for number in range(3):
        dead_letter(f"job-{number}")
    dead_letter("tired", dlq_reason=Reason.EXHAUSTED)
    path, order = "/api/admin/dlq/replay", {"filter": {"reason": "permanent"}, "dryRun": True}
    counted = client.post(path, order, content_type="application/json", **bearer)
    assert (counted.status_code, counted.json()) == (202, {"matched": 3, "batchId": None})
    assert not BulkReplay.objects.exists()
    started = client.post(path, {**order, "dryRun": False}, content_type="application/json", **bearer).json()
    batch = BulkReplay.objects.get()
    assert started == {"matched": 3, "batchId": str(batch.pk)}
    assert (batch.who, batch.filter) == ("key:shop", {"reason": "permanent"})
    for wrong in [
        {},
        {"filter": None},
        {"filter": {"status": "dlq"}},
        {"filter": {"reason": 1}},
        {**order, "dryRun": "no"},
    ]:
        assert client.post(path, wrong, content_type="application/json", **bearer).status_code == 400


def staff_client(*permissions: str, **fields: bool) -> tuple[Client, dict[str, str]]:
    """A signed-in browser that checks CSRF, and the header with its token."""
    user = User.objects.create_user("bat", **{"is_staff": True, **fields})
    user.user_permissions.set(Permission.objects.filter(codename__in=permissions))
    browser = Client(enforce_csrf_checks=True)
    browser.force_login(user)
    token = get_token(RequestFactory().get("/"))
    browser.cookies["csrftoken"] = token
    return browser, {"X-CSRFToken": token}


@pytest.mark.django_db
def test_the_staff_may_what_its_permissions_say_and_only_with_the_csrf_token():
    dead_letter("job")
    browser, token = staff_client("view_joblog", "replay_joblog")
    assert browser.get("/api/admin/dlq").status_code == 200
    refused = browser.post("/api/admin/dlq/job/replay")
    assert (refused.status_code, refused.json()["type"]) == (403, "urn:notifier:problem:csrf-failed")
    assert browser.post("/api/admin/dlq/job/discard", headers=token).status_code == 403
    assert browser.post("/api/admin/dlq/job/replay", headers=token).status_code == 202
    assert AuditEntry.objects.get().who == "bat"
    assert browser.post("/api/jobs/signin-notification", headers=token).status_code == 401
    assert browser.get("/api/jobs/job").status_code == 401


@pytest.mark.django_db
def test_a_session_without_staff_is_refused_and_does_not_make_up_for_a_wrong_key():
    browser, _ = staff_client("view_joblog", is_staff=False)
    assert browser.get("/api/admin/dlq").status_code == 401
    User.objects.update(is_staff=True)
    assert browser.get("/api/admin/dlq").status_code == 200
    assert browser.get("/api/admin/dlq", headers={"Authorization": "Bearer wrong"}).status_code == 401
    User.objects.update(is_active=False)
    assert browser.get("/api/admin/dlq").status_code == 401
