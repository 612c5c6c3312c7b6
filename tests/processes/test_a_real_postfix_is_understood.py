"""A real Postfix under twenty conditions, each with the verdict that an expert would give."""

import smtplib
import tempfile
from pathlib import Path

import pytest

from accounts.mail import smtp
from jobs.core.errors import Configuration, Permanent, Temporary, Throttled
from tests.support import postfix
from tests.support.conditions import choosing, error_of
from tests.support.mail import send, set_mailer
from tests.support.site import ROOT

CERTIFICATE = ROOT / "tests/data/untrusted_certificate.pem"
TLS = {"smtpd_tls_cert_file": str(CERTIFICATE), "smtpd_tls_key_file": str(CERTIFICATE)}
CONDITIONS = {
    "healthy": {},
    "relay-later": {"smtpd_relay_restrictions": "defer_unauth_destination"},
    "sender": {"smtpd_sender_restrictions": "check_sender_access static:REJECT"},
    "helo": {"smtpd_helo_required": "yes", "smtpd_helo_restrictions": "reject_non_fqdn_helo_hostname"},
    "helo-name": {"smtpd_helo_required": "yes", "smtpd_helo_restrictions": "check_helo_access static:REJECT"},
    "helo-early": {
        "smtpd_delay_reject": "no",
        "smtpd_helo_required": "yes",
        "smtpd_helo_restrictions": "reject_non_fqdn_helo_hostname",
    },
    "client": {"smtpd_client_restrictions": "check_client_access static:REJECT"},
    "client-early": {
        "smtpd_delay_reject": "no",
        "smtpd_client_restrictions": "check_client_access static:REJECT",
    },
    "no-name": {"smtpd_client_restrictions": "check_client_access static:{450 4.7.25 cannot find your hostname}"},
    "tls-needed": {**TLS, "smtpd_tls_security_level": "encrypt"},
    "private-ca": {**TLS, "smtpd_tls_security_level": "may"},
    "message-rate": {"smtpd_client_message_rate_limit": "1"},
    "recipient-rate": {"smtpd_client_recipient_rate_limit": "1"},
    "connection-count": {"smtpd_client_connection_count_limit": "1"},
    "connection-rate": {"smtpd_client_connection_rate_limit": "1"},
    "greylist": {
        "smtpd_recipient_restrictions": "check_recipient_access static:{DEFER_IF_PERMIT Greylisted, wait 300 seconds}"
    },
    "size": {"message_size_limit": "2000"},
    "disk-full": {"queue_minfree": "9000000000000000"},
    "for-now": {"soft_bounce": "yes"},
    "content": {"cleanup_service_name": "strict"},
    "tarpit": {"smtpd_client_restrictions": "sleep 30"},
}


@pytest.fixture(scope="module")
def ports():
    with tempfile.TemporaryDirectory(prefix="pf") as home, postfix.running(Path(home), CONDITIONS) as ports:
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
    [
        ("sender", 554),
        ("helo-name", 554),
        ("client", 554),
        ("client-early", 554),
        ("no-name", 450),
        ("tls-needed", 530),
    ],
)
def test_a_refusal_of_us_is_a_fault_of_the_configuration_and_the_probe_meets_it(at, condition, code):
    at(condition)
    for action in (send, smtp.probe_server):
        raised = error_of(action)
        assert (type(raised), raised.code) == (Configuration, code), raised


@pytest.mark.parametrize(("condition", "code"), [("healthy", 554), ("relay-later", 454)])
def test_a_server_that_does_not_relay_for_us_is_a_fault_of_the_configuration(at, settings, condition, code):
    at(condition)
    settings.SUPPORT_EMAIL = "help@elsewhere.test"
    for raised in (error_of(email="bat@elsewhere.test"), error_of(smtp.probe_server)):
        assert (type(raised), raised.code) == (Configuration, code), raised


@pytest.mark.parametrize(("condition", "error", "code"), [("healthy", Permanent, 550), ("for-now", Temporary, 450)])
def test_a_recipient_that_does_not_exist_is_about_the_recipient(at, settings, condition, error, code):
    at(condition)
    settings.SUPPORT_EMAIL = "help@local.test"
    for number in range(4):
        raised = error_of(email=f"user{number}@local.test")
        assert (type(raised), raised.code) == (error, code), raised
    smtp.probe_server()


@pytest.mark.parametrize("condition", ["helo", "helo-early"])
def test_a_helo_that_is_not_a_full_name_is_refused_and_another_is_taken(at, settings, condition):
    at(condition)
    settings.EMAIL_EHLO_NAME = "localhost"
    assert [(type(e), e.code) for e in (error_of(), error_of(smtp.probe_server))] == [(Configuration, 504)] * 2
    settings.EMAIL_EHLO_NAME = "site.example.mn"
    smtp.close_connection()
    send()


def test_a_private_authority_is_named_and_can_be_trusted(at, settings):
    at("private-ca")
    set_mailer(settings, use_tls=True)
    raised = error_of()
    assert type(raised) is Configuration
    assert "CERTIFICATE_VERIFY_FAILED" in str(raised)
    settings.EMAIL_CA_FILE = str(CERTIFICATE)
    send()


@pytest.mark.parametrize("condition", ["message-rate", "recipient-rate"])
def test_too_fast_is_throttling(at, condition):
    at(condition)
    send("signin-1")
    assert type(error_of()) is Throttled


@pytest.mark.parametrize("condition", ["connection-count", "connection-rate"])
def test_too_many_connections_are_throttling(at, ports, condition):
    at(condition)
    with smtplib.SMTP("127.0.0.1", ports[condition], timeout=10):
        raised = error_of()
    assert (type(raised), raised.code) == (Throttled, 421)


def test_a_greylist_says_how_long_to_wait(at):
    at("greylist")
    raised = error_of()
    assert (type(raised), raised.retry_after) == (Throttled, 300)
    smtp.probe_server()


@pytest.mark.parametrize(
    ("condition", "error", "code", "outage"),
    [
        ("size", Permanent, 552, False),
        ("disk-full", Temporary, 452, True),
        ("content", Permanent, 550, False),
    ],
)
def test_other_refusals_are_about_the_email_the_recipient_or_the_server(at, condition, error, code, outage):
    at(condition)
    raised = error_of()
    assert (type(raised), raised.code, raised.outage) == (error, code, outage), raised


def test_a_tarpit_is_a_timeout(at, settings):
    at("tarpit")
    set_mailer(settings, timeout=1)
    assert type(error_of()) is Temporary
