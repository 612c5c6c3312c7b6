"""verify_event: what Notifier signed becomes a typed event, and all else is refused with a reason."""

import time
from datetime import datetime, timezone

import pytest
from signing import DISPUTED, JOB, OTHER_SECRET, SECRET, SIGN_IN, envelope, headers

from notifier_client import (
    DisputedSignIn,
    InvalidEvent,
    NoticeDelivered,
    NoticeFailed,
    NoticeSuppressed,
    Ping,
    SignInDisputed,
    UnknownEvent,
    verify_event,
)


def verify(body, secret=SECRET, **options):
    return verify_event(body, headers(body, **options), secret)


def reason(body, given, secret=SECRET):
    with pytest.raises(InvalidEvent) as refused:
        verify_event(body, given, secret)
    return refused.value.reason


def test_a_dispute_is_read_with_all_its_fields():
    event = verify(envelope(), event_id="evt_1")
    assert event == SignInDisputed(
        id="evt_1",
        timestamp=datetime(2026, 3, 1, 1, 35, 1, tzinfo=timezone.utc),
        job_id="signin-1",
        user_id="42",
        disputed_at=datetime(2026, 3, 1, 1, 35, 0, 123000, tzinfo=timezone.utc),
        sign_in=DisputedSignIn(
            datetime(2026, 3, 1, 1, 30, tzinfo=timezone.utc), "password", "Chrome", "Windows", True, ("new_country",)
        ),
    )
    assert event.type == "sign_in.disputed"


@pytest.mark.parametrize(
    ("kind", "data", "expected"),
    [
        ("notice.delivered", JOB, NoticeDelivered),
        ("notice.failed", {**JOB, "reason": "exhausted", "errorClass": "temporary"}, NoticeFailed),
        ("notice.suppressed", {**JOB, "reason": "opted-out", "later": [1]}, NoticeSuppressed),
        ("ping", {}, Ping),
        ("sign_in.reported", {"a": 1}, UnknownEvent),
    ],
)
def test_each_type_has_a_class(kind, data, expected):
    event = verify(envelope(kind, data))
    assert (type(event), event.type) == (expected, kind)


def test_two_signatures_and_two_secrets_are_accepted_while_a_secret_is_rotated():
    body = envelope("ping", {})
    for signed, known in [
        ([OTHER_SECRET, SECRET], SECRET),
        ([SECRET, OTHER_SECRET], SECRET),
        ([SECRET], [OTHER_SECRET, SECRET]),
        ([OTHER_SECRET], (SECRET, OTHER_SECRET)),
    ]:
        assert isinstance(verify_event(body, headers(body, secrets=signed), known), Ping)
    assert reason(body, headers(body, secrets=[OTHER_SECRET])) == "wrong-signature"
    assert reason(body, headers(body), []) == "wrong-signature"


def test_names_of_headers_may_have_any_case():
    body = envelope("ping", {})
    assert verify_event(body, {name.title(): value for name, value in headers(body).items()}, SECRET)


@pytest.mark.parametrize("seconds", [-301, 301, -(10**10), 10**11])
def test_an_event_that_was_sent_long_ago_or_in_the_future_is_refused(seconds):
    body = envelope("ping", {})
    sent_at = max(0, int(time.time()) + seconds)
    assert reason(body, headers(body, sent_at=sent_at)) == "outside-tolerance"
    assert verify(body, sent_at=int(time.time()) - 290)


@pytest.mark.parametrize("name", ["webhook-id", "webhook-timestamp", "webhook-signature"])
@pytest.mark.parametrize("value", ["", None])
def test_each_header_is_needed(name, value):
    body = envelope()
    given = {**headers(body), name: value}
    if value is None:
        del given[name]
    assert reason(body, given) == "missing-header"


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("webhook-id", "evt_other"),
        ("webhook-id", "\ud800"),
        ("webhook-timestamp", "1"),
        ("webhook-signature", "v1,"),
        ("webhook-signature", "v2,abc v1a,abc"),
        ("webhook-signature", "v1,тэст"),
        ("webhook-signature", "v1," * 10_000),
    ],
)
def test_a_changed_header_is_refused(name, value):
    body = envelope()
    assert reason(body, {**headers(body), name: value}) == "wrong-signature"


@pytest.mark.parametrize("value", ["abc", "1.5", "-1", "٣", "9" * 400, "1e9"])
def test_a_timestamp_that_is_not_one_is_refused(value):
    body = envelope()
    assert reason(body, {**headers(body), "webhook-timestamp": value}) == "missing-header"


def test_a_changed_body_is_refused():
    body = envelope()
    assert reason(body.replace(b'"42"', b'"43"'), headers(body)) == "wrong-signature"


@pytest.mark.parametrize(
    "body",
    [
        b"",
        b"null",
        b"[]",
        b"\xff",
        b"[" * 60_000,
        b'{"type": "ping"}',
        envelope("ping", None),
        envelope(7, {}),
        envelope("notice.delivered", {"jobId": "a"}),
        envelope("notice.delivered", {"jobId": 1, "userId": "42"}),
        envelope(data={**DISPUTED, "disputedAt": "yesterday"}),
        envelope(data={**DISPUTED, "disputedAt": "2026-03-01T01:35:00"}),
        envelope(data={**DISPUTED, "signIn": None}),
        envelope(data={**DISPUTED, "signIn": {**SIGN_IN, "newDevice": "no"}}),
        envelope(data={**DISPUTED, "signIn": {**SIGN_IN, "signals": "new_country"}}),
    ],
    ids=range(15),
)
def test_a_body_that_is_not_an_event_is_refused_although_it_is_signed(body):
    assert reason(body, headers(body)) == "malformed-body"


@pytest.mark.parametrize("secret", ["", "abc", "whsec_", "whsec_%%%", "whsec_c2hvcnQ=", "whsec_тэст"])
def test_a_secret_that_is_not_one_is_a_mistake_in_the_code_and_not_repeated(secret):
    body = envelope()
    with pytest.raises(ValueError) as error:
        verify_event(body, headers(body), secret)
    assert len(secret) < 7 or secret not in str(error.value)


def test_the_body_must_be_bytes():
    with pytest.raises(TypeError):
        verify_event(envelope().decode(), {}, SECRET)
