"""Each fault is planted for real, and `manage.py doctor`, run as an operator runs it, names it with what to do."""

import json
import os
import signal
import ssl
import subprocess
import sys
from collections.abc import Callable, Iterator
from contextlib import closing, contextmanager, nullcontext
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from ipaddress import IPv4Address
from pathlib import Path
from typing import Any

import psycopg
import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec

from tests.support import country_database, pgbouncer, scripted_dns
from tests.support.debian import Unpacked
from tests.support.ports import free_port
from tests.support.postgres import Postgres
from tests.support.site import ROOT, Site
from tests.support.smtp_server import SmtpServer

pytestmark = [pytest.mark.slow, pytest.mark.world]
CODES = {"fault": 2, "warning": 1}
UNKNOWN_AUTHORITY = ROOT / "tests/data/untrusted_certificate.pem"
ALIVE = """INSERT INTO jobs_cluster (name, host, pid, workers, version, in_flight, restarts)
VALUES ('host:1', 'host', 1, 2, 'test', 0, 0) ON CONFLICT (name) DO UPDATE SET seen_at = now()"""


@dataclass
class Stand:
    """A site in good health, with a mail server and a DNS of its own."""

    site: Site
    smtp: SmtpServer
    dns: scripted_dns.Dns
    folder: Path

    def sql(self, statement: str, *values: object) -> None:
        self.site.sql(statement, *values)

    def run(self, *lines: str) -> None:
        """Lines of Python in the site's shell."""
        imports = ("from datetime import timedelta", "from django.utils import timezone")
        self.site.manage("shell", "-v0", "-c", "\n".join([*imports, *lines]))

    def doctor(self, *arguments: str, **environment: str) -> subprocess.CompletedProcess[str]:
        """One run of it, with what differs in its environment."""
        command = [sys.executable, "-m", "tests.support.scripted_dns", str(self.dns.server_address[1]), "doctor"]
        environment = {**self.site.environment, **environment}
        return subprocess.run([*command, *arguments], cwd=ROOT, env=environment, capture_output=True, text=True)


@pytest.fixture(scope="module")
def postgres() -> Iterator[Postgres]:
    """A server of this module alone."""
    with Postgres() as server:
        server.execute("CREATE DATABASE notifier")
        yield server


@pytest.fixture(scope="module")
def module_stand(postgres, tmp_path_factory) -> Iterator[Stand]:
    smtp = SmtpServer()
    smtp.start()
    healthy = {
        "DATABASE_URL": postgres.url("notifier"),
        "SITE_URL": "https://example.mn",
        "TRUSTED_PROXIES": "127.0.0.1/32",
        "SECRET_KEY": "0123456789abcdefghijklmnopqrstuvwxyz-0123456789abcdefghijklmnopqrstuvwxyz",
        "EMAIL_PORT": str(smtp.port),
    }
    with Site(**healthy) as site, scripted_dns.running() as dns:
        site.manage("migrate")
        yield Stand(site, smtp, dns, tmp_path_factory.mktemp("doctor"))
    smtp.stop()


@pytest.fixture
def stand(module_stand) -> Stand:
    module_stand.sql(ALIVE)
    return module_stand


Plant = Callable[[Stand], Any]
"""A context manager that gives what differs in the environment while the fault lasts."""


def setting(name: str, value: str) -> Plant:
    return lambda stand: nullcontext({name: value})


def rows(do: str, undo: str, *values: object) -> Plant:
    """Rows in the database for as long as the fault lasts."""

    @contextmanager
    def plant(stand: Stand) -> Iterator[dict[str, str]]:
        stand.sql(do, *values)
        yield {}
        stand.sql(undo)

    return plant


def refusal(**behaviour: Any) -> Plant:
    """A mail server that refuses us."""

    @contextmanager
    def plant(stand: Stand) -> Iterator[dict[str, str]]:
        stand.smtp.behave(**behaviour)
        yield {}
        stand.smtp.clear()

    return plant


def without_record(name: str) -> Plant:
    @contextmanager
    def plant(stand: Stand) -> Iterator[dict[str, str]]:
        text = stand.dns.records.pop(name)
        yield {}
        stand.dns.records[name] = text

    return plant


