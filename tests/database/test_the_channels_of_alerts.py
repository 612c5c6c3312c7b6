"""The channels of alerts: a real mail server, a real receiver, the page that tests them, a database that is away."""

import base64
import hmac
import threading
from dataclasses import replace
from datetime import UTC, datetime

import pytest
from django.conf import settings as site_settings
from django.core.management import CommandError, call_command
from django.db import OperationalError

from accounts.alerts import channels as ours
from accounts.alerts.words import describe
from jobs.alerts import channels, evaluator, rules, service
from jobs.alerts.channels import Alert, NotSent
from jobs.alerts.database_rule import DATABASE_AWAY
from jobs.alerts.service import AlertService, DatabaseWatch, OutageNotices
from jobs.alerts.states import AlertNotice, AlertState
from jobs.core.audit import AuditEntry
from jobs.core.job import JobLog
from notifier.ops.checks.alerts import check_alerts
from tests.support.mail import delivering_to, set_mailer
from tests.support.operators import signed_in
from tests.support.ports import free_port
from tests.support.receiver import Receiver, signed_by
from tests.support.smtp_server import SmtpServer

pytestmark = pytest.mark.django_db
PAGE = "/admin/jobs/alertstate/"
AT = datetime(2026, 11, 27, 6, 0, tzinfo=UTC)


def alert(name: str = "NotifierNoWorker", notice: AlertNotice = AlertNotice.FIRING, subject: str = "") -> Alert:
    return Alert(rules.get_or_none(name), notice, AT, AT, subject)


@pytest.fixture
def receiver():
    with Receiver() as running:
        yield running


@pytest.mark.parametrize(("language", "word"), [("mn", "Анхааруулга"), ("en", "Alert")])
def test_an_alert_is_emailed_to_each_address_without_a_job(settings, language, word):
    settings.LANGUAGE_CODE = language
    settings.ALERT_TO = ["ops@example.mn", "second@example.mn"]
    with delivering_to(SmtpServer(), settings) as server:
        names = [channel.name for channel in channels.configured()]
        assert evaluator.send(alert(subject="signin-notification"), names) == []
        assert sorted(mail.rcpt[0] for mail in server.mails) == settings.ALERT_TO
        text, page = server.mails[0].part("plain"), server.mails[0].part("html")
    for part in (text, page):
        assert f"{word}: NotifierNoWorker" in part
        assert "signin-notification" in part
        assert "docs/alerts.md#notifiernoworker" in part
        assert f"{site_settings.SITE_URL}{PAGE}" in part
    assert len({mail.message_id for mail in server.mails}) == 2
    assert not JobLog.objects.exists()


def test_an_email_leaves_through_the_second_mail_server(settings):
    settings.ALERT_TO = ["ops@example.mn"]
    with delivering_to(SmtpServer(), settings) as second:
        set_mailer(settings, alias="fallback", host="127.0.0.1", port=second.port)
        set_mailer(settings, host="127.0.0.1", port=free_port())
        assert evaluator.send(alert(), ["email-1"]) == []
        assert len(second.mails) == 1


def test_a_dead_mail_server_does_not_stop_the_webhook(settings, receiver):
    settings.ALERT_TO, settings.ALERT_WEBHOOK = ["ops@example.mn"], receiver.url
    set_mailer(settings, host="127.0.0.1", port=free_port())
    assert evaluator.send(alert(), ["webhook", "email-1"]) == ["email-1"]
    assert len(receiver.accepted) == 1


@pytest.mark.parametrize("allowed", [True, False])
def test_the_webhook_is_signed_and_may_be_private(settings, receiver, allowed):
    settings.ALERT_WEBHOOK, settings.EVENT_ALLOW_PRIVATE = receiver.url, allowed
    assert evaluator.send(alert(), ["webhook"]) == []
    [one] = receiver.accepted
    assert signed_by(ours.secrets_in_use()[0], one)
    assert one.id == alert().id
    assert one.body["type"] == "alert.firing"
    assert one.body["data"]["alert"] == "NotifierNoWorker"
    assert one.body["data"]["severity"] == "page"


