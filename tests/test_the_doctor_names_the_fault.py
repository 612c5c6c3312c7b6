"""`manage.py doctor`: one planted fault after another is named, with what to do; a healthy site has none."""

import json
import socketserver
import subprocess
import threading
import uuid
from collections.abc import Iterator
from datetime import timedelta

import dns.message
import dns.resolver
import dns.rrset
import pytest
from django.core.management import CommandError, call_command
from django.db.migrations.recorder import MigrationRecorder
from django.db.models.functions import Now
from django.utils import timezone

from jobs import clusters, errors, pauses, queue
from jobs.models import JobLog, Status
from notifier import doctor
from notifier.doctor import Verdict
from tests.postgres import free_port
from tests.site import MANAGE, ROOT, Site
from tests.smtp_server import SmtpServer
from tests.tables import renamed

pytestmark = pytest.mark.django_db
TYPE = "signin-notification"


@pytest.fixture
def mail_server(settings) -> Iterator[SmtpServer]:
    server = SmtpServer()
    server.start()
    settings.EMAIL_PORT = server.port
    yield server
    server.stop()


class Dns(socketserver.UDPServer):
    """A DNS that has TXT records."""

    records: dict[str, str] = {}


class Answer(socketserver.BaseRequestHandler):
    def handle(self) -> None:
        data, out = self.request
        asked = dns.message.from_wire(data)
        name = asked.question[0].name
        answer = dns.message.make_response(asked)
        if text := self.server.records.get(name.to_text().rstrip(".")):
            answer.answer.append(dns.rrset.from_text(name, 60, "IN", "TXT", f'"{text}"'))
        out.sendto(answer.to_wire(), self.client_address)


@pytest.fixture
def domain(monkeypatch) -> Iterator[dict[str, str]]:
    """The TXT records of a DNS of the test's own, all of them in order."""
    with Dns(("127.0.0.1", 0), Answer) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        resolver = dns.resolver.Resolver(configure=False)
        resolver.nameservers, resolver.port = ["127.0.0.1"], server.server_address[1]
        monkeypatch.setattr(dns.resolver, "default_resolver", resolver)
        server.records = {
            "example.mn": "v=spf1 -all",
            "_dmarc.example.mn": "v=DMARC1; p=none",
            "s1._domainkey.example.mn": "v=DKIM1; p=abc",
        }
        yield server.records
        server.shutdown()


@pytest.fixture(autouse=True)
def healthy(mail_server, domain, settings) -> None:
    settings.EMAIL_BACKEND = "django.core.mail.backends.smtp.EmailBackend"  # pytest-django puts another
    settings.SILENCED_SYSTEM_CHECKS = ["security.W004", "security.W008", "security.W012", "security.W016", "jobs.W001"]
    clusters.beat("host:1", in_flight=0, restarts=0, workers=2, version="test")


def wrong() -> dict[str, doctor.Finding]:
    """What is not well, by check."""
    return {found.check: found for found in doctor.examine() if found.verdict in (Verdict.WARNING, Verdict.FAULT)}


def named(check: str, *words: str) -> bool:
    """Whether the one thing that is wrong is `check`, told and mended with these words."""
    found = wrong()
    assert set(found) == {check}
    finding = found[check]
    assert all(word in f"{finding.told} {finding.do}" for word in words), finding
    return bool(finding.do)


def test_a_healthy_site_has_no_fault():
    assert wrong() == {}
    assert {finding.verdict for finding in doctor.examine()} == {Verdict.OK}


def test_wrong_settings(settings):
    settings.Q_CLUSTER = {**settings.Q_CLUSTER, "retry": 1}
    assert named("settings", "jobs.E001", "JOB_LEASE_SECONDS")


def test_a_proxy_that_is_not_named(settings):
    settings.SITE_URL = "https://example.mn"
    assert named("proxy", "TRUSTED_PROXIES")


def test_a_missing_migration():
    MigrationRecorder.Migration.objects.filter(app="jobs").order_by("-id").first().delete()
    assert named("migrations", "manage.py migrate")


@pytest.mark.django_db(transaction=True)
def test_a_cache_without_its_table():
    with renamed("cache_entries"):
        assert named("cache", "manage.py migrate")


