"""P9: thousands of bodies that no honest client sends. Never a 5xx, never half a job, always a problem in our form."""

import json
import logging
import os
import random
from collections import Counter
from datetime import UTC, datetime, timedelta

import pytest
from django.utils import timezone
from django_q.models import OrmQ

from jobs.core.job import JobLog, Status
from tests.support import api_client
from tests.support.hostile_bodies import hostile
from tests.support.live_site import LiveSite

BODIES = 10_000 if os.environ.get("WORLD") else 2_000


@pytest.mark.slow
@pytest.mark.django_db
@pytest.mark.timeout(600)
def test_thousands_of_hostile_bodies_make_no_error_of_ours_and_no_half_job(client, settings, monkeypatch):
    settings.API_RATE = "1000000/m"
    settings.CACHES = {"default": {"BACKEND": "django.core.cache.backends.locmem.LocMemCache"}}
    monkeypatch.setattr(logging.getLogger("django.request"), "disabled", True)
    token, chance, seen = api_client.key("enqueue"), random.Random(20260301), Counter()
    for _ in range(BODIES):
        raw = hostile(chance)
        answer = api_client.post(client, raw, token)
        seen[answer.status_code] += 1
        assert answer.status_code in (202, 400, 409, 429), (answer.status_code, raw[:300])
        if answer.status_code != 202:
            assert answer["Content-Type"] == "application/problem+json"
            assert answer.json()["type"].startswith("urn:notifier:problem:")
    assert sum(seen.values()) == BODIES
    assert seen[400] > BODIES / 2
    written = JobLog.objects.exclude(status=Status.DISCARDED)  # alerts above the limit are in a summary
    assert written.count() == OrmQ.objects.count() > 0
    assert JobLog.objects.count() == seen[202]


@pytest.mark.django_db
@pytest.mark.parametrize(
    ("fields", "wrong"),
    [
        ({"userId": 42}, "userId"),
        ({"userId": ""}, "userId"),
        ({"userId": "a\x00"}, "userId"),
        ({"email": "бат@example.mn"}, "email"),
        ({"email": f"{'a' * 65}@example.mn"}, "email"),
        ({"name": "x" * 201}, "name"),
        ({"name": "a\x00"}, "name"),
        ({"provider": "<b>"}, "provider"),
        ({"ipAddress": "1.2.3"}, "ipAddress"),
        ({"ipAddress": "fe80::1%<b>"}, "ipAddress"),
        ({"userAgent": 1}, "userAgent"),
        ({"timestamp": 1_700_000_000}, "timestamp"),
        ({"timestamp": "2026-01-01T00:00:00"}, "timestamp"),
        ({"timestamp": "0001-01-01T00:00:00+14:00"}, "timestamp"),
        ({"timestamp": "9999-12-31T23:59:59-14:00"}, "timestamp"),
        ({"timestamp": timedelta(hours=-24, minutes=-1)}, "timestamp"),
        ({"timestamp": timedelta(minutes=20)}, "timestamp"),
        ({"jobId": "a b"}, "jobId"),
        ({"jobId": ""}, "jobId"),
        ({"locale": "de"}, "locale"),
        ({"timezone": 8}, "timezone"),
        ({"user_id": "42"}, "user_id"),
        ({"email": ...}, "email"),
    ],
)
def test_a_wrong_field_is_named_and_nothing_is_written(client, fields, wrong):
    if isinstance(fields.get("timestamp"), timedelta):  # from now: the tests before may take 20 minutes
        fields = {"timestamp": (datetime.now(UTC) + fields["timestamp"]).isoformat()}
    answer = api_client.post(client, api_client.notification(**fields), api_client.key("enqueue"))
    assert answer.status_code == 400
    assert [error["field"] for error in answer.json()["errors"]] == [wrong]
    assert answer.json()["errors"][0]["message"]
    assert not JobLog.objects.exists()


