"""The newest requests of a key, one by one: time, call, status, problem; few are kept, and a request pays no query."""

from datetime import timedelta

import pytest
from django.db import Error, OperationalError, connection
from django.test.utils import CaptureQueriesContext
from django.utils import timezone

from accounts import privacy
from accounts.sites import api_calls
from accounts.sites.api_calls import ApiCall
from accounts.sites.keys import ApiKey
from tests.support import api_client
from tests.support.operators import signed_in

pytestmark = pytest.mark.django_db
CALL = {"method": "POST", "route": "api/jobs/signin-notification", "status": 202}
FAILED = {**CALL, "status": 400, "problem": "invalid-fields"}
PAGE = "/developers/"


def a_key() -> ApiKey:
    return ApiKey.objects.find(api_client.key())


def test_each_request_is_a_row_with_its_time_result_and_request_id(client):
    token, before = api_client.key(), timezone.now()
    answers = [
        api_client.post(client, api_client.notification(jobId="a"), token),
        api_client.post(client, {}, token),
    ]
    api_calls.write_noted()
    rows = ApiCall.objects.order_by("pk")
    assert [(row.method, row.status, row.problem) for row in rows] == [
        ("POST", 202, ""),
        ("POST", 400, "invalid-fields"),
    ]
    assert [row.request_id for row in rows] == [answer["X-Request-ID"] for answer in answers]
    assert all(before <= row.at <= timezone.now() for row in rows)


def test_noting_costs_a_request_no_query_and_a_write_costs_one_statement():
    key = a_key()
    with CaptureQueriesContext(connection) as queries:
        for _ in range(20):
            api_calls.note(key.pk, **CALL)
    assert len(queries) == 0
    with CaptureQueriesContext(connection) as queries:
        api_calls.write_noted()
    assert len([query for query in queries.captured_queries if "api_calls" in query["sql"]]) == 1
    assert ApiCall.objects.count() == 20


def test_a_flood_of_successes_hides_no_error(monkeypatch):
    monkeypatch.setattr(api_calls, "MOST_NOTED", 3)
    key = a_key()
    api_calls.note(key.pk, **FAILED)
    for _ in range(100):
        api_calls.note(key.pk, **CALL)
    api_calls.write_noted()
    assert sorted(ApiCall.objects.values_list("status", flat=True)) == [202, 202, 202, 400]


def test_a_key_keeps_few_rows_and_the_newest(monkeypatch):
    monkeypatch.setattr(api_calls, "MOST_KEPT", 5)
    monkeypatch.setattr(api_calls, "TRIM_EVERY", 4)
    key, other = a_key(), a_key()
    api_calls.note(other.pk, **CALL)
    for number in range(40):
        api_calls.note(key.pk, **{**CALL, "route": f"r{number}"})
        api_calls.note(key.pk, **FAILED)
        api_calls.write_noted()
    kept = ApiCall.objects.filter(key=key, failed=False).order_by("pk").values_list("route", flat=True)
    assert list(kept)[-5:] == [f"r{number}" for number in range(35, 40)]
    assert len(kept) <= 5 + 4
    assert ApiCall.objects.filter(key=key, failed=True).count() <= 5 + 4
    assert ApiCall.objects.filter(key=other).count() == 1


def test_what_cannot_be_written_is_kept(monkeypatch):
    key = a_key()
    api_calls.note(key.pk, **FAILED)
    with monkeypatch.context() as broken:
        broken.setattr(ApiCall.objects, "bulk_create", _refuse)
        with pytest.raises(Error):
            api_calls.write_noted()
    api_calls.write_noted()
    assert ApiCall.objects.get().problem == "invalid-fields"


def _refuse(*_):
    raise Error


def test_what_was_written_by_a_commit_whose_answer_was_lost_blocks_no_later_write(monkeypatch):
    key = a_key()
    write = ApiCall.objects.bulk_create

    def write_and_lose_the_answer(rows):
        write(rows)
        raise OperationalError("the connection was lost")

    api_calls.note(key.pk, **CALL)
    with monkeypatch.context() as lossy:
        lossy.setattr(ApiCall.objects, "bulk_create", write_and_lose_the_answer)
        with pytest.raises(OperationalError):
            api_calls.write_noted()
    api_calls.note(key.pk, **FAILED)
    api_calls.write_noted()
    assert sorted(ApiCall.objects.values_list("status", flat=True)) == [202, 202, 400], "twice rather than not at all"


def test_the_memory_of_a_process_is_bounded(monkeypatch):
    monkeypatch.setattr(api_calls, "MOST_GROUPS", 2)
    for key in range(10):
        api_calls.note(key, **CALL)
    assert len(api_calls.drain()) == 2


def test_they_are_deleted_after_seven_days():
    key = a_key()
    for days in (6, 8):
        api_calls.note(key.pk, **CALL, at=timezone.now() - timedelta(days=days))
    api_calls.write_noted()
    assert privacy.prune(dry_run=True)["API requests deleted"] == 1
    privacy.prune(dry_run=False)
    assert ApiCall.objects.get().at > timezone.now() - timedelta(days=7)


def test_staff_see_them_and_the_problems_alone_and_older_ones(monkeypatch):
    monkeypatch.setattr("notifier.developers.pages.MOST_SHOWN", 2)
    monkeypatch.setattr(api_calls, "MOST_SHOWN", 2)
    key, client = a_key(), signed_in("accounts.view_apikey")
    for call in (FAILED, CALL, CALL):
        api_calls.note(key.pk, **call, request_id="abc")
    api_calls.write_noted()
    first = client.get(PAGE, {"key": key.pk})
    assert [one.status for one in first.context["calls"]] == [202, 202]
    assert f"before={first.context['older']}" in first.content.decode()
    rest = client.get(PAGE, {"key": key.pk, "before": first.context["older"]})
    assert [one.status for one in rest.context["calls"]] == [400]
    assert rest.context["older"] is None
    problems = client.get(PAGE, {"key": key.pk, "only": "problems"})
    assert [one.problem for one in problems.context["calls"]] == ["invalid-fields"]
    assert "<code>abc</code>" in problems.content.decode()


@pytest.mark.parametrize("before", ["x", "", "-1", "9" * 40, "²"])
def test_a_page_that_there_is_not_is_the_first(before):
    key = a_key()
    api_calls.note(key.pk, **CALL)
    api_calls.write_noted()
    answer = signed_in("accounts.view_apikey").get(PAGE, {"key": key.pk, "before": before})
    assert len(answer.context["calls"]) == 1