def _certificate(folder: Path, days: int) -> Path:
    """A self-signed certificate of 127.0.0.1 that ends in so many days, with its key."""
    key, now = ec.generate_private_key(ec.SECP256R1()), datetime.now(UTC)
    name = x509.Name([x509.NameAttribute(x509.NameOID.COMMON_NAME, "127.0.0.1")])
    address = x509.SubjectAlternativeName([x509.IPAddress(IPv4Address("127.0.0.1"))])
    made = (
        x509.CertificateBuilder(name, name, key.public_key(), 1)
        .not_valid_before(now - timedelta(days=90))
        .not_valid_after(now + timedelta(days=days))
        .add_extension(address, critical=False)
        .sign(key, hashes.SHA256())
    )
    private = serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
    file = folder / "certificate.pem"
    file.write_bytes(
        key.private_bytes(serialization.Encoding.PEM, *private) + made.public_bytes(serialization.Encoding.PEM)
    )
    return file


def tls_server(certificate: Callable[[Path], Path], trusted: bool) -> Plant:
    @contextmanager
    def plant(stand: Stand) -> Iterator[dict[str, str]]:
        file = certificate(stand.folder)
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        context.load_cert_chain(file)
        server = SmtpServer(tls=context)
        server.start()
        yield {
            "EMAIL_PORT": str(server.port),
            "EMAIL_USE_TLS": "1",
            **({"EMAIL_CA_FILE": str(file)} if trusted else {}),
        }
        server.stop()

    return plant


def geoip(write: Callable[[Path], object]) -> Plant:
    def plant(stand: Stand) -> Any:
        write(stand.folder / "countries.mmdb")
        return nullcontext({"GEOIP_PATH": str(stand.folder / "countries.mmdb")})

    return plant


