"""Each request of an API key is counted by minute, operation and result, in memory first, and kept for seven days."""

from datetime import timedelta

import pytest
from django.db import Error, connection
from django.test.utils import CaptureQueriesContext
from django.utils import timezone

from accounts import privacy
from accounts.sites import api_requests
from accounts.sites.api_requests import ApiRequest
from accounts.sites.keys import ApiKey
from tests.support import api_client

pytestmark = pytest.mark.django_db
POST = "api/jobs/signin-notification"


def stored():
    api_requests.write_noted()
    return list(ApiRequest.objects.order_by("status").values_list("method", "route", "status", "problem", "count"))


def test_requests_are_counted_by_their_result(client):
    token, reader = api_client.key(), api_client.key("read", name="reader")
    for number in range(3):
        assert api_client.post(client, api_client.notification(jobId=f"a{number}"), token).status_code == 202
    assert api_client.post(client, api_client.notification(jobId="a0"), token).status_code == 409
    assert api_client.post(client, {}, token).status_code == 400
    assert api_client.post(client, {}, reader).status_code == 403
    assert client.get("/api/jobs/a0", headers={"Authorization": f"Bearer {token}"}).status_code == 200
    assert stored() == [
        ("GET", "api/jobs/<jobId>", 200, "", 1),
        ("POST", POST, 202, "", 3),
        ("POST", POST, 400, "invalid-fields", 1),
        ("POST", POST, 403, "forbidden", 1),
        ("POST", POST, 409, "duplicate-job", 1),
    ]
    assert ApiRequest.objects.get(status=403).key == ApiKey.objects.get(name="reader")


def test_a_request_without_a_valid_key_is_not_counted(client):
    assert api_client.post(client, {}, "nk_unknown").status_code == 401
    assert stored() == []


def test_counting_costs_a_request_no_query_and_a_second_write_adds_to_the_first():
    key = ApiKey.objects.find(api_client.key())
    request = {"method": "POST", "route": POST, "status": 202}
    for _ in range(2):
        with CaptureQueriesContext(connection) as queries:
            for _ in range(50):
                api_requests.note(key.pk, **request)
        assert len(queries) == 0
        with CaptureQueriesContext(connection) as queries:
            api_requests.write_noted()
        assert len(queries) == 1
    assert sum(ApiRequest.objects.values_list("count", flat=True)) == 100


def test_a_write_with_nothing_noted_asks_the_database_nothing(django_assert_num_queries):
    with django_assert_num_queries(0):
        api_requests.write_noted()


def test_a_count_that_cannot_be_written_is_kept(monkeypatch):
    key = ApiKey.objects.find(api_client.key())
    api_requests.note(key.pk, method="GET", route="api/jobs/<jobId>", status=404, problem="not-found")
    with monkeypatch.context() as broken:
        broken.setattr(api_requests.sql, "execute", _refuse)
        with pytest.raises(Error):
            api_requests.write_noted()
    assert stored() == [("GET", "api/jobs/<jobId>", 404, "not-found", 1)]


def _refuse(*_):
    raise Error


def test_the_memory_of_a_process_is_bounded(monkeypatch):
    monkeypatch.setattr(api_requests, "MOST_NOTED", 3)
    for status in range(200, 210):
        api_requests.note(1, method="GET", route="x", status=status)
    assert len(api_requests.drain()) == 3


def test_counts_are_deleted_after_seven_days():
    key = ApiKey.objects.find(api_client.key())
    for days in (6, 8):
        minute = timezone.now() - timedelta(days=days)
        ApiRequest.objects.create(key=key, minute=minute, method="GET", route="x", status=200, count=1)
    assert privacy.prune(dry_run=True)["counts of API requests deleted"] == 1
    assert privacy.prune(dry_run=False)["counts of API requests deleted"] == 1
    assert ApiRequest.objects.get().minute > timezone.now() - timedelta(days=7)
