"""What a browser or a user controls loses no notice; what the code controls is checked."""

from datetime import datetime, timedelta, timezone

import pytest

from notifier_client import SignIn


def body(**fields):
    return SignIn(**{"user_id": "42", "email": "bat@example.mn", **fields}).to_json()


def test_the_fields_have_the_names_of_the_api():
    at = datetime(2026, 3, 1, 9, 30, tzinfo=timezone(timedelta(hours=8)))
    assert body(name="Бат", timestamp=at, job_id="j", locale="mn", timezone="Asia/Hovd", device_id="d") == {
        "userId": "42",
        "email": "bat@example.mn",
        "name": "Бат",
        "provider": "password",
        "ipAddress": "0.0.0.0",
        "userAgent": "",
        "timestamp": "2026-03-01T01:30:00+00:00",
        "jobId": "j",
        "locale": "mn",
        "timezone": "Asia/Hovd",
        "deviceId": "d",
    }


def test_each_sign_in_has_a_job_id_of_its_own_and_keeps_it():
    one, other = SignIn(user_id="1", email="a@b.mn"), SignIn(user_id="1", email="a@b.mn")
    assert one.to_json() == one.to_json()
    assert one.job_id != other.job_id
    assert not {"locale", "timezone", "deviceId"} & set(one.to_json())


@pytest.mark.parametrize(
    ("field", "given", "sent"),
    [
        ("name", "B\x00a\ud800t\r\n", "B at"),
        ("name", "x" * 500, "x" * 200),
        ("user_agent", "x" * 50_000, "x" * 1000),
        ("user_agent", "Mozilla\x00\udfff", "Mozilla"),
        ("provider", "Google (Workspace)/v2", "Google -Workspace-v2"),
        ("provider", "", "unknown"),
        ("provider", "гугл", "unknown"),
        ("provider", "-" * 3 + "a" * 99, "a" * 64),
        ("ip_address", " 203.0.113.7 ", "203.0.113.7"),
        ("ip_address", "203.0.113.7:5000", "203.0.113.7"),
        ("ip_address", "[2001:db8::1]:443", "2001:db8::1"),
        ("ip_address", "fe80::1%eth0", "fe80::1"),
        ("ip_address", "unix:", "0.0.0.0"),
        ("ip_address", "", "0.0.0.0"),
        ("ip_address", "'; DROP TABLE", "0.0.0.0"),
    ],
)
def test_hostile_text_is_cleaned(field, given, sent):
    names = {"user_agent": "userAgent", "ip_address": "ipAddress"}
    assert body(**{field: given})[names.get(field, field)] == sent


@pytest.mark.parametrize(
    ("fields", "error"),
    [
        ({"user_id": ""}, ValueError),
        ({"user_id": 42}, TypeError),
        ({"user_id": "x" * 129}, ValueError),
        ({"user_id": "a\n"}, ValueError),
        ({"email": None}, TypeError),
        ({"device_id": ""}, ValueError),
        ({"device_id": 7}, TypeError),
        ({"job_id": "a b"}, ValueError),
        ({"timestamp": datetime(2026, 1, 1)}, ValueError),  # noqa: DTZ001
    ],
)
def test_a_mistake_in_the_code_is_an_error_without_the_value(fields, error):
    with pytest.raises(error) as raised:
        SignIn(**{"user_id": "1", "email": "a@b.mn", **fields})
    assert "x" * 129 not in str(raised.value)