PLANTS: list[tuple[str, str, str, tuple[str, ...], Plant]] = [
    # mail
    (
        "wrong mail host",
        "mail server",
        "fault",
        ("cannot be reached", "EMAIL_HOST"),
        setting("EMAIL_HOST", "no.invalid"),
    ),
    ("mail server away", "mail server", "fault", ("cannot be reached", "firewalls"), setting("EMAIL_PORT", "1")),
    (
        "login refused",
        "mail server",
        "fault",
        ("535", "EMAIL_HOST_PASSWORD"),
        lambda stand: refused_login(stand),
    ),
    (
        "relay denied",
        "mail server",
        "fault",
        ("Relay access denied", "relay for this machine"),
        refusal(at="RCPT", answer="554 5.7.1 <help@example.mn>: Relay access denied"),
    ),
    (
        "sender not allowed",
        "mail server",
        "fault",
        ("553", "DEFAULT_FROM_EMAIL"),
        refusal(at="MAIL", answer="553 5.7.1 Sender address rejected: not owned by user"),
    ),
    (
        "EHLO name refused",
        "mail server",
        "fault",
        ("504", "EMAIL_EHLO_NAME"),
        refusal(at="MAIL", answer="504 5.5.2 <x>: Helo command rejected: need fully-qualified hostname"),
    ),
    (
        "expired certificate",
        "mail server",
        "fault",
        ("has expired", "renew the certificate"),
        tls_server(lambda folder: _certificate(folder, -1), trusted=True),
    ),
    (
        "private authority",
        "mail server",
        "fault",
        ("CERTIFICATE_VERIFY_FAILED", "EMAIL_CA_FILE"),
        tls_server(lambda _: UNKNOWN_AUTHORITY, trusted=False),
    ),
    ("no SPF", "SPF", "warning", ("TXT", "v=spf1"), without_record("example.mn")),
    ("no DMARC", "DMARC", "warning", ("_dmarc.example.mn", "p=none; rua="), without_record("_dmarc.example.mn")),
    # workers and jobs
    (
        "no worker",
        "worker",
        "fault",
        ("no worker is running", "manage.py qcluster"),
        rows("DELETE FROM jobs_cluster", "SELECT 1"),
    ),
    (
        "worker killed",
        "worker",
        "fault",
        ("last heartbeat of host:1", "qcluster again"),
        rows("UPDATE jobs_cluster SET seen_at = now() - interval '40 s'", "SELECT 1"),
    ),
    (
        "worker stuck",
        "queue",
        "fault",
        ("no attempt has ended", "restart a stuck worker"),
        lambda stand: job(stand, "status='enqueued', run_at=timezone.now() - timedelta(seconds=90)"),
    ),
    (
        "dead letters",
        "dead letters",
        "warning",
        ("1 in the last 24 hours", "jobs list"),
        lambda stand: job(stand, "status='dlq', dlq_reason='exhausted', processed_at=timezone.now()"),
    ),
    (
        "type paused",
        "pause",
        "warning",
        ("was paused", "jobs resume"),
        rows(
            "INSERT INTO jobs_jobtypestate (job_type, paused_at, paused_by, pause_reason, breaker_error)"
            " VALUES ('signin-notification', now(), 'bat', '', '')",
            "DELETE FROM jobs_jobtypestate",
        ),
    ),
    (
        "breaker open",
        "breaker",
        "fault",
        ("is open", "EMAIL_"),
        rows(
            "INSERT INTO jobs_jobtypestate (job_type, breaker_opened_at, paused_by, pause_reason, breaker_error)"
            " VALUES ('signin-notification', now(), '', '', '535')",
            "DELETE FROM jobs_jobtypestate",
        ),
    ),
    (
        "suppression list grows",
        "suppressed",
        "warning",
        ("25 addresses were suppressed", "blocklist"),
        rows(
            "INSERT INTO accounts_suppressedaddress (digest, masked, why, code, reported_by, since, until, times,"
            " reactivated_by) SELECT gen_random_uuid(), 'b***@example.mn', 'bounced', '5.7.1', 'ses', now(),"
            " now() + interval '90 days', 1, '' FROM generate_series(1, 25)",
            "DELETE FROM accounts_suppressedaddress",
        ),
    ),
    (
        "notice not enqueued",
        "pending",
        "fault",
        ("3 sign-in(s)", "worker"),
        lambda stand: sign_ins(stand, 3, "pending"),
    ),
    (
        "proxy's address recorded",
        "addresses",
        "warning",
        ("one private address", "TRUSTED_PROXIES"),
        lambda stand: sign_ins(stand, 20, "opted_out"),
    ),
    # the database
    (
        "database away",
        "database",
        "fault",
        ("does not respond", "DATABASE_URL"),
        lambda stand: at_port(stand, free_port()),
    ),
    (
        "database missing",
        "database",
        "fault",
        ("no such database", "name in DATABASE_URL"),
        lambda stand: named(stand, "x"),
    ),
    ("database hangs", "database", "fault", ("does not answer in time",), lambda stand: hung_database(stand)),
    ("table locked", "queue", "fault", ("locked table", "pg_stat_activity"), lambda stand: locked_table(stand)),
    (
        "read-only database",
        "writes",
        "fault",
        ("read-only", "default_transaction_read_only"),
        lambda stand: read_only(stand),
    ),
    ("standby", "writes", "fault", ("recovery mode", "primary"), lambda stand: standby(stand)),
    ("SQL_ASCII", "encoding", "fault", ("SQL_ASCII", "--encoding UTF8"), lambda stand: ascii_database(stand)),
    (
        "too few connections",
        "connections",
        "fault",
        ("allows 11", "max_connections"),
        lambda stand: small_server(stand),
    ),
    (
        "missing migration",
        "migrations",
        "fault",
        ("1 are not applied", "manage.py migrate"),
        rows(
            "CREATE TABLE forgotten AS SELECT * FROM django_migrations WHERE app = 'jobs' ORDER BY id DESC LIMIT 1;"
            " DELETE FROM django_migrations WHERE id IN (SELECT id FROM forgotten)",
            "INSERT INTO django_migrations SELECT * FROM forgotten; DROP TABLE forgotten",
        ),
    ),
    ("NOTIFY behind PgBouncer", "notify", "warning", ("does not arrive", "session mode"), lambda stand: pooled(stand)),
    ("clock behind", "clock", "fault", ("90 s apart", "chrony"), lambda stand: wrong_clock("-90s")),
    ("clock ahead", "clock", "fault", ("90 s apart", "chrony"), lambda stand: wrong_clock("+90s")),
    (
        "Redis away",
        "cache",
        "fault",
        ("does not work", "start Redis"),
        setting("REDIS_URL", f"redis://127.0.0.1:{free_port()}/0"),
    ),
    (
        "broker's Redis away",
        "broker",
        "fault",
        ("redis does not respond", "start Redis"),
        lambda stand: nullcontext({"REDIS_URL": f"redis://127.0.0.1:{free_port()}/0", "Q_BROKER": "redis"}),
    ),
    # settings and the machine
    (
        "no static files",
        "static files",
        "warning",
        ("are missing", "collectstatic"),
        lambda stand: hiding_volume(stand),
    ),
    ("short key", "settings", "warning", ("SECRET_KEY has less than 50", "random"), setting("SECRET_KEY", "short")),
    ("proxy not trusted", "proxy", "warning", ("TRUSTED_PROXIES",), setting("TRUSTED_PROXIES", "")),
    ("no https", "https", "warning", ("HSTS is off", "SITE_URL=https"), setting("SITE_URL", "http://example.mn")),
    ("disk full", "disk", "fault", ("0 MB are free", "another disk"), setting("VAR_DIR", "/proc")),
    (
        "old countries",
        "countries",
        "warning",
        ("years old", "replace"),
        geoip(lambda path: country_database.write(path, {"203.0.113.0/24": {"iso_code": "MN"}})),
    ),
    (
        "broken countries",
        "countries",
        "warning",
        ("cannot be read", ".mmdb"),
        geoip(lambda path: path.write_bytes(b"<html>404</html>")),
    ),
]
FOLLOW = {
    "no worker": {"queue"},
    "SQL_ASCII": {"worker"},
    "table locked": {"dead letters"},
    "broker's Redis away": {"cache"},
    "disk full": {"static files"},
}
"""Checks that find an effect of the fault as well."""