@pytest.mark.django_db
@pytest.mark.parametrize(
    "fields",
    [
        {"timestamp": (datetime.now(UTC) - timedelta(hours=23)).isoformat()},
        {"timestamp": (datetime.now(UTC) + timedelta(minutes=8)).strftime("%Y-%m-%dt%H:%M:%S.123456789z")},
        {"ipAddress": "::ffff:203.0.113.7"},
        {"ipAddress": "2001:DB8::0:1"},
        {"ipAddress": "0.0.0.0"},
        {"userAgent": "", "name": ""},
        {"userAgent": "x" * 16_000},
        {"name": "\u202eevil\r\nBcc: x@y.mn"},
        {"locale": "en", "timezone": "Europe/Berlin", "jobId": "a.b:c-D_1"},
        {"locale": None, "timezone": None, "jobId": None},
    ],
)
def test_what_is_odd_and_yet_right_is_taken(client, fields):
    answer = api_client.post(client, api_client.notification(**fields), api_client.key("enqueue"))
    assert answer.status_code == 202, answer.content
    payload = JobLog.objects.get().payload
    assert "Mozilla" not in json.dumps(payload)
    assert payload["ipAddress"] in ("203.0.113.7", "2001:db8::1", "")


@pytest.mark.django_db
@pytest.mark.parametrize(
    ("given", "stored"),
    [
        ("Asia/Ulaanbaatar", "Asia/Ulaanbaatar"),
        ("Asia/Calcutta", "Asia/Calcutta"),
        ("Europe/Kiev", "Europe/Kiev"),
        ("US/Pacific", "US/Pacific"),
        ("Asia/Ulan_Bator", "Asia/Ulan_Bator"),
        ("asia/hovd", "Asia/Hovd"),
        ("Asia/Atlantis", "Asia/Ulaanbaatar"),
        ("Central Asia Standard Time", "Asia/Ulaanbaatar"),
        ("UTC+8", "Asia/Ulaanbaatar"),
        ("localtime", "Asia/Ulaanbaatar"),
        ("../../etc/passwd", "Asia/Ulaanbaatar"),
        ("x" * 200, "Asia/Ulaanbaatar"),
        ("", "Asia/Ulaanbaatar"),
    ],
)
def test_old_zone_names_are_taken_and_an_unknown_zone_is_the_sites(client, given, stored):
    answer = api_client.post(client, api_client.notification(timezone=given), api_client.key("enqueue"))
    assert answer.status_code == 202, answer.content
    assert JobLog.objects.get().payload["timezone"] == stored


@pytest.mark.django_db
@pytest.mark.parametrize("wrong_by", [timedelta(hours=-1), timedelta(hours=25)])
def test_a_web_host_whose_clock_is_wrong_still_takes_notices(client, monkeypatch, wrong_by):
    token, body = api_client.key("enqueue"), api_client.notification()
    wrong = timezone.now() + wrong_by
    monkeypatch.setattr(timezone, "now", lambda: wrong)
    assert api_client.post(client, body, token).status_code == 202
    old = api_client.notification(timestamp=(datetime.now(UTC) - timedelta(hours=24, minutes=1)).isoformat())
    assert api_client.post(client, old, token).status_code == 400


@pytest.mark.processes
@pytest.mark.django_db(transaction=True)
def test_ten_megabytes_are_refused_unread_and_the_next_request_is_served():
    with LiveSite(workers=1) as site:
        token = api_client.key("enqueue")
        for body in (b"x" * 10_000_000, json.dumps({"a": "b" * 10_000_000}).encode()):
            assert site.call("POST", api_client.PATH, body, token).status == 413
        assert site.call("POST", api_client.PATH, api_client.notification(), token).status == 202
        assert site.call("POST", api_client.PATH, b"a=1", token, Content_Type="text/plain").status == 415
        assert (
            site.call("POST", api_client.PATH, b"{}", token, Content_Type="application/json; charset=utf-16").status
            == 415
        )
