"""The overview of a new installation lists what is left to do, with the truth about each step and its test."""

import pytest
from django.db import connection
from django.test import Client
from django.urls import reverse

from accounts.user import User
from jobs.alerts import channels
from jobs.cluster import clusters
from jobs.core import counters
from jobs.core.audit import AuditEntry
from notifier.ops import dns_records
from notifier.ops.checks import mail
from notifier.ops.checks.findings import Finding, Text, Verdict
from notifier.ops.first_use import checklist
from notifier.ops.first_use.checklist import State
from tests.support.operators import EVERYTHING, signed_in

pytestmark = pytest.mark.django_db
TEST = "/admin/first-use/"


@pytest.fixture
def server(settings):
    """A server, as the settings of production make it."""
    settings.DEBUG, settings.MAIL_IS_CAUGHT, settings.SITE_URL = False, False, "https://notifier.example.mn"
    settings.TRUSTED_PROXIES, settings.SENDER_DOMAINS = [], ["example.mn"]
    return settings


def chief():
    client = Client(headers={"accept-language": "en"})
    client.force_login(User.objects.create_superuser("chief", "chief@example.mn", "a long enough password"))
    return client


def steps(client):
    panels = {panel.template: panel.data for panel in client.get("/admin/").context["first"]}
    data = panels.get("admin/first_use/steps.html")
    return {str(step.title): step for step in data["steps"]} if data else {}


def states(client):
    return {title: step.state for title, step in steps(client).items()}


def test_a_fresh_server_has_every_step_open_and_none_in_red(server):
    client = chief()
    assert set(states(client).values()) == {State.OPEN}
    assert list(states(client)) == ["Worker", "Mail server", "Sender's DNS", "Proxy", "Backup", "Alerts"]
    shown = client.get("/admin/").content.decode()
    assert "6 of 6 are left" in shown
    assert "TRUSTED_PROXIES" in shown, "what the doctor says"


def test_each_step_says_the_truth_when_it_is_done(server, monkeypatch):
    client = chief()
    clusters.record_heartbeat("host:1", in_flight=0, restarts=0, workers=2, version="1")
    counters.add(counters.sums([(counters.Count("mails", ("accepted", "mail:25")), 0.0)] * 3))
    server.TRUSTED_PROXIES = ["127.0.0.1/32"]
    found = [dns_records.Record("SPF", True, "has a record", ""), dns_records.Record("DKIM", None, "no key", "ask")]
    monkeypatch.setattr(dns_records, "check_records", lambda: iter(found))
    client.post(TEST, {"test": "sender's DNS"})
    client.post(TEST, {"test": "backup"})
    left = steps(client)
    assert {title for title, step in left.items() if step.is_open} == {"Alerts"}
    assert left["Mail server"].fact == "3 emails were accepted."
    assert left["Backup"].fact.startswith("chief restored one as a test, at ")
    assert "SPF: has a record" in left["Sender's DNS"].fact
    server.ALERT_WEBHOOK = "https://hooks.example.mn/x"
    assert states(client)["Alerts"] == State.OPEN, "set, and not tested"
    AuditEntry.objects.create(who="chief", act="test_alert", target=channels.configured()[0].name)
    assert steps(client) == {}, "all is done: the list is gone"


@pytest.mark.parametrize(
    ("verdict", "state"), [(Verdict.OK, State.DONE), (Verdict.FAULT, State.WRONG), (Verdict.UNKNOWN, State.OPEN)]
)
def test_the_mail_server_is_tested_by_its_button_alone(server, monkeypatch, verdict, state):
    asked = []

    def probe():
        asked.append(1)
        yield Finding("mail server", verdict, "mail:25 said so", "do this")

    monkeypatch.setitem(checklist.SLOW_CHECKS, "mail server", probe)
    client = chief()
    steps(client)
    assert asked == []
    page = client.post(TEST, {"test": "mail server"}, follow=True)
    assert asked == [1]
    assert "Mail server: mail:25 said so. do this" in page.content.decode()
    assert states(client)["Mail server"] == state
    entry = AuditEntry.objects.get(act="check")
    assert (entry.who, entry.target, entry.detail["verdict"]) == ("chief", "first use: mail server", verdict)
    assert asked == [1]