@contextmanager
def refused_login(stand: Stand) -> Iterator[dict[str, str]]:
    stand.smtp.behave(login="site:right")
    yield {"EMAIL_HOST_USER": "site", "EMAIL_HOST_PASSWORD": "wrong"}
    stand.smtp.clear()


@contextmanager
def job(stand: Stand, fields: str) -> Iterator[dict[str, str]]:
    stand.run(
        "from jobs.core.job import JobLog",
        f"JobLog.objects.create(job_id='a', job_type='signin-notification', user_id='1', payload={{}}, max_attempts=5,"
        f" expires_at=timezone.now() + timedelta(days=1), {fields})",
    )
    yield {}
    stand.sql("DELETE FROM job_logs")


@contextmanager
def sign_ins(stand: Stand, number: int, notice: str) -> Iterator[dict[str, str]]:
    stand.run(
        "from accounts.models import *",
        "from accounts.user import User",
        "user = User.objects.create_user('bat')",
        f"for _ in range({number}):",
        "    SignIn.objects.create(user=user, method='password', ip='10.0.0.7', language='mn', time_zone='UTC',"
        f" notice='{notice}', at=timezone.now() - timedelta(minutes=9))",
    )
    yield {}
    stand.sql("TRUNCATE accounts_user CASCADE")


def at_port(stand: Stand, port: int) -> Any:
    return nullcontext({"DATABASE_URL": f"postgres://postgres:hush@127.0.0.1:{port}/notifier"})


def named(stand: Stand, name: str) -> Any:
    return nullcontext({"DATABASE_URL": stand.site.environment["DATABASE_URL"].replace("/notifier", f"/{name}")})


@contextmanager
def locked_table(stand: Stand) -> Iterator[dict[str, str]]:
    with closing(psycopg.connect(stand.site.environment["DATABASE_URL"])) as other:
        other.execute("LOCK TABLE job_logs IN ACCESS EXCLUSIVE MODE")
        yield {}
        other.rollback()


@contextmanager
def read_only(stand: Stand) -> Iterator[dict[str, str]]:
    outside = stand.site.environment["DATABASE_URL"].replace("/notifier", "/postgres")
    with closing(psycopg.connect(outside, autocommit=True)) as other:
        other.execute("ALTER DATABASE notifier SET default_transaction_read_only = on")
        yield {}
        other.execute("ALTER DATABASE notifier RESET default_transaction_read_only")


@contextmanager
def hung_database(stand: Stand) -> Iterator[dict[str, str]]:
    with Postgres() as server:
        assert server.process
        os.kill(server.process.pid, signal.SIGSTOP)
        yield {"DATABASE_URL": server.url()}
        os.kill(server.process.pid, signal.SIGCONT)