def test_a_former_secret_key_signs_too(settings, receiver):
    before = ours.secrets_in_use()[0]
    settings.SECRET_KEY_FALLBACKS, settings.SECRET_KEY = [settings.SECRET_KEY], "another" * 10
    settings.ALERT_WEBHOOK = receiver.url
    evaluator.send(alert(), ["webhook"])
    assert signed_by(before, receiver.accepted[0])
    assert signed_by(ours.secrets_in_use()[0], receiver.accepted[0])


@pytest.mark.parametrize("answer", [(500, b""), (302, b""), b"nonsense\r\n\r\n"])
def test_a_receiver_that_refuses_has_not_taken_it(settings, receiver, answer):
    settings.ALERT_WEBHOOK, receiver.answer = receiver.url, answer
    assert evaluator.send(alert(), ["webhook"]) == ["webhook"]
    settings.HEARTBEAT_URL = receiver.url
    with pytest.raises(NotSent):
        channels.ping()


def test_the_heartbeat_is_a_get(settings, receiver):
    settings.HEARTBEAT_URL = receiver.url
    channels.ping()
    assert receiver.accepted[0].headers[""] == "GET /events?token=abc HTTP/1.1"


def test_no_address_and_no_url_is_stored_shown_or_logged(settings, receiver, caplog):
    settings.ALERT_TO, settings.ALERT_WEBHOOK = ["secretname@example.mn"], receiver.url
    receiver.answer = (500, b"")
    set_mailer(settings, host="127.0.0.1", port=free_port())
    AlertState.objects.hold("NotifierNoWorker", "", 0, [channel.name for channel in channels.configured()])
    evaluator.send_notices()
    page = signed_in("view_alertstate", "test_alertstate").get(PAGE).content.decode()
    state = str(AlertState.objects.values())
    for text in (caplog.text, page, state, str(channels.configured())):
        assert "secretname@" not in text
        assert "token=abc" not in text


def test_a_cleared_alert_says_from_when_until_when(settings):
    settings.LANGUAGE_CODE = "en"
    words = describe(alert(notice=AlertNotice.CLEARED))
    assert (words["title"], words["action"]) == ("Cleared: NotifierNoWorker", "")
    assert words["since"] == words["until"] != ""


def test_the_page_shows_each_rule_and_those_that_fire_first(settings):
    AlertState.objects.hold("NotifierTypeIsPaused", "account-mail", 0, [])
    page = signed_in("view_alertstate").get(PAGE).content.decode()
    places = [page.index(f'<th scope="row">{rule.name}') for rule in rules.all_rules()]
    assert page.index('<th scope="row">NotifierTypeIsPaused') == min(places)
    assert "account-mail" in page
    assert "Alerts are off" in page


def test_a_channel_is_tested_by_who_may(settings, receiver):
    settings.ALERT_WEBHOOK = receiver.url
    client = signed_in("view_alertstate", "test_alertstate")
    assert "took the test alert" in client.post(f"{PAGE}test/", {"channel": "webhook"}, follow=True).content.decode()
    assert receiver.accepted[0].body["data"]["state"] == "test"
    assert AuditEntry.objects.get(act="test_alert").target == "webhook"
    receiver.answer = (500, b"")
    assert "answered 500" in client.post(f"{PAGE}test/", {"channel": "webhook"}, follow=True).content.decode()
    assert client.post(f"{PAGE}test/", {"channel": "another"}).status_code == 404
    assert client.get(f"{PAGE}test/").status_code == 405


@pytest.mark.parametrize(("permission", "status"), [("view_joblog", 403), ("view_alertstate", 200)])
def test_the_page_needs_its_permission_and_the_test_another(settings, receiver, permission, status):
    settings.ALERT_WEBHOOK = receiver.url
    client = signed_in(permission)
    page = client.get(PAGE)
    assert page.status_code == status
    assert "Send a test alert" not in page.content.decode()
    assert client.post(f"{PAGE}test/", {"channel": "webhook"}).status_code == 403
    assert receiver.requests == []


