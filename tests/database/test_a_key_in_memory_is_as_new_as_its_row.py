"""A process keeps keys that it has read. Each request asks for their rows, so a change counts at the next request."""

from datetime import timedelta

import pytest
from django.db import connection
from django.test.utils import CaptureQueriesContext
from django.utils import timezone

from accounts.sites import keys
from accounts.sites.keys import ApiKey
from accounts.sites.site import Site
from jobs.core.job import JobLog
from tests.support import api_client

pytestmark = pytest.mark.django_db


def status(client, token: str) -> int:
    """The answer to a sign-in that is posted with a key."""
    return api_client.post(client, api_client.notification(), token).status_code


def test_a_key_is_read_with_one_statement_and_equals_that_of_the_orm():
    token = api_client.key("read", "enqueue", expires_at=timezone.now() + timedelta(days=1))
    ApiKey.objects.update(last_used_at=timezone.now())
    Site.objects.update(colour="#0055aa", per_hour=7)
    for _ in range(2):
        with CaptureQueriesContext(connection) as queries:
            found = ApiKey.objects.find(token)
        assert len(queries) == 1
    usual = ApiKey.objects.select_related("site").get()
    for one, other in ((found, usual), (found.site, usual.site)):
        for field in other._meta.concrete_fields:
            read, expected = getattr(one, field.attname), getattr(other, field.attname)
            assert (read, type(read)) == (expected, type(expected)), field.name


def test_a_revoked_key_is_refused_at_the_next_request(client):
    token = api_client.key("enqueue")
    assert status(client, token) == 202
    ApiKey.objects.get().revoke(who="tests")
    assert status(client, token) == 401


def test_a_key_that_has_expired_is_refused_although_its_row_is_the_same(client, monkeypatch):
    token = api_client.key("enqueue", expires_at=timezone.now() + timedelta(hours=1))
    assert status(client, token) == 202
    later = timezone.now() + timedelta(hours=2)
    monkeypatch.setattr(keys.timezone, "now", lambda: later)
    assert ApiKey.objects.find(token) is None


def test_a_deleted_key_is_refused_and_a_smaller_one_forbidden(client):
    token, other = api_client.key("enqueue"), api_client.key("enqueue")
    assert (status(client, token), status(client, other)) == (202, 202)
    ApiKey.objects.filter(pk=ApiKey.objects.find(token).pk).update(scopes=["read"])
    ApiKey.objects.filter(pk=ApiKey.objects.find(other).pk).delete()
    assert (status(client, token), status(client, other)) == (403, 401)


def test_a_change_of_the_site_counts_for_the_next_request(client):
    token = api_client.key("enqueue")
    for name in ("First", "Second", "First"):
        Site.objects.filter(slug="shop").update(name=name)
        assert api_client.post(client, api_client.notification(jobId=f"a-{name}"), token).status_code in (202, 409)
        assert ApiKey.objects.find(token).site.name == name
    named = JobLog.objects.order_by("id").values_list("payload__site__name", flat=True)
    assert list(named) == ["First", "Second"]