def copied(stand: Stand, server: Postgres) -> str:
    """The URL of a migrated database on another server, with the heartbeat of a cluster."""
    server.execute("CREATE DATABASE notifier")
    url = server.url("notifier")
    stand.site.environment["DATABASE_URL"], before = url, stand.site.environment["DATABASE_URL"]
    stand.site.manage("migrate")
    stand.sql(ALIVE)
    stand.site.environment["DATABASE_URL"] = before
    return url


@contextmanager
def standby(stand: Stand) -> Iterator[dict[str, str]]:
    with Postgres(hot_standby="on") as server:
        url = copied(stand, server)
        server.stop()
        (server.data / "standby.signal").touch()
        server.start()
        yield {"DATABASE_URL": url}


@contextmanager
def small_server(stand: Stand) -> Iterator[dict[str, str]]:
    with Postgres(max_connections="14") as server:
        yield {"DATABASE_URL": copied(stand, server)}


@contextmanager
def ascii_database(stand: Stand) -> Iterator[dict[str, str]]:
    url = stand.site.environment["DATABASE_URL"]
    stand.sql("CREATE DATABASE narrow ENCODING 'SQL_ASCII' LC_COLLATE 'C' LC_CTYPE 'C' TEMPLATE template0")
    stand.site.environment["DATABASE_URL"] = url.replace("/notifier", "/narrow")
    stand.site.manage("migrate")
    stand.site.environment["DATABASE_URL"] = url
    yield {"DATABASE_URL": url.replace("/notifier", "/narrow")}
    stand.sql("DROP DATABASE narrow WITH (FORCE)")


@contextmanager
def pooled(stand: Stand) -> Iterator[dict[str, str]]:
    with pgbouncer.running(stand.site.environment["DATABASE_URL"]) as pools:
        for _ in range(4):
            with closing(psycopg.connect(pools["transaction"], autocommit=True)) as client:
                client.execute("LISTEN doctor")
        yield {"DATABASE_URL": pools["transaction"]}


@contextmanager
def wrong_clock(by: str) -> Iterator[dict[str, str]]:
    library = Unpacked("faketime", "faketime", "libfaketime").root
    found = next((library / "usr/lib").glob("*/faketime/libfaketime.so.1"))
    yield {"LD_PRELOAD": str(found), "FAKETIME": by}


@contextmanager
def hiding_volume(stand: Stand) -> Iterator[dict[str, str]]:
    (stand.folder / "volume").mkdir()
    yield {"VAR_DIR": str(stand.folder / "volume")}


def test_a_healthy_site_has_no_fault(stand):
    done = stand.doctor()
    assert done.returncode == 0, done.stdout + done.stderr
    assert {line.split()[0] for line in done.stdout.splitlines()} == {"ok"}


@pytest.mark.parametrize(
    ("check", "verdict", "words", "plant"), [each[1:] for each in PLANTS], ids=[each[0] for each in PLANTS]
)
def test_a_planted_fault_is_named(stand, request, check, verdict, words, plant):
    with plant(stand) as environment:
        done = stand.doctor("--json", **environment)
    assert "Traceback" not in done.stdout + done.stderr
    assert done.stdout, done.stderr
    found = {each["check"]: each for each in json.loads(done.stdout) if each["verdict"] in CODES}
    assert check in found, found
    said = f"{found[check]['message']} -> {found[check]['do']}"
    assert found[check]["verdict"] == verdict
    assert all(word in said for word in words), said
    assert found[check]["do"]
    assert "\n" not in said
    assert set(found) <= {check} | FOLLOW.get(request.node.callspec.id, set()), found
    assert next(iter(found)) == check, "the cause comes before its effects"
    assert done.returncode == max(CODES[each["verdict"]] for each in found.values())
    assert "hush" not in done.stdout


@pytest.mark.parametrize(
    ("name", "value", "words"),
    [
        ("GEOIP_PATH", "/nowhere.mmdb", "is not a file"),
        ("SECRET_KEY", "", "is empty"),
        ("EMAIL_PORT", "x", "EMAIL_PORT"),
    ],
)
def test_a_setting_that_cannot_be_used_is_named_before_anything_else(stand, name, value, words):
    done = stand.doctor(**{name: value})
    assert done.returncode == 1
    assert name in done.stderr
    assert words in done.stderr
    assert "Traceback" not in done.stderr
