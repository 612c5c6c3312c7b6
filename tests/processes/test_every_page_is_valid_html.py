"""Every page of the site and of the operators is valid HTML, as html-validate reads it, in both languages."""

from collections.abc import Iterator
from datetime import timedelta

import pytest
from django.apps import apps
from django.contrib import admin
from django.contrib.admin.utils import quote
from django.contrib.auth.models import Group
from django.test import Client, RequestFactory
from django.urls import reverse
from django.utils import timezone

from accounts.events.endpoint import EventEndpoint
from accounts.sites import api_calls
from accounts.sites.keys import ApiKey
from accounts.sites.site import Site
from accounts.suppression import entries
from accounts.user import User
from jobs.core.audit import AuditEntry
from jobs.core.job import Status
from jobs.schedules import registry, state
from tests.browser.test_every_page_is_accessible import DJANGOS_OWN, INSIDE, OUTSIDE
from tests.support import api_client
from tests.support.examined import find_html_errors, install_tools
from tests.support.operators import job, this_site, tried
from tests.support.people import person, sign_in

pytestmark = [pytest.mark.django_db, pytest.mark.slow, pytest.mark.world, pytest.mark.timeout(900)]
OVERVIEWS = [
    "/admin/",
    "/admin/?hours=168",
    "/admin/jobs/joblog/?status=all",
    "/admin/jobs/joblog/?status=dlq",
    "/admin/jobs/joblog/?q=unknown",
    "/api/docs",
]
LANGUAGES = ("mn", "en")


@pytest.fixture
def boss() -> User:
    """An operator who may do everything, on a site with something of every kind."""
    user = person("bat", is_staff=True, is_superuser=True)
    this_site()
    site = Site.objects.make("shop", who="tests", name="Mountain Shop", url="https://shop.example")
    key = ApiKey.objects.find(api_client.key(name="shop", site=site))
    api_calls.note(key.pk, method="GET", route="api/jobs", status=429, problem="too-many-requests")
    api_calls.write_noted()
    EventEndpoint.objects.make(site, "https://shop.example/events", [], who="tests")
    for number, status in enumerate(Status.values):
        made = job(f"job-{number}", status)
        tried(made, 1)
    entries.suppress("x@example.mn", "bounced", reported_by="Postmark", at=timezone.now())
    now = timezone.now()
    state.adopt(registry.all_schedules(), now, now - timedelta(minutes=10))
    AuditEntry.objects.create(who="bat", act="replay", target="job-1")
    Group.objects.create(name="operators")
    return user


def admin_paths() -> Iterator[str]:
    """The pages of every model: the list, the form of a new row, and the page of the first row with its history."""
    for model in apps.get_models():
        if not admin.site.is_registered(model):
            continue
        pages = admin.site.get_model_admin(model)
        name = f"admin:{model._meta.app_label}_{model._meta.model_name}"
        yield (rows := reverse(f"{name}_changelist"))
        if pages.has_add_permission(_request()):
            yield reverse(f"{name}_add")
        if row := pages.get_queryset(_request()).first():
            yield from (f"{rows}{quote(row.pk)}/{page}/" for page in ("change", "history", "delete"))


def _request():
    request = RequestFactory().get("/")
    request.user = User.objects.get(username="bat")
    return request


def read(client: Client, paths: list[str], who: str) -> dict[str, str]:
    """Each page by its name, in both languages; not those that lead elsewhere or are forbidden."""
    pages = {}
    for language in LANGUAGES:
        for path in paths:
            answer = client.get(path, headers={"accept-language": language})
            html = answer.headers.get("Content-Type", "").startswith("text/html")
            if html and answer.content and answer.status_code not in (301, 302, 403):
                pages[f"{path} ({who}, {language})"] = answer.content.decode()
    return pages


def test_every_page_is_valid(boss, client, tmp_path):
    pages = read(client, OUTSIDE, "signed out")
    sign_in(client, "bat")
    key, group = ApiKey.objects.get(), Group.objects.get()
    own = [path.format(user=boss.pk, group=group.pk) for path in DJANGOS_OWN]
    keys = [f"/admin/accounts/apikey/{key.pk}/rotate/", f"/developers/?key={key.pk}"]
    pages |= read(client, [*INSIDE, *OVERVIEWS, *own, *keys, *admin_paths()], "operator")
    made = client.post(keys[0], {"days": "7"})
    pages["a new key"] = made.content.decode()
    assert len(pages) > 120
    errors = find_html_errors(install_tools(tmp_path), pages)
    assert [f"{count} x {what}" for what, count in errors.most_common()] == []
