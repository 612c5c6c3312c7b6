"""A key is shown once and is nowhere afterwards; a client with none, a wrong one or too small a one is refused."""

from datetime import UTC, datetime, timedelta
from io import StringIO

import pytest
from django.contrib.auth.models import Permission
from django.core.management import CommandError, call_command
from django.db import connection
from django.test.utils import CaptureQueriesContext
from django.utils import timezone

from accounts.sites.keys import ApiKey
from accounts.sites.site import Site
from accounts.user import User
from jobs.core.audit import AuditEntry
from jobs.core.job import JobLog
from tests.support import api_client
from tests.support.live_site import LiveSite
from tests.support.operators import this_site


def everything_stored() -> str:
    """All rows of all tables, as text."""
    with connection.cursor() as cursor:
        rows = []
        for table in connection.introspection.table_names(cursor):
            cursor.execute(f'SELECT * FROM "{table}"')
            rows += map(repr, cursor.fetchall())
    return "\n".join(rows)


@pytest.mark.processes
@pytest.mark.django_db(transaction=True)
def test_a_key_is_nowhere_in_the_database_or_the_logs():
    with LiveSite(DEBUG="1") as site:
        token = api_client.key("enqueue", "read")
        secret = token.rsplit("_", 1)[1] if token.count("_") == 2 else token[16:]
        assert site.call("POST", api_client.PATH, api_client.notification(jobId="a"), token).status == 202
        assert site.call("GET", "/api/jobs/a", key=token).status == 200
        assert site.call("GET", "/api/admin/dlq", key=token).status == 403
        assert site.call("GET", "/api/jobs/a", Authorization=f"Token {token}").status == 401
        assert site.call("GET", "/api/jobs/a", Authorization=token).status == 401
        assert site.call("GET", "/readyz").status == 503
        assert secret not in site.log
    assert secret not in everything_stored()


def refused_keys() -> dict[str, str]:
    revoked = api_client.key("read")
    ApiKey.objects.get().revoke(who="tests")
    expired = api_client.key("read", expires_at=timezone.now() + timedelta(seconds=60))
    ApiKey.objects.filter(expires_at__isnull=False).update(expires_at=timezone.now() - timedelta(seconds=1))
    good = api_client.key("read")
    return {
        "revoked": revoked,
        "expired": expired,
        "wrong": good[:-1] + ("A" if good[-1] != "A" else "B"),
        "unknown": "nk_" + "0" * 12 + "_" + "x" * 43,
        "malformed": "nk_\x00",
        "empty": "",
        "of another alphabet": "Бат",
        "long": "x" * 4000,
    }


@pytest.mark.django_db
def test_every_key_that_does_not_count_is_refused_alike_and_with_the_same_work(client):
    answers, work = set(), set()
    for token in refused_keys().values():
        with CaptureQueriesContext(
            connection,
        ) as queries:
            answer = client.get("/api/jobs/a", HTTP_AUTHORIZATION=f"Bearer {token}")
        answers.add((answer.status_code, answer.content, answer["WWW-Authenticate"]))
        work.add(sum("api_keys" in query["sql"] for query in queries))
    assert len(answers) == 1
    assert answers.pop()[0] == 401
    assert work == {1}


@pytest.mark.django_db
def test_a_key_without_the_scope_gets_403_and_does_nothing(client):
    assert (
        api_client.post(client, api_client.notification(jobId="a"), api_client.key("read", "admin")).status_code == 403
    )
    bearer = {"headers": {"Authorization": f"Bearer {api_client.key('enqueue', 'read')}"}}
    for method, path in [
        ("get", "/api/admin/dlq"),
        ("post", "/api/admin/dlq/a/replay"),
        ("post", "/api/admin/dlq/replay"),
    ]:
        assert getattr(client, method)(path, **bearer).status_code == 403


@pytest.mark.django_db
def test_a_key_sees_only_the_jobs_of_its_own_name_unless_it_is_admin(client):
    assert api_client.post(client, api_client.notification(jobId="a"), api_client.key("enqueue")).status_code == 202
    answers = {
        name: client.get("/api/jobs/a", headers={"Authorization": f"Bearer {api_client.key(scope, name=name)}"})
        for name, scope in [("shop", "read"), ("other", "read"), ("office", "admin")]
    }
    assert {name: answer.status_code for name, answer in answers.items()} == {"shop": 200, "other": 404, "office": 200}
    admin = {"headers": {"Authorization": f"Bearer {api_client.key('admin', name='office')}"}}
    assert client.get("/api/jobs/shop:a", **admin).json()["jobId"] == "shop:a"


