"""A real Exim under twenty conditions, each with the verdict that an expert would give."""

import smtplib
import tempfile
from pathlib import Path

import pytest

from accounts.mail import smtp
from jobs.core.errors import Configuration, Permanent, Temporary, Throttled
from tests.support import exim
from tests.support.conditions import choosing, error_of
from tests.support.machine import eventually
from tests.support.mail import send, set_mailer
from tests.support.site import ROOT

CERTIFICATE = ROOT / "tests/data/untrusted_certificate.pem"
TLS = f"tls_advertise_hosts = *\ntls_certificate = {CERTIFICATE}\n"
PLAIN = """plain:
  driver = plaintext
  public_name = PLAIN
  server_prompts = :
  server_condition = ${if eq{$auth3}{right}}
  server_set_id = $auth2
"""
CONDITIONS = {
    "healthy": {},
    "relay": {"rcpt": "  require message = relay not permitted\n    domains = +local_domains\n"},
    "login-needed": {
        "authenticators": PLAIN,
        "rcpt": "  deny message = Authentication required\n    !authenticated = *\n",
    },
    "login": {"authenticators": PLAIN},
    "sender": {"mail": "  require verify = sender\n"},
    "helo-name": {
        "helo": "  deny message = HELO name must be fully qualified\n"
        "    condition = ${if !match{$sender_helo_name}{[.]}}\n"
    },
    "helo-syntax": {},
    "client": {"main": "host_reject_connection = *"},
    "blocklist": {
        "rcpt": "  deny message = rejected because $sender_host_address is in a black list at zen.spamhaus.org\n"
    },
    "tls-needed": {"main": TLS, "mail": "  require message = Encryption required\n    encrypted = *\n"},
    "private-ca": {"main": TLS},
    "message-rate": {
        "mail": "  defer message = Sender rate overlimit - $sender_rate / $sender_rate_period\n"
        "    ratelimit = 1.5 / 1h / strict\n"
    },
    "host-count": {"main": "smtp_accept_max_per_host = 1"},
    "connection-count": {"main": "smtp_accept_max = 1"},
    "message-count": {"main": "smtp_accept_max_per_connection = 1"},
    "greylist": {"rcpt": "  defer message = Greylisted, please try again in 300 seconds\n"},
    "size": {"main": "message_size_limit = 2K"},
    "disk-full": {"main": "check_spool_space = 900000000G"},
    "lookup": {"rcpt": "  accept condition = ${lookup{x}lsearch{/nonexistent/file}}\n"},
    "recipient": {"rcpt": "  require verify = recipient\n"},
    "content": {"data": "  deny message = This message contains a virus\n"},
    "tarpit": {"connect": "  accept delay = 30s\n"},
}


@pytest.fixture(scope="module")
def ports():
    with tempfile.TemporaryDirectory(prefix="exim") as home, exim.running(Path(home), CONDITIONS) as ports:
        yield ports


@pytest.fixture
def at(ports, settings, monkeypatch):
    yield from choosing(ports, settings, monkeypatch)


def test_a_healthy_server_takes_every_email(at):
    at("healthy")
    smtp.probe_server()
    assert [send("signin-1"), send("signin-2")] == [None, None]


@pytest.mark.parametrize(
    ("condition", "code"),
    [("relay", 550), ("login-needed", 550), ("sender", 550), ("client", 554), ("blocklist", 550), ("tls-needed", 550)],
)
def test_a_refusal_of_us_is_a_fault_of_the_configuration_and_the_probe_meets_it(at, condition, code):
    at(condition)
    for action in (send, smtp.probe_server):
        raised = error_of(action)
        assert (type(raised), raised.code) == (Configuration, code), raised


@pytest.mark.parametrize(
    ("condition", "name", "code"), [("helo-name", "localhost", 550), ("helo-syntax", "a_b.mn", 501)]
)
def test_a_helo_that_the_server_does_not_like_is_ours_and_another_is_taken(at, settings, condition, name, code):
    at(condition)
    settings.EMAIL_EHLO_NAME = name
    assert [(type(e), e.code) for e in (error_of(), error_of(smtp.probe_server))] == [(Configuration, code)] * 2
    settings.EMAIL_EHLO_NAME = "site.example.mn"
    smtp.close_connection()
    send()


def test_a_wrong_password_is_ours_until_it_is_right(at, settings):
    at("login")
    set_mailer(settings, username="site", password="wrong")
    raised = error_of()
    assert (type(raised), raised.code) == (Configuration, 535), raised
    set_mailer(settings, password="right")
    send()


def test_a_login_that_the_server_does_not_offer_is_ours(at, settings):
    at("healthy")
    set_mailer(settings, username="site", password="site")
    assert type(error_of()) is Configuration


def test_a_private_authority_is_named_and_can_be_trusted(at, settings):
    at("private-ca")
    set_mailer(settings, use_tls=True)
    raised = error_of()
    assert type(raised) is Configuration
    assert "CERTIFICATE_VERIFY_FAILED" in str(raised)
    settings.EMAIL_CA_FILE = str(CERTIFICATE)
    send()


def test_too_fast_is_throttling(at):
    at("message-rate")
    send("signin-1")
    raised = error_of()
    assert (type(raised), raised.code) == (Throttled, 451), raised


def connection(port: int) -> smtplib.SMTP | None:
    """Connect, unless Exim still counts an earlier connection, which has just ended."""
    try:
        return smtplib.SMTP("127.0.0.1", port, timeout=10)
    except smtplib.SMTPConnectError:
        return None


@pytest.mark.parametrize("condition", ["host-count", "connection-count"])
def test_too_many_connections_are_throttling(at, ports, condition):
    at(condition)
    with eventually(lambda: connection(ports[condition])):
        raised = error_of()
    assert (type(raised), raised.code) == (Throttled, 421), raised


def test_too_many_emails_over_one_connection_only_need_another_connection(at):
    at("message-count")
    assert [send(f"signin-{number}") for number in range(3)] == [None] * 3


def test_a_greylist_says_how_long_to_wait(at):
    at("greylist")
    raised = error_of()
    assert (type(raised), raised.retry_after) == (Throttled, 300), raised
    smtp.probe_server()


@pytest.mark.parametrize(
    ("condition", "error", "code", "outage"),
    [
        ("size", Permanent, 552, False),
        ("disk-full", Temporary, 452, True),
        ("lookup", Temporary, 451, True),
        ("content", Permanent, 550, False),
    ],
)
def test_other_refusals_are_about_the_email_or_the_server(at, condition, error, code, outage):
    at(condition)
    raised = error_of()
    assert (type(raised), raised.code, raised.outage) == (error, code, outage), raised


def test_a_recipient_that_does_not_exist_is_about_the_recipient(at, settings):
    at("recipient")
    settings.SUPPORT_EMAIL = "known@local.test"
    for number in range(4):
        raised = error_of(email=f"user{number}@local.test")
        assert (type(raised), raised.code) == (Permanent, 550), raised
    smtp.probe_server()
    send(email="known@local.test")


def test_a_tarpit_is_a_server_that_cannot_be_used(at, settings):
    at("tarpit")
    set_mailer(settings, timeout=1)
    raised = error_of()
    assert raised.error_class == "unreachable", raised
