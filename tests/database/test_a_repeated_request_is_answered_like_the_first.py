"""`Idempotency-Key`: another name for jobId, with which a repeat gets the first answer, and another body a 422."""

import pytest

from jobs.core.job import JobLog
from tests.support import api_client

pytestmark = pytest.mark.django_db
KIND = "urn:notifier:problem:"


@pytest.fixture
def post(client):
    token = api_client.key("enqueue")

    def send(body, idempotency_key=None):
        headers = {} if idempotency_key is None else {"Idempotency-Key": idempotency_key}
        return api_client.post(client, body, token, **headers)

    return send


@pytest.mark.parametrize("written", ["order-7", '"order-7"'])
def test_a_repeat_is_answered_with_202_and_marked(post, written):
    body = api_client.notification()
    first, again = post(body, written), post(body, written)
    assert (first.status_code, again.status_code) == (202, 202)
    assert first.json() == again.json() == {**again.json(), "jobId": "order-7"}
    assert first["Location"] == again["Location"] == "/api/jobs/order-7"
    assert ("Idempotency-Replayed" in first, again["Idempotency-Replayed"]) == (False, "true")
    assert JobLog.objects.count() == 1


def test_the_key_and_an_equal_job_id_are_one_id(post):
    body = api_client.notification(jobId="order-7")
    assert post(body, "order-7").status_code == 202
    assert post(body, "order-7")["Idempotency-Replayed"] == "true"
    assert post(body).status_code == 409, "without the header as before"


def test_the_key_and_another_job_id_are_refused(post):
    answer = post(api_client.notification(jobId="order-8"), "order-7")
    assert answer.status_code == 400
    assert [error["field"] for error in answer.json()["errors"]] == ["jobId"]
    assert not JobLog.objects.exists()


@pytest.mark.parametrize("wrong", ["", "a b", "x" * 129, "ключ", '""'])
def test_a_key_that_is_not_a_valid_id_is_refused_and_named(post, wrong):
    answer = post(api_client.notification(), wrong)
    assert answer.status_code == 400
    assert [error["field"] for error in answer.json()["errors"]] == ["Idempotency-Key"]
    assert not JobLog.objects.exists()


@pytest.mark.parametrize(
    ("changed", "kind"),
    [
        ({"email": "other@example.mn"}, "idempotency-key-reused"),
        ({"name": "Сараа"}, "idempotency-key-reused"),
        ({"ipAddress": "198.51.100.9"}, "idempotency-key-reused"),
        ({"timezone": "Asia/Hovd"}, "idempotency-key-reused"),
        ({"userId": "another"}, "job-id-of-another-user"),
    ],
)
def test_the_same_key_with_another_body_is_a_mistake_of_the_client(post, changed, kind):
    body = api_client.notification()
    post(body, "order-7")
    answer = post({**body, **changed}, "order-7")
    assert (answer.status_code, answer.json()["type"], answer.json()["jobId"]) == (422, KIND + kind, "order-7")
    assert JobLog.objects.count() == 1


def test_a_repeat_after_the_payload_was_deleted_is_still_a_repeat(post):
    body = api_client.notification()
    post(body, "order-7")
    JobLog.objects.update(payload={}, status="completed")
    again = post(body, "order-7")
    assert (again.status_code, again.json()["status"]) == (202, "completed")