@pytest.mark.django_db
def test_one_sites_job_ids_never_stand_in_anothers_way(client):
    names = ["shop", "other", "my shop", "my_shop", "my_-shop"]
    keys = {name: api_client.key("enqueue", "read", name=name) for name in names}
    for name in names:
        answer = api_client.post(client, api_client.notification(jobId="order-1"), keys[name])
        assert (answer.status_code, answer.json()["jobId"], answer["Location"]) == (202, "order-1", "/api/jobs/order-1")
    for name in names:
        bearer = {"headers": {"Authorization": f"Bearer {keys[name]}"}}
        assert client.get("/api/jobs/order-1", **bearer).json()["jobId"] == "order-1"
        again = api_client.post(client, api_client.notification(jobId="order-1"), keys[name])
        assert (again.status_code, again.json()["jobId"]) == (409, "order-1")
    longest = "x" * 128
    key = api_client.key("enqueue", name="s" * 64)
    assert api_client.post(client, api_client.notification(jobId=longest), key).json()["jobId"] == longest
    stored = set(JobLog.objects.values_list("job_id", flat=True))
    assert {"shop:order-1", "other:order-1", f"{'s' * 64}:{longest}"} < stored
    assert len(stored) == len(names) + 1
    admin = {"headers": {"Authorization": f"Bearer {api_client.key('admin', name='office')}"}}
    assert client.get("/api/jobs/order-1", **admin).status_code == 404, "five sites have one"
    assert client.get("/api/jobs/other:order-1", **admin).status_code == 200
    assert client.get("/api/jobs/other:order-1", headers={"Authorization": f"Bearer {keys['shop']}"}).status_code == 404


@pytest.mark.django_db
def test_another_users_job_id_is_a_mistake_of_the_client_and_not_a_repeat(client):
    key = api_client.key("enqueue")
    assert api_client.post(client, api_client.notification(jobId="a", userId="1"), key).status_code == 202
    assert api_client.post(client, api_client.notification(jobId="a", userId="1"), key).status_code == 409
    answer = api_client.post(client, api_client.notification(jobId="a", userId="2", email="b@example.mn"), key)
    assert answer.status_code == 422
    assert answer.json()["type"] == "urn:notifier:problem:job-id-of-another-user"
    assert answer.json()["jobId"] == "a"
    assert "enqueued" not in answer.content.decode()


@pytest.mark.django_db
def test_the_last_use_is_remembered_once_a_minute(client):
    bearer = {"headers": {"Authorization": f"Bearer {api_client.key('read')}"}}
    client.get("/api/jobs/a", **bearer)
    first = ApiKey.objects.get().last_used_at
    client.get("/api/jobs/a", **bearer)
    assert ApiKey.objects.get().last_used_at == first
    ApiKey.objects.update(last_used_at=timezone.now() - timedelta(minutes=2))
    client.get("/api/jobs/a", **bearer)
    assert ApiKey.objects.get().last_used_at > timezone.now() - timedelta(minutes=1)


@pytest.mark.django_db
def test_the_command_prints_a_key_that_works_and_refuses_nonsense(client):
    out, err = StringIO(), StringIO()
    scopes, options = ("--scope=read", "--scope=enqueue"), {"stdout": out, "stderr": err}
    call_command("create_api_key", "shop", *scopes, expires_days=1, **options)
    call_command("create_api_key", "shop", *scopes, **options)
    assert "1 other usable key" in err.getvalue()
    first, second = out.getvalue().split()
    for token in (first, second):
        assert client.get("/api/jobs/a", headers={"Authorization": f"Bearer {token}"}).status_code == 404
    for name, days in [("signal", None), ("", None), ("x" * 65, None), ("a/b", None), ("shop", 0), ("shop", 10**9)]:
        with pytest.raises(CommandError):
            call_command("create_api_key", name, *scopes, expires_days=days, **options)


@pytest.mark.django_db
def test_the_admin_shows_a_new_key_once_and_revokes_it(client):
    operator = User.objects.create_user("bat", is_staff=True)
    named = ["add_apikey", "view_apikey", "revoke_apikey"]
    operator.user_permissions.set(Permission.objects.filter(codename__in=named))
    client.force_login(operator)
    site = Site.objects.make("shop", who="tests")
    form = {"site": site.pk, "name": "shop-2026", "scopes": ["read"], "expires_at": "2036-03-01T12:00"}
    page = client.post("/admin/accounts/apikey/add/", form)
    assert page.status_code == 200, page
    assert "no-store" in page["Cache-Control"]
    token = page.context["key"].token
    assert token in page.content.decode()
    key = ApiKey.objects.get()
    assert key.expires_at == datetime(2036, 3, 1, 4, tzinfo=UTC), "noon in Ulaanbaatar"
    secret = token[16:]
    for path in ("/admin/accounts/apikey/", f"/admin/accounts/apikey/{key.pk}/change/"):
        assert secret not in client.get(path).content.decode()
    assert secret not in everything_stored()
    client.post("/admin/accounts/apikey/", {"action": "revoke", "_selected_action": [key.pk]})
    key.refresh_from_db()
    assert key.revoked_at is not None
    assert [(entry.who, entry.act) for entry in AuditEntry.objects.order_by("id")] == [
        ("tests", "create_site"),
        ("bat", "create_key"),
        ("bat", "revoke_key"),
    ]
    assert client.post(f"/admin/accounts/apikey/{key.pk}/delete/", {"post": "yes"}).status_code == 403


