"""/developers/ and docs/openapi.json say what the API does; staff see there what the client of a key sent."""

import json
import re
import subprocess
from pathlib import Path

import pytest
from django.conf import settings
from django.utils import timezone

from accounts.sites.api_requests import ApiRequest
from accounts.sites.keys import ApiKey
from accounts.user import User
from jobs.stats.minutes import floor
from notifier.api.problems import KINDS
from tests.support import api_client
from tests.support.live_site import LiveSite
from tests.support.operators import signed_in

PAGE = "/developers/"


def stored_document():
    return json.loads(Path(settings.BASE_DIR, "docs/openapi.json").read_text())


@pytest.mark.django_db
def test_the_file_is_the_document_that_the_site_serves(client):
    served = client.get("/api/openapi.json").json()
    served["components"]["securitySchemes"]["StaffSession"]["name"] = "__Host-sessionid"  # as with https
    assert served == stored_document(), "run: make openapi"


@pytest.mark.django_db
@pytest.mark.parametrize("language", ["mn", "en"])
def test_the_page_names_every_field_and_error_in_both_languages(client, language):
    page = client.get(PAGE, headers={"accept-language": language}).content.decode()
    assert f'<html lang="{language}"' in page
    schema = stored_document()["components"]["schemas"]["SignInNotification"]["properties"]
    assert all(f"<code>{name}</code>" in page for name in [*schema, *KINDS])


@pytest.mark.django_db(transaction=True)
@pytest.mark.processes
def test_its_curl_works_as_it_is_copied_and_staff_see_the_request():
    with LiveSite(DEBUG="1") as site:
        page = site.call("GET", PAGE).raw.decode()
        command = re.search(r'<pre id="curl"[^>]*>(.*?)</pre>', page, re.DOTALL)[1]
        command = command.replace("nk_...", api_client.key("enqueue")).replace("curl ", "curl --silent --show-error ")
        for quoted, text in (("&quot;", '"'), ("&#x27;", "'"), ("&amp;", "&")):
            command = command.replace(quoted, text)
        done = subprocess.run(["sh", "-c", command], capture_output=True, text=True, timeout=30)
        assert json.loads(done.stdout)["status"] == "enqueued", done
    counted = ApiRequest.objects.get()  # written when the web process ended, at the latest
    assert (counted.route, counted.status, counted.count) == ("api/jobs/signin-notification", 202, 1)


@pytest.mark.django_db
def test_staff_who_may_view_keys_see_the_requests_of_one():
    api_client.key("enqueue")
    key = ApiKey.objects.get()
    request = {"key": key, "minute": floor(timezone.now()), "method": "POST", "route": "api/jobs/<jobId>/cancel"}
    ApiRequest.objects.create(**request, status=409, problem="not-waiting", count=3)
    client = signed_in("accounts.view_apikey")
    assert "not-waiting" in client.get(f"{PAGE}?key={key.pk}").content.decode().partition('id="requests"')[2]
    answer = client.get(f"{PAGE}?key={key.pk}")
    assert [(one.status, one.count) for one in answer.context["requests"]] == [(409, 3)]
    assert "no-store" in answer["Cache-Control"]
    assert "/api/jobs/&lt;jobId&gt;/cancel" in answer.content.decode()


@pytest.mark.django_db
@pytest.mark.parametrize("key", ["", "0", "x", "²", "9" * 19, "9" * 40, "-1"])
def test_a_key_that_there_is_not_shows_no_requests(key):
    answer = signed_in("accounts.view_apikey").get(PAGE, {"key": key})
    assert (answer.status_code, answer.context["key"]) == (200, None)


@pytest.mark.django_db
def test_no_one_else_sees_the_keys(client, settings):
    api_client.key("enqueue")
    path = f"{PAGE}?key={ApiKey.objects.get().pk}"
    assert "keys" not in client.get(path).context
    client.force_login(User.objects.create_user("bat"))
    assert "keys" not in client.get(path).context
    staff = signed_in("jobs.view_joblog")
    assert "keys" not in staff.get(path).context
    settings.STAFF_MFA = "required"
    boss = User.objects.create_superuser("boss")
    client.force_login(boss)
    assert "keys" not in client.get(path).context


@pytest.mark.django_db
def test_the_page_costs_the_same_for_one_key_and_for_many(django_assert_max_num_queries):
    client = signed_in("accounts.view_apikey")
    for number in range(12):
        api_client.key("enqueue", name=f"shop{number}")
    with django_assert_max_num_queries(9):
        client.get(f"{PAGE}?key={ApiKey.objects.first().pk}")
