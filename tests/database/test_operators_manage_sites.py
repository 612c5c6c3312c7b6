"""Operators create and change sites in the admin: previews, numbers, keys, audit; this site is the settings' own."""

from datetime import timedelta

import pytest
from django.db import connection
from django.test import Client
from django.test.utils import CaptureQueriesContext
from django.utils import timezone

from accounts.sign_in.event import SignIn
from accounts.sites.admin import preview, statistics
from accounts.sites.api_requests import ApiRequest
from accounts.sites.keys import ApiKey
from accounts.sites.site import Site
from accounts.user import User
from jobs.admin.parts import paging
from jobs.core.audit import AuditEntry
from jobs.core.job import Status
from jobs.stats.minutes import floor
from tests.support.operators import job, signed_in, this_site

pytestmark = pytest.mark.django_db
LIST = "/admin/accounts/site/"
RIGHTS = ("accounts.view_site", "accounts.add_site", "accounts.change_site", "accounts.view_apikey")
FORM = {
    "slug": "shop",
    "name": "Mountain Shop",
    "url": "https://shop.mn",
    "support_email": "help@shop.mn",
    "sender": "Mountain Shop <no-reply@example.mn>",
    "colour": "#0055aa",
    "language": "en",
    "time_zone": "Asia/Hovd",
}


def shop():
    return Site.objects.make("shop", who="tests", **{name: value for name, value in FORM.items() if name != "slug"})


def page_of(site):
    return f"{LIST}{site.pk}/change/"


def acts():
    entries = AuditEntry.objects.filter(act__endswith="_site").order_by("pk")
    return [(entry.who, entry.act, entry.target, entry.detail) for entry in entries]


def test_a_site_is_created_and_changed_and_each_is_audited():
    client = signed_in(*RIGHTS)
    assert client.post(f"{LIST}add/", FORM).status_code == 302
    site = Site.objects.get(slug="shop")
    assert (site.name, site.colour, site.test_mode) == ("Mountain Shop", "#0055aa", False)
    client.post(page_of(site), {**FORM, "colour": "#aa5500", "test_mode": "on"})
    client.post(page_of(site), {**FORM, "colour": "#aa5500", "test_mode": "on"})  # nothing changes
    site.refresh_from_db()
    assert (site.colour, site.test_mode) == ("#aa5500", True)
    changed = {"fields": ["colour", "test_mode"]}
    assert acts() == [("saraa", "create_site", "shop", {}), ("saraa", "change_site", "shop", changed)]


def test_an_audit_entry_that_cannot_be_written_changes_nothing(monkeypatch):
    client = signed_in(*RIGHTS)
    client.raise_request_exception = False
    site = shop()
    monkeypatch.setattr("jobs.core.audit.AuditEntry.objects.create", lambda **_: 1 / 0)
    assert client.post(page_of(site), {**FORM, "colour": "#aa5500"}).status_code == 500
    site.refresh_from_db()
    assert site.colour == "#0055aa"


@pytest.mark.parametrize(
    ("field", "value", "advice"),
    [
        ("slug", "signal", "but not the name"),
        ("slug", "<b>", "1 to 64 characters"),
        ("name", "Win https://evil.mn", "visible characters"),
        ("url", "javascript:alert(1)", "begins with https://"),
        ("sender", "Shop <a@bank.mn>", "SENDER_DOMAINS"),
        ("colour", "red", "#0055aa"),
        ("time_zone", "Mars/Base", "Asia/Ulaanbaatar"),
        ("link_host", "https://x.mn/", "name of a host"),
        ("per_hour", "-1", "greater than or equal to 0"),
    ],
)
def test_a_value_that_does_not_work_is_refused_with_advice(field, value, advice):
    page = signed_in(*RIGHTS).post(f"{LIST}add/", {**FORM, field: value})
    assert advice in str(page.context["adminform"].form.errors[field])
    assert not Site.objects.others().exists()


