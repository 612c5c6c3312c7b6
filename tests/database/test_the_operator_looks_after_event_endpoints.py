"""The pages of event endpoints: the secret once, the history masked, buttons with their permission and audit."""

from datetime import timedelta

import pytest
from django.utils import timezone

from accounts.events import sender
from accounts.events.emit import emit
from accounts.events.endpoint import EventEndpoint
from accounts.sites.site import Site
from jobs.core.audit import AuditEntry
from tests.support.events import endpoint_of, events, run_due
from tests.support.operators import signed_in
from tests.support.receiver import Receiver, signed_by

pytestmark = pytest.mark.django_db
LIST = "/admin/accounts/eventendpoint/"
ALL = ("accounts.view_eventendpoint", "accounts.add_eventendpoint", "accounts.change_eventendpoint")
URL = "https://shop.example/events?token=abc"


@pytest.fixture
def receiver(settings, monkeypatch):
    settings.EVENT_ALLOW_PRIVATE = True
    monkeypatch.setattr(sender, "this_process", sender.Attempts())
    with Receiver() as running:
        yield running


def test_an_endpoint_is_added_and_its_secret_shown_once():
    site = Site.objects.find_or_make("shop", who="tests")
    client = signed_in(*ALL)
    assert client.get(f"{LIST}add/").status_code == 200
    made = client.post(f"{LIST}add/", {"site": site.pk, "url": URL, "types": ["notice.failed"]})
    endpoint = EventEndpoint.objects.get()
    [secret] = endpoint.secrets()
    assert secret in made.content.decode()
    assert "no-store" in made["Cache-Control"]
    assert endpoint.types == ["notice.failed"]
    for address in (LIST, f"{LIST}{endpoint.pk}/change/"):
        page = client.get(address).content.decode()
        assert "shop.example" in page
        assert secret not in page
        assert "token=abc" not in page
    assert AuditEntry.objects.filter(act="create_endpoint", who="saraa").count() == 1


@pytest.mark.parametrize(("slug", "url"), [("signal", URL), ("shop", "https://127.0.0.1/"), ("shop", "http://x.mn/")])
def test_what_is_refused_is_said_at_its_field(slug, url):
    site = Site.objects.filter(slug=slug).first() or Site.objects.find_or_make("shop", who="tests")
    if slug == "signal":
        site, _ = Site.objects.get_or_create(slug="signal", defaults={"name": "ours"})
    page = signed_in(*ALL).post(f"{LIST}add/", {"site": site.pk, "url": url})
    assert "errorlist" in page.content.decode()
    assert not EventEndpoint.objects.exists()


def test_one_endpoint_too_many_is_refused_in_the_form(monkeypatch):
    endpoint, _ = endpoint_of(URL)
    monkeypatch.setattr("accounts.events.endpoint.MOST_OF_A_SITE", 1)
    page = signed_in(*ALL).post(f"{LIST}add/", {"site": endpoint.site_id, "url": URL})
    assert "at most 1 event endpoints" in page.content.decode()
    assert EventEndpoint.objects.count() == 1


def test_the_buttons_ping_rotate_turn_and_replay(receiver):
    endpoint, old = endpoint_of(receiver.url)
    client, page = signed_in(*ALL), f"{LIST}{endpoint.pk}/"
    client.post(f"{page}ping/")
    run_due()
    assert receiver.accepted[0].body["type"] == "ping"
    shown = client.post(f"{page}rotate/").content.decode()
    endpoint.refresh_from_db()
    assert endpoint.secrets()[0] in shown
    receiver.answer = (500, b"sorry bat@example.mn")
    emit("shop", "notice.failed", {"jobId": "1", "userId": "bat@example.mn"}, key="1")
    emit("shop", "notice.delivered", {"jobId": "2", "userId": "bat@example.mn"}, key="2")
    run_due(payload__type="notice.delivered")
    assert signed_by(old, receiver.requests[-1])
    history = client.get(f"{page}change/").content.decode()
    assert "b***@example.mn" in history
    assert "bat@" not in history
    receiver.answer = (200, b"")
    EventEndpoint.objects.update(last_failure_at=timezone.now() - timedelta(hours=1))
    client.post(f"{page}replay/", {"event": events().get(payload__type="notice.delivered").job_id})
    run_due(payload__type="notice.delivered")
    assert events().get(payload__type="notice.delivered").status == "completed"
    assert "0 events" in client.post(f"{page}replay/", follow=True).content.decode()
    client.post(f"{page}turn/", {"to": "off"})
    endpoint.refresh_from_db()
    assert endpoint.state == "off"
    assert "is off" in client.post(f"{page}ping/", follow=True).content.decode()
    client.post(f"{page}turn/", {"to": "on"})
    endpoint.refresh_from_db()
    assert endpoint.state == "on"
    assert AuditEntry.objects.filter(act="change_endpoint", who="saraa").count() == 5


def test_without_the_permission_nothing_is_shown_or_done(receiver):
    endpoint, _ = endpoint_of(receiver.url)
    client, page = signed_in("accounts.view_eventendpoint"), f"{LIST}{endpoint.pk}/"
    assert client.get(f"{page}change/").status_code == 200
    assert client.get(f"{LIST}add/").status_code == 403
    for button in ("ping", "rotate", "turn", "replay"):
        assert client.post(f"{page}{button}/").status_code == 403
        assert client.get(f"{page}{button}/").status_code == 405
    client.logout()
    assert client.get(LIST).status_code == 302


def test_a_long_history_has_pages():
    endpoint, _ = endpoint_of(URL)
    rows = [
        sender.EventDelivery(endpoint=endpoint, event_id=f"evt_{n}", event_type="ping", attempt=1) for n in range(60)
    ]
    sender.EventDelivery.objects.bulk_create(rows)
    client, page = signed_in(*ALL), f"{LIST}{endpoint.pk}/change/"
    first = client.get(page).content.decode()
    assert first.count("<code>evt_") == 50
    following = first.partition('href="?before=')[2].partition('"')[0]
    assert client.get(f"{page}?before={following}").content.decode().count("<code>evt_") == 10
    assert client.get(f"{page}?before=x").status_code == 200
    assert client.get(f"{page}?before={'9' * 30}").status_code == 200
    assert client.get(f"{LIST}{'9' * 30}/ping/").status_code in (404, 405)
