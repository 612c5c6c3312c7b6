"""`manage.py doctor`: one planted fault after another is named, with what to do; a healthy site has none."""

import json
import ssl
import subprocess
import uuid
from collections.abc import Iterator
from datetime import timedelta

import dns.resolver
import pytest
from django.core.mail.backends.smtp import EmailBackend
from django.core.management import CommandError, call_command
from django.db import connection
from django.db.migrations.recorder import MigrationRecorder
from django.db.models.functions import Now
from django.utils import timezone

from accounts.sites import site as sites
from jobs.cluster import clusters
from jobs.core import errors, pauses, sql
from jobs.core.job import JobLog, Status
from jobs.queue.enqueue import enqueue
from notifier.ops import doctor, health
from notifier.ops.checks.findings import Finding, Verdict
from tests.support import scripted_dns
from tests.support.mail import set_mailer
from tests.support.ports import free_port
from tests.support.site import Site
from tests.support.smtp_server import SmtpServer
from tests.support.tables import renamed
from tests.support.templates import MANAGE, ROOT, collected_static

pytestmark = [pytest.mark.django_db, pytest.mark.slow]
TYPE = "signin-notification"


@pytest.fixture
def mail_server(settings) -> Iterator[SmtpServer]:
    server = SmtpServer()
    server.start()
    set_mailer(settings, port=server.port)
    yield server
    server.stop()


@pytest.fixture
def own_dns(monkeypatch) -> Iterator[scripted_dns.Dns]:
    with scripted_dns.running() as server:
        monkeypatch.setattr(dns.resolver, "default_resolver", scripted_dns.resolver(server.server_address[1]))
        yield server


@pytest.fixture
def domain(own_dns) -> dict[str, str]:
    """The TXT records of a DNS of the test's own, all of them in order."""
    return own_dns.records


@pytest.fixture(autouse=True)
def healthy(mail_server, domain, settings) -> None:
    set_mailer(settings)
    settings.SILENCED_SYSTEM_CHECKS = ["jobs.W001"]
    settings.SITE_URL, settings.TRUSTED_PROXIES = "https://example.mn", ["127.0.0.1/32"]
    settings.STATIC_ROOT = collected_static()
    clusters.record_heartbeat("host:1", in_flight=0, restarts=0, workers=2, version="test")


def wrong() -> dict[str, Finding]:
    """What is not well, by check."""
    return {found.check: found for found in doctor.examine() if found.verdict in (Verdict.WARNING, Verdict.FAULT)}


def named(check: str, *words: str) -> bool:
    """Whether the one thing that is wrong is `check`, reported and advised on with these words."""
    found = wrong()
    assert set(found) == {check}
    finding = found[check]
    assert all(word in f"{finding.message} {finding.action}" for word in words), finding
    return bool(finding.action)


def test_a_healthy_site_has_no_fault():
    assert wrong() == {}
    others = [finding for finding in doctor.examine() if finding.check != "alerts"]  # the tests set no receiver
    assert {finding.verdict for finding in others} == {Verdict.OK}


def test_wrong_settings(settings):
    settings.Q_CLUSTER = {**settings.Q_CLUSTER, "retry": 1}
    assert named("settings", "jobs.E001", "JOB_LEASE_SECONDS")


def test_a_proxy_that_is_not_named(settings):
    settings.TRUSTED_PROXIES = []
    assert named("proxy", "TRUSTED_PROXIES")


def test_a_missing_migration():
    MigrationRecorder.Migration.objects.filter(app="jobs").order_by("-id").first().delete()
    assert named("migrations", "manage.py migrate")


@pytest.mark.django_db(transaction=True)
def test_a_cache_without_its_table():
    with renamed("cache_entries"):
        assert named("cache", "manage.py migrate")


@pytest.mark.postgresql
def test_a_read_only_database_and_a_standby(monkeypatch):
    with connection.cursor() as cursor:
        cursor.execute("SET TRANSACTION READ ONLY")
    assert named("writes", "read-only", "default_transaction_read_only")
    standby = sql.ServerState(in_recovery=True, read_only=True, encoding="UTF8")
    monkeypatch.setattr(sql, "server_state", lambda: standby)
    assert named("writes", "standby", "promote")


def test_a_mail_server_that_is_away(mail_server, settings):
    set_mailer(settings, port=free_port())
    assert named("mail server", "EMAIL_HOST", "firewall")


def test_a_mail_server_that_refuses_the_log_in(mail_server):
    mail_server.behave(at="MAIL", answer="530 5.7.0 authentication required")
    assert named("mail server", "530", "EMAIL_HOST_PASSWORD")


@pytest.mark.parametrize(
    ("settings_of_it", "words"),
    [
        ({"host": "smtp..x"}, "EMAIL_HOST"),
        ({"username": "site", "password": "нууц"}, "EMAIL_HOST_PASSWORD"),
        ({"use_tls": True}, "STARTTLS"),
        ({"backend": "tests.database.test_the_doctor_names_the_fault.Broken"}, "ZeroDivisionError"),
    ],
)
def test_a_mail_server_whose_settings_cannot_be_used(settings, settings_of_it, words):
    set_mailer(settings, **settings_of_it)
    assert named("mail server", words)


class Broken(EmailBackend):
    def open(self):
        raise ZeroDivisionError


def test_a_mail_server_that_relays_nothing_for_us(mail_server):
    mail_server.behave(at="RCPT", answer="554 5.7.1 <help@example.mn>: Relay access denied")
    assert named("mail server", "554", "Relay access denied", "h***@example.mn")