def test_the_slug_of_a_site_stays():
    client, site = signed_in(*RIGHTS), shop()
    client.post(page_of(site), {**FORM, "slug": "other"})
    site.refresh_from_db()
    assert site.slug == "shop"


def test_this_site_can_be_seen_and_not_be_changed():
    client, site = signed_in(*RIGHTS), this_site()
    page = client.get(page_of(site))
    assert "filled from the settings" in page.content.decode()
    assert 'name="_save"' not in page.content.decode()
    assert client.post(page_of(site), {**FORM, "name": "Evil"}).status_code == 403
    site.refresh_from_db()
    assert site.name == "Yellow Books"


def test_each_page_needs_its_permission_and_no_site_is_deleted():
    site = shop()
    post = {"email/routine/en/": 403, f"{site.pk}/email/routine/en/": 403, "add/": 403, f"{site.pk}/change/": 403}
    client = signed_in("accounts.view_site")
    assert {path: client.post(LIST + path, FORM).status_code for path in post} == post
    assert client.get(f"{LIST}{site.pk}/email/routine/en/html/").status_code == 200
    assert client.get(page_of(site)).context["keys"] is None
    client.logout()
    assert client.get(f"{LIST}{site.pk}/email/routine/en/html/").status_code == 302
    client = signed_in_as_boss()
    assert client.post(f"{LIST}{site.pk}/delete/", {"post": "yes"}).status_code == 403
    assert Site.objects.filter(pk=site.pk).exists()


def signed_in_as_boss():
    client = Client()
    client.force_login(User.objects.create_superuser("boss"))
    return client


@pytest.mark.parametrize("language", ["mn", "en"])
@pytest.mark.parametrize("kind", preview.Kind.values)
def test_a_preview_carries_the_brand_of_the_site_and_cannot_do_anything(kind, language):
    site = shop()
    payload = preview.payload_of(site, kind)
    assert payload["site"] == site.brand.stored
    assert payload["newDevice"] == (kind == "alert")
    assert "site" not in preview.payload_of(this_site(), kind)
    page = signed_in(*RIGHTS).get(f"{LIST}{site.pk}/email/{kind}/{language}/html/")
    assert "sandbox" in page["Content-Security-Policy"]
    assert page["X-Frame-Options"] == "SAMEORIGIN"
    assert f'<html lang="{language}"' in page.content.decode()
    assert "prefers-color-scheme" not in page.content.decode()


def test_a_preview_shows_values_that_are_not_saved_and_says_what_is_wrong_with_them(monkeypatch):
    rendered = []
    monkeypatch.setattr(
        preview.rendering, "render_payload", lambda payload, _: rendered.append(payload) or ("s", "t", "<p>h</p>")
    )
    client, site = signed_in(*RIGHTS), shop()
    for path in ("email/alert/mn/", f"{site.pk}/email/alert/mn/"):
        slug = {"slug": "new"} if path.startswith("email") else {}
        assert client.post(LIST + path, {**FORM, **slug, "name": "Changed"}).content == b"<p>h</p>"
        assert rendered[-1]["site"]["name"] == "Changed"
        wrong = client.post(LIST + path, {**FORM, **slug, "colour": "<b>"})
        assert wrong["Content-Type"] == "text/plain; charset=utf-8"
        assert "Accent colour: Write a colour" in wrong.content.decode()
    site.refresh_from_db()
    assert (site.name, Site.objects.others().count(), len(acts())) == ("Mountain Shop", 1, 1)


@pytest.mark.parametrize("path", ["evil/en/html/", "alert/xx/html/", "alert/en/zip/"])
def test_a_preview_that_there_is_not_is_a_404(path):
    assert signed_in(*RIGHTS).get(f"{LIST}{shop().pk}/email/{path}").status_code == 404
    assert signed_in_as_boss().get(f"{LIST}{2**70}/email/alert/en/html/").status_code == 404