@pytest.mark.django_db
@pytest.mark.parametrize(
    ("purpose", "scopes"), [("send", ["enqueue", "read"]), ("read", ["read"]), ("operate", ["read", "admin"])]
)
def test_a_purpose_stands_for_its_scopes_in_the_admin_and_in_the_command(client, purpose, scopes):
    client.force_login(User.objects.create_superuser("boss"))
    form = {
        "site": Site.objects.make("shop", who="tests").pk,
        "name": "shop",
        "purpose": purpose,
        "scopes": ["enqueue"],
    }
    page = client.post("/admin/accounts/apikey/add/", form)
    assert page.status_code == 200
    call_command("create_api_key", "shop", purpose=purpose, stdout=StringIO(), stderr=StringIO())
    assert [key.scopes for key in ApiKey.objects.all()] == [scopes, scopes]
    call = f"KEY={page.context['key'].token}\ncurl http://testserver/api/jobs"
    assert call in page.content.decode(), "the first call, with the key, to paste"


@pytest.mark.django_db
def test_other_scopes_are_chosen_one_by_one_and_at_least_one(client):
    client.force_login(User.objects.create_superuser("boss"))
    form = {"site": Site.objects.make("shop", who="tests").pk, "name": "shop", "purpose": ""}
    assert "scopes" in client.post("/admin/accounts/apikey/add/", form).context["adminform"].form.errors
    client.post("/admin/accounts/apikey/add/", {**form, "scopes": ["enqueue"]})
    assert ApiKey.objects.get().scopes == ["enqueue"]


@pytest.mark.django_db
def test_no_key_acts_for_this_site_itself(client):
    own = this_site()
    client.force_login(User.objects.create_superuser("boss"))
    form = {"site": own.pk, "name": "shop", "scopes": ["read"]}
    assert "site" in client.post("/admin/accounts/apikey/add/", form).context["adminform"].form.errors
    with pytest.raises(CommandError, match="There is no site 'signal'"):
        call_command("create_api_key", "shop", scope=["read"], site="signal")
    assert not ApiKey.objects.exists()


@pytest.mark.django_db
@pytest.mark.parametrize("more", [["replay_joblog"], ["replay_joblog", "discard_joblog"]])
def test_an_operator_makes_no_key_that_may_more_than_the_operator(client, more):
    operator = User.objects.create_user("bat", is_staff=True)
    named = ["add_apikey", "view_apikey", "view_joblog", *more]
    operator.user_permissions.set(Permission.objects.filter(codename__in=named))
    client.force_login(operator)
    site = Site.objects.make("shop", who="tests")
    form = {"site": site.pk, "name": "shop"}
    client.post("/admin/accounts/apikey/add/", {**form, "scopes": ["read", "admin"]})
    client.post("/admin/accounts/apikey/add/", {**form, "purpose": "operate"})
    assert ApiKey.objects.exists() == ("discard_joblog" in more)


@pytest.mark.django_db
def test_too_many_requests_are_refused_for_a_key_and_for_an_address_without_one(client, settings):
    settings.API_RATE = "3/h"
    bearer = {"headers": {"Authorization": f"Bearer {api_client.key('read')}"}}
    assert [client.get("/api/jobs/a", **bearer).status_code for _ in range(5)] == [404, 404, 404, 429, 429]
    assert client.get("/api/jobs/a", **bearer)["Retry-After"].isdecimal()
    other = {"headers": {"Authorization": f"Bearer {api_client.key('read')}"}}
    assert client.get("/api/jobs/a", **other).status_code == 404
    without_key = [client.get("/api/jobs/a", REMOTE_ADDR="198.51.100.7").status_code for _ in range(5)]
    assert without_key == [401, 401, 401, 429, 429]
    assert client.get("/api/jobs/a", REMOTE_ADDR="198.51.100.8").status_code == 401


@pytest.mark.django_db
def test_a_request_with_a_key_reads_no_session_and_has_the_headers_of_every_response(client):
    token = api_client.key("read")
    client.force_login(User.objects.create_user("bat", is_staff=True, is_superuser=True))
    with CaptureQueriesContext(connection) as queries:
        response = client.get("/api/jobs/a", headers={"Authorization": f"Bearer {token}"})
    assert response.status_code == 404
    assert not [query["sql"] for query in queries.captured_queries if "session" in query["sql"]]
    assert {"X-Frame-Options", "X-Content-Type-Options", "Content-Security-Policy", "Content-Length"} <= set(
        response.headers
    )
    assert not response.cookies


@pytest.mark.django_db
def test_a_key_is_read_at_the_hosts_of_the_site_alone(client):
    bearer = {"Authorization": f"Bearer {api_client.key('read')}"}
    assert client.get("/api/jobs/a", headers=bearer | {"Host": "elsewhere.example"}).status_code == 400
    assert client.get("/api/nowhere", headers=bearer).status_code == 404
    assert client.put("/api/jobs/a", headers=bearer).status_code == 405