def test_a_mail_server_with_a_certificate_of_a_private_authority(settings):
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(ROOT / "tests/data/untrusted_certificate.pem")
    server = SmtpServer(tls=context)
    server.start()
    set_mailer(settings, port=server.port, use_tls=True)
    assert named("mail server", "CERTIFICATE_VERIFY_FAILED", "EMAIL_CA_FILE")
    server.stop()


def test_a_check_that_breaks_ends_no_other(monkeypatch):
    def check_dns_records():
        raise RuntimeError

    def check_settings():
        raise UnicodeError

    monkeypatch.setattr(doctor.mail, "check_dns_records", check_dns_records)
    monkeypatch.setattr(doctor, "WITHOUT_DATABASE", (check_settings,))
    assert {check: finding.message for check, finding in wrong().items()} == {
        "dns records": "could not be checked (RuntimeError)",
        "settings": "could not be checked (UnicodeError)",
    }


def test_no_worker():
    clusters.Cluster.objects.all().delete()
    assert named("worker", "manage.py qcluster")


def test_a_worker_that_was_paused_or_killed():
    clusters.Cluster.objects.update(seen_at=Now() - timedelta(seconds=31))
    assert named("worker", "host:1", "paused")


def test_a_worker_that_beats_and_does_nothing(client):
    enqueue(TYPE, {}, job_id="a", user_id="1")
    assert wrong() == {}
    JobLog.objects.update(run_at=Now() - timedelta(seconds=31))
    assert named("queue", "no attempt has ended", "log")
    assert client.get("/readyz").json()["checks"]["queue"] == wrong()["queue"].message


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
    monkeypatch.setattr(health.timezone, "now", lambda: later)
    assert named("clock", "apart", "chrony")


def test_dead_letters():
    enqueue(TYPE, {}, job_id="a", user_id="1")
    JobLog.objects.update(status=Status.DLQ, processed_at=Now())
    assert named("dead letters", "1 in the last")


def test_the_dmarc_record_of_the_organisation_counts_for_a_subdomain(domain, settings):
    settings.SENDER_DOMAINS = ["mail.shop.example.mn"]
    domain["mail.shop.example.mn"] = domain["example.mn"]
    assert wrong() == {}
    del domain["_dmarc.example.mn"]
    assert named("DMARC", "_dmarc.mail.shop.example.mn", "p=none; rua=mailto:help@example.mn")


@pytest.mark.parametrize(("name", "check"), [("example.mn", "SPF"), ("_dmarc.example.mn", "DMARC")])
def test_a_missing_record_of_the_domain(domain, name, check):
    del domain[name]
    assert named(check, "TXT")


def test_the_records_of_each_domain_that_emails_are_sent_from(domain, settings):
    settings.SENDER_DOMAINS = ["example.mn", "shop.mn"]
    found = {(each.check, each.verdict, each.message.split()[0]) for each in doctor.examine()}
    assert {("SPF", Verdict.OK, "example.mn"), ("SPF", Verdict.WARNING, "shop.mn")} <= found
    assert {("DMARC", Verdict.WARNING, "_dmarc.shop.mn"), ("DKIM", Verdict.UNKNOWN, "shop.mn")} <= found
    domain |= {"shop.mn": "v=spf1 -all", "_dmarc.shop.mn": "v=DMARC1; p=none", "pm._domainkey.shop.mn": "p=abc"}
    assert wrong() == {}


COMPLETE = {"url": "https://shop.mn", "support_email": "help@shop.mn", "sender": "Shop <no-reply@example.mn>"}


@pytest.mark.parametrize(("name", "text"), [("url", "URL"), ("support_email", "support address"), ("sender", "sender")])
def test_a_site_whose_emails_lack_something(name, text):
    site = sites.Site.objects.make("shop", who="tests", **{**COMPLETE, name: ""})
    page = f"https://example.mn/admin/accounts/site/{site.pk}/change/"
    assert named("sites", f"shop has no {text}", page)
    sites.Site.objects.filter(pk=site.pk).update(**COMPLETE)
    assert wrong() == {}


def test_a_host_of_links_that_does_not_lead_here(own_dns, settings):
    sites.Site.objects.make("shop", who="tests", link_host="notices.shop.mn", **COMPLETE)
    settings.ALLOWED_HOSTS = ["example.mn"]
    assert named("link host", "notices.shop.mn", "add notices.shop.mn to ALLOWED_HOSTS")
    settings.ALLOWED_HOSTS = ["example.mn", ".shop.mn"]
    assert named("link host", "no address in the DNS", "CNAME record to example.mn")
    own_dns.hosts.add("notices.shop.mn")
    assert wrong() == {}


@pytest.mark.slow
def test_a_dns_that_does_not_answer_is_said_and_is_not_a_fault(monkeypatch, settings):
    monkeypatch.setattr(dns.resolver, "default_resolver", silent := dns.resolver.Resolver(configure=False))
    silent.nameservers, silent.port = ["127.0.0.1"], free_port()
    settings.SENDER_DOMAINS = ["example.mn", "shop.mn"]
    messages = [found.message for found in doctor.examine() if found.check == "DNS"]
    assert len(messages) == 1
    assert "were not checked" in messages[0]
    assert wrong() == {}


@pytest.mark.processes
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
    with pytest.raises(CommandError, match="email address"):
        call_command("doctor", "--send", f"unknown-{uuid.uuid4()}")


@pytest.mark.processes
@pytest.mark.django_db(transaction=True)
def test_a_notice_goes_through_the_whole_site():
    with Site() as site:
        site.start("mail", "worker")
        printed = site.manage("doctor", "--send", "bat@example.mn", check=False)
        assert "the mail server accepted the email" in printed
        assert [mail["To"] for mail in site.mails()] == ["bat@example.mn"]