def test_the_numbers_of_a_site_are_those_of_its_time_and_of_no_other_site():
    client, site, other = signed_in(*RIGHTS), shop(), Site.objects.make("other", who="tests")
    now = timezone.now()
    for number, (status, reason, days) in enumerate(
        [
            (Status.COMPLETED, "", 1),
            (Status.COMPLETED, "", 10),
            (Status.COMPLETED, "", 40),
            (Status.ENQUEUED, "", 0),
            (Status.DLQ, "suppressed", 1),
            (Status.DLQ, "exhausted", 1),
            (Status.DISCARDED, "cancelled", 20),
        ]
    ):
        made = {"created_at": now - timedelta(days=days), "dlq_reason": reason}
        job(f"shop:{number}", status, source="shop", **made)
        job(f"other:{number}", status, source="other", **made)
        job(f"shop:e{number}", status, source="shop", job_type="event", **made)
    for days in (1, 10):
        SignIn.objects.create(site=site, user_key="7", method="password", disputed_at=now - timedelta(days=days))
    SignIn.objects.create(site=other, user_key="7", method="password", disputed_at=now)
    ApiKey.objects.make("shop", ["read"], who="tests", site=site)
    request = {"key": ApiKey.objects.get(), "minute": floor(now), "method": "POST", "route": "x"}
    ApiRequest.objects.create(**request, status=429, problem="too-many-notices", count=12)
    ApiRequest.objects.create(**request, status=202, count=99)
    rows = {str(row.label): row.counts for row in client.get(page_of(site)).context["rows"]}
    assert rows == {
        "Notices sent": ["1", "2"],
        "Notices waiting or running": ["1", "1"],
        "Notices not sent: the address is suppressed": ["1", "1"],
        "Notices that failed (dead letters)": ["1", "1"],
        "Notices discarded or cancelled": ["0", "1"],
        "Requests refused by a limit (429)": ["12", "–"],
        "Sign-ins disputed": ["1", "2"],
        "Events delivered": ["1", "2"],
        "Events waiting": ["1", "1"],
        "Events that failed (dead letters)": ["2", "2"],
    }
    assert statistics.count_notices([this_site(), site]) == ["–", "1"]


def test_the_list_marks_test_mode_and_costs_the_same_for_one_site_and_for_many():
    client = signed_in(*RIGHTS)
    Site.objects.make("quiet", who="tests", test_mode=True)
    assert '<span class="pill waiting">test mode</span>' in client.get(LIST).content.decode()

    def cost():
        with CaptureQueriesContext(connection) as queries:
            client.get(LIST)
        return len(queries)

    few = cost()
    for number in range(30):
        site = Site.objects.make(f"site{number}", who="tests")
        ApiKey.objects.make("key", ["read"], who="tests", site=site)
    assert cost() == few


def test_the_page_of_a_site_marks_test_mode_and_leads_to_a_new_key():
    client = signed_in(*RIGHTS, "accounts.add_apikey")
    site = Site.objects.make("quiet shop", who="tests", test_mode=True)
    page = client.get(page_of(site)).content.decode()
    assert "no email is sent" in page
    assert "no key yet" in page
    link = f"/admin/accounts/apikey/add/?site={site.pk}&amp;name=quiet%20shop"
    assert link in page
    form = client.get(link.replace("&amp;", "&")).context["adminform"].form
    assert (form.initial["site"], form.initial["name"]) == (str(site.pk), "quiet shop")
    ApiKey.objects.make("web", ["read"], who="tests", site=site)
    assert f"/developers/?key={ApiKey.objects.get().pk}#requests" in client.get(page_of(site)).content.decode()


def test_numbers_that_take_too_long_are_left_out(monkeypatch):
    def too_broad(*_):
        raise paging.TooBroad

    client, site = signed_in(*RIGHTS), shop()
    monkeypatch.setattr(statistics.paging, "count_each_capped", too_broad)
    rows = {str(row.label): row.counts for row in client.get(page_of(site)).context["rows"]}
    assert rows["Notices sent"] == ["–", "–"]
    assert client.get(LIST).status_code == 200