@pytest.mark.django_db(transaction=True)
@pytest.mark.parametrize("page", ["first-use", "alert"])
def test_a_slow_server_elsewhere_locks_no_account(server, monkeypatch, page):
    """A thief with an operator's session could else hold the lock for which the owner's "this wasn't me" waits."""
    locked = []

    def wait(*_):
        locked.append(connection.in_atomic_block)
        return iter([Finding("mail server", Verdict.OK, "said so")])

    server.ALERT_WEBHOOK = "https://hooks.example.mn/x"
    [channel] = channels.configured()
    monkeypatch.setattr(type(channel), "send", wait)
    monkeypatch.setitem(checklist.SLOW_CHECKS, "mail server", wait)
    where, form = {
        "first-use": (TEST, {"test": "mail server"}),
        "alert": (reverse("admin:jobs_alertstate_test"), {"channel": channel.name}),
    }[page]
    assert chief().post(where, form).status_code == 302
    assert locked == [False]


def test_the_last_test_counts(server, monkeypatch):
    client = chief()
    for verdict, state in ((Verdict.FAULT, State.WRONG), (Verdict.OK, State.DONE)):
        found = Finding("mail server", verdict, "said so")
        monkeypatch.setitem(checklist.SLOW_CHECKS, "mail server", lambda found=found: iter([found]))
        client.post(TEST, {"test": "mail server"})
        assert states(client)["Mail server"] == state


def test_a_missing_record_is_wrong_and_says_what_to_add(server, monkeypatch):
    client = chief()
    missing = dns_records.Record("DMARC", False, "_dmarc.example.mn has no record", "add a TXT record")
    monkeypatch.setattr(mail.dns_records, "check_records", lambda: iter([missing]))
    page = client.post(TEST, {"test": "sender's DNS"}, follow=True).content.decode()
    assert "DMARC: _dmarc.example.mn has no record. add a TXT record" in page
    assert states(client)["Sender's DNS"] == State.WRONG


def test_a_reader_of_mongolian_sees_the_findings_in_mongolian(server, monkeypatch):
    text = Text("%(name)s has no record: email may be treated as spam", name="example.mn")
    missing = [dns_records.Record("SPF", False, text, "")]
    monkeypatch.setattr(mail.dns_records, "check_records", lambda: iter(missing))
    client = chief()
    client.post(TEST, {"test": "sender's DNS"}, headers={"accept-language": "mn"})
    assert AuditEntry.objects.get().detail["found"] == "SPF: example.mn has no record: email may be treated as spam"
    page = client.get("/admin/", headers={"accept-language": "mn"}).content.decode()
    assert page.count("SPF: example.mn бичлэггүй: имэйлийг спам гэж үзэж болно") == 2, "the message, and the step"
    assert "TRUSTED_PROXIES хоосон" in page
    assert "is empty" not in page


def test_development_on_one_machine_needs_a_worker_only(settings):
    settings.DEBUG = settings.MAIL_IS_CAUGHT = True
    client = chief()
    assert [title for title, state in states(client).items() if state == State.OPEN] == ["Worker"]
    clusters.record_heartbeat("host:1", in_flight=0, restarts=0, workers=2, version="1")
    assert steps(client) == {}


def test_only_a_superuser_sees_and_tests_the_steps(server):
    client = signed_in(*EVERYTHING)
    assert steps(client) == {}
    assert client.post(TEST, {"test": "backup"}).status_code == 403
    assert not AuditEntry.objects.filter(act="check").exists()
    assert Client().post(TEST, {"test": "backup"}).status_code == 302


@pytest.mark.parametrize("name", ["", "nope", "\x00", "proxy"])
def test_another_name_is_refused_and_a_get_changes_nothing(server, name):
    client = chief()
    assert client.post(TEST, {"test": name}).status_code == 404
    assert client.get(TEST).status_code == 405


def test_the_steps_take_a_fixed_number_of_queries(server, django_assert_max_num_queries):
    client = chief()
    client.get("/admin/")
    with django_assert_max_num_queries(60) as few:
        client.get("/admin/")
    for number in range(150):
        AuditEntry.objects.create(who="chief", act="check", target="first use: backup", detail={"n": number})
        counters.add(counters.sums([(counters.Count("mails", ("accepted", f"mail{number}:25")), 0.0)]))
    with django_assert_max_num_queries(60) as many:
        client.get("/admin/")
    assert len(many.captured_queries) == len(few.captured_queries)