def test_a_mail_server_that_is_away(mail_server, settings):
    settings.EMAIL_PORT = free_port()
    assert named("mail server", "EMAIL_HOST", "firewall")


def test_a_mail_server_that_refuses_the_log_in(mail_server):
    mail_server.behave(at="MAIL", answer="530 5.7.0 authentication required")
    assert named("mail server", "530", "EMAIL_HOST_PASSWORD")


def test_no_worker():
    clusters.Cluster.objects.all().delete()
    assert named("worker", "manage.py qcluster")


def test_a_worker_that_was_paused_or_killed():
    clusters.Cluster.objects.update(seen_at=Now() - timedelta(seconds=31))
    assert named("worker", "host:1", "paused")


def test_a_worker_that_beats_and_does_nothing(client):
    queue.enqueue(TYPE, {}, job_id="a", user_id="1")
    assert wrong() == {}
    JobLog.objects.update(run_at=Now() - timedelta(seconds=31))
    assert named("queue", "no attempt has ended", "log")
    assert client.get("/readyz").json()["checks"]["queue"] == wrong()["queue"].told


def test_an_open_breaker(client):
    pauses.open_breaker(TYPE, errors.describe(errors.Configuration("bat@example.mn may not")))
    assert named("breaker", TYPE, "EMAIL_")
    answer = client.get("/readyz")
    assert answer.status_code == 200
    assert answer.json()["held"] == {TYPE: "the breaker is open"}


def test_a_pause_that_was_forgotten():
    pauses.pause(TYPE, who="bat", why="")
    assert named("pause", "manage.py jobs resume")


def test_a_clock_that_is_wrong(monkeypatch):
    later = timezone.now() + timedelta(minutes=5)
    monkeypatch.setattr(doctor.timezone, "now", lambda: later)
    assert named("clock", "apart", "chrony")


def test_dead_letters():
    queue.enqueue(TYPE, {}, job_id="a", user_id="1")
    JobLog.objects.update(status=Status.DLQ, processed_at=Now())
    assert named("dead letters", "1 in the last")


@pytest.mark.parametrize(("name", "check"), [("example.mn", "SPF"), ("_dmarc.example.mn", "DMARC")])
def test_a_missing_record_of_the_domain(domain, name, check):
    del domain[name]
    assert named(check, "TXT")


def test_a_dns_that_does_not_answer_is_said_and_is_no_fault(monkeypatch):
    monkeypatch.setattr(dns.resolver, "default_resolver", silent := dns.resolver.Resolver(configure=False))
    silent.nameservers, silent.port = ["127.0.0.1"], free_port()
    told = [found.told for found in doctor.examine() if found.check == "DNS"]
    assert len(told) == 1
    assert "were not looked at" in told[0]
    assert wrong() == {}


def test_a_database_that_is_away_ends_with_code_2_and_no_traceback(tmp_path):
    environment = {"DATABASE_URL": f"postgres://u:hush@127.0.0.1:{free_port()}/none", "EMAIL_PORT": str(free_port())}
    with Site() as site:
        done = subprocess.run(
            [*MANAGE, "doctor", "--json"], cwd=ROOT, env=site.environment | environment, capture_output=True, text=True
        )
    assert done.returncode == 2, done.stderr
    found = {finding["check"]: finding for finding in json.loads(done.stdout)}
    assert "DATABASE_URL" in found["database"]["do"]
    assert "hush" not in done.stdout + done.stderr


def test_the_exit_code_says_how_bad_it_is(capsys):
    call_command("doctor")
    assert "ok       worker" in capsys.readouterr().out
    pauses.pause(TYPE, who="bat", why="")
    with pytest.raises(SystemExit) as ended:
        call_command("doctor")
    assert ended.value.code == 1
    with pytest.raises(CommandError, match="mail address"):
        call_command("doctor", "--send", f"nobody-{uuid.uuid4()}")


@pytest.mark.django_db(transaction=True)
def test_a_notice_goes_through_the_whole_site():
    with Site() as site:
        site.start("mail", "worker")
        told = site.manage("doctor", "--send", "bat@example.mn", check=False)
        assert "the mail server took the mail" in told
        assert [mail["To"] for mail in site.mails()] == ["bat@example.mn"]