def test_the_command_lists_and_tests(settings, receiver, capsys):
    with pytest.raises(CommandError, match="no channel is set"):
        call_command("alerts", "test")
    settings.ALERT_WEBHOOK = receiver.url
    call_command("alerts", "test")
    call_command("alerts", "list")
    call_command("alerts", "secret")
    shown = capsys.readouterr().out
    assert "webhook: sent" in shown
    assert [rule.name for rule in rules.all_rules() if rule.name not in shown] == []
    secret = shown.split()[-1]
    one = receiver.accepted[0]
    assert signed_by(secret, one)
    assert not hmac.compare_digest(base64.b64decode(secret.removeprefix("whsec_")), site_settings.SECRET_KEY.encode())
    receiver.answer = (500, b"")
    with pytest.raises(CommandError, match="1 of 1"):
        call_command("alerts", "test")


@pytest.mark.parametrize(
    ("to", "webhook", "verdict", "said"),
    [
        ([], "", "unknown", "are off"),
        (["a@example.mn"], "", "warning", "by email alone"),
        (["a@example.mn"], "http://127.0.0.1:1/", "ok", "1 address(es), ALERT_WEBHOOK"),
        ([], "https://no-such-host.invalid/", "fault", "the host of ALERT_WEBHOOK is not found"),
    ],
)
def test_the_doctor_checks_the_receivers(settings, to, webhook, verdict, said):
    settings.ALERT_TO, settings.ALERT_WEBHOOK = to, webhook
    [found] = check_alerts()
    assert found.verdict == verdict
    assert said in found.message


def test_nothing_runs_without_a_receiver(settings):
    assert not AlertService(lambda: 20.0).start(threading.Event())
    settings.HEARTBEAT_URL = "http://127.0.0.1:1/"
    stop = threading.Event()
    stop.set()
    assert AlertService(lambda: 20.0).start(stop)


def away(watch: DatabaseWatch) -> None:
    with pytest.raises(OperationalError), watch.asking():
        raise OperationalError


def test_a_database_that_refuses_is_reported_once_and_so_is_its_return(monkeypatch):
    clock = [1000.0]
    monkeypatch.setattr(service.time, "monotonic", lambda: clock[0])
    watch = DatabaseWatch()
    away(watch)
    clock[0] += 59
    assert watch.due() is None
    away(watch)
    clock[0] += 1
    due = watch.due()
    assert due is not None
    assert (due.rule, due.notice) == (DATABASE_AWAY, "firing")
    assert watch.due() is None
    with watch.asking():
        assert watch.due() is None
    cleared = watch.due()
    assert cleared is not None
    assert (cleared.notice, cleared.since) == ("cleared", due.since)
    assert watch.due() is None


def test_a_database_that_is_silent_counts_as_away_and_a_slow_mail_server_does_not(monkeypatch):
    clock = [1000.0]
    monkeypatch.setattr(service.time, "monotonic", lambda: clock[0])
    watch = DatabaseWatch()
    with watch.asking():
        with watch.not_asking():
            clock[0] += 500
            assert watch.due() is None
        clock[0] += 59
        assert watch.due() is None
        clock[0] += 1
        assert watch.due() is not None


def test_the_notice_of_an_outage_is_repeated_to_a_channel_that_failed(settings, receiver, monkeypatch):
    settings.ALERT_WEBHOOK = receiver.url
    monkeypatch.setattr(service, "DATABASE_AWAY", replace(DATABASE_AWAY, hold_seconds=0))
    watch = DatabaseWatch()
    away(watch)
    look = OutageNotices(watch).send
    receiver.answer = (500, b"")
    look()
    look()
    assert len(receiver.requests) == 1
    monkeypatch.setattr(service, "RETRY_SECONDS", 0.0)
    receiver.answer = (204, b"")
    look()
    look()
    assert [one.body["data"]["alert"] for one in receiver.requests] == ["NotifierDown"] * 2
    assert len({one.id for one in receiver.requests}) == 1
