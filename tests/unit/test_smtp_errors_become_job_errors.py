"""What a real mail server answers, or does not, and the error class that the queue gets."""

import ssl
from pathlib import Path

import pytest

from accounts.mail import smtp
from jobs.core.errors import Configuration, Permanent, Temporary, Throttled, Unreachable, describe
from tests.support.mail import delivering_to, send, set_mailer
from tests.support.ports import free_port
from tests.support.smtp_server import SmtpServer

CERTIFICATE = Path(__file__).parents[1] / "data" / "untrusted_certificate.pem"


@pytest.fixture(params=[False, True], ids=["", "pipelining"])
def server(settings, request):
    with delivering_to(SmtpServer(pipelining=request.param), settings) as running:
        yield running


def failure_of(action=send):
    with pytest.raises(Exception) as raised:
        action()
    return raised.value


@pytest.mark.parametrize(
    ("at", "answer", "error", "code"),
    [
        ("RCPT", "450 4.2.1 mailbox busy", Temporary, 450),
        ("RCPT", "451 4.3.0 try later", Temporary, 451),
        ("DATA", "452 4.3.1 no space", Temporary, 452),
        ("MAIL", "454 4.7.0 temporary authentication failure", Temporary, 454),
        ("RCPT", "421 4.3.2 closing", Throttled, 421),
        ("MAIL", "421 too many connections", Throttled, 421),
        ("CONNECT", "421 4.7.0 try again later", Throttled, 421),
        ("DATA", "421 4.7.28 unusual rate", Throttled, 421),
        ("RCPT", "450 4.7.1 greylisted", Throttled, 450),
        ("DATA", "454 Throttling failure: Maximum sending rate exceeded", Throttled, 454),
        ("RCPT", "451 rate limit exceeded", Throttled, 451),
        ("RCPT", "429 too many", Throttled, 429),
        ("RCPT", "550 5.1.1 no such user", Permanent, 550),
        ("RCPT", "553 5.1.3 bad address", Permanent, 553),
        ("DATA", "554 5.6.0 content refused", Permanent, 554),
        ("MAIL", "552 5.3.4 too big", Permanent, 552),
        ("MAIL", "550 5.1.8 sender unknown", Configuration, 550),
        ("MAIL", "530 5.7.0 Must issue a STARTTLS command first", Configuration, 530),
        ("RCPT", "530 5.7.0 Authentication required", Configuration, 530),
        ("DATA", "535 5.7.8 credentials expired", Configuration, 535),
        ("RCPT", "538 5.7.11 encryption required", Configuration, 538),
        ("RCPT", "534 5.7.9 mechanism too weak", Configuration, 534),
        ("CONNECT", "554 5.7.1 you are on a block list", Configuration, 554),
    ],
)
def test_a_reply_has_its_class_its_code_and_its_words(server, at, answer, error, code):
    server.behave(at=at, answer=answer)
    raised = failure_of()
    assert type(raised) is error
    assert raised.code == code
    assert answer in str(raised)
    assert server.mails == []


@pytest.mark.parametrize(
    ("answer", "seconds"),
    [
        ("421 4.7.0 try again in 30 seconds", 30),
        ("450 4.7.1 greylisted for 300s", 300),
        ("421 wait 5 minutes", 300),
        ("421 4.7.0 try again later", None),
    ],
)
def test_a_throttling_server_that_names_a_time_is_believed(server, answer, seconds):
    server.behave(answer=answer)
    assert failure_of().retry_after == seconds


def test_the_fingerprint_names_the_command_and_the_code(server):
    server.behave(answer="550 5.1.1 no such user")
    assert describe(failure_of()).fingerprint == "SMTPRecipientsRefused 550"
    server.behave(at="DATA", answer="450 later")
    assert describe(failure_of()).fingerprint == "SMTPDataError 450"


def test_a_long_answer_of_several_lines_is_cut_to_one_short_line(server):
    server.behave(answer="550-" + "x" * 400 + "\r\n550-second\r\n550 " + "y" * 400)
    message = str(failure_of())
    assert "\n" not in message
    assert len(message) < 600


def test_a_port_without_a_server_is_unreachable(settings):
    with delivering_to(SmtpServer(free_port()), settings) as server:
        server.stop()
        raised = failure_of()
    assert type(raised) is Unreachable
    assert raised.code is None
    assert "refused" in str(raised)


def test_a_host_without_an_address_is_unreachable(settings):
    with delivering_to(SmtpServer(), settings):
        set_mailer(settings, host="no-such-host.invalid")
        assert type(failure_of()) is Unreachable


@pytest.mark.parametrize("at", ["CONNECT", "EHLO", "MAIL", "RCPT", "DATA"])
def test_a_server_that_closes_without_a_word_is_unreachable(server, at):
    server.behave(at=at, die=True)
    assert type(failure_of()) is Unreachable


@pytest.mark.parametrize(
    ("at", "error"),
    [("CONNECT", Unreachable), ("EHLO", Unreachable), ("MAIL", Temporary), ("RCPT", Temporary), ("DATA", Temporary)],
)
def test_a_server_that_hangs_is_unreachable_when_called_and_temporary_in_the_dialogue(server, settings, at, error):
    set_mailer(settings, timeout=0.3)
    server.behave(at=at, hang=True)
    assert type(failure_of()) is error


def test_a_slow_server_gets_its_mail(server):
    server.behave(at="ANY", delay=0.05)
    send()
    assert len(server.mails) == 1


def test_a_wrong_password_is_configuration_until_it_is_right(server, settings):
    set_mailer(settings, username="site", password="wrong")
    server.behave(at="", login="site:right")
    for action in (send, smtp.probe_server):
        raised = failure_of(action)
        assert (type(raised), raised.code) == (Configuration, 535)
        assert "wrong" not in str(raised)
    set_mailer(settings, password="right")
    smtp.probe_server()
    send()
    assert len(server.mails) == 1


def test_a_missing_login_is_configuration(server):
    server.behave(at="", login="site:right")
    assert [(type(e), e.code) for e in (failure_of(send), failure_of(smtp.probe_server))] == [(Configuration, 530)] * 2


def test_tls_that_the_server_does_not_speak_is_configuration(server, settings):
    set_mailer(settings, use_tls=True)
    assert type(failure_of()) is Configuration
    set_mailer(settings, use_tls=False, use_ssl=True)
    assert type(failure_of()) is Configuration


def test_a_login_that_the_server_does_not_offer_is_configuration(settings):
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(CERTIFICATE)
    server = SmtpServer(tls=context)
    server.SMTP_kwargs["auth_require_tls"] = True
    set_mailer(settings, username="x", password="x")
    with delivering_to(server, settings):
        assert type(failure_of()) is Configuration


def test_an_untrusted_certificate_is_configuration(settings):
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(CERTIFICATE)
    set_mailer(settings, use_tls=True)
    with delivering_to(SmtpServer(tls=context), settings):
        raised = failure_of()
    assert type(raised) is Configuration
    assert "certificate" in str(raised).lower()


def test_tls_with_a_trusted_certificate_works(settings, monkeypatch):
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(CERTIFICATE)
    monkeypatch.setenv("SSL_CERT_FILE", str(CERTIFICATE))
    set_mailer(settings, use_tls=True)
    with delivering_to(SmtpServer(tls=context), settings) as server:
        send()
        send()
        assert (len(server.mails), server.connections) == (2, 1)


def test_a_certificate_of_a_private_authority_is_trusted_by_its_file(settings):
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(CERTIFICATE)
    settings.EMAIL_CA_FILE = str(CERTIFICATE)
    set_mailer(settings, use_tls=True)
    with delivering_to(SmtpServer(tls=context), settings) as server:
        smtp.probe_server()
        send()
        assert len(server.mails) == 1


class ServiceError(Exception):
    """As django-anymail raises it: the HTTP status next to the words."""

    def __init__(self, status_code, retry_after=None):
        super().__init__(f"service said {status_code}")
        self.status_code = status_code
        self.response = type("Response", (), {"headers": {"Retry-After": retry_after} if retry_after else {}})


class ServiceBackend:
    """A mail backend that speaks no SMTP and fails as `answer` says."""

    answer = None

    def __init__(self, alias=None):
        pass

    def send_messages(self, messages):
        if self.answer is None:
            return 0
        raise self.answer


@pytest.mark.parametrize(
    ("status", "error"),
    [
        (429, Throttled),
        (401, Configuration),
        (403, Configuration),
        (422, Permanent),
        (500, Temporary),
        (408, Temporary),
    ],
)
def test_a_mail_service_over_http_is_judged_by_its_status(settings, monkeypatch, status, error):
    set_mailer(settings, f"{__name__}.ServiceBackend")
    monkeypatch.setattr(ServiceBackend, "answer", ServiceError(status, retry_after="17"))
    raised = failure_of()
    assert (type(raised), raised.code) == (error, status)
    assert raised.retry_after == (17 if status == 429 else None)


def test_any_other_fault_of_a_backend_stays_itself_and_is_tried_again(settings, monkeypatch):
    set_mailer(settings, f"{__name__}.ServiceBackend")
    monkeypatch.setattr(ServiceBackend, "answer", KeyError("x"))
    assert describe(failure_of()).error_class == "temporary"
    monkeypatch.setattr(ServiceBackend, "answer", None)
    assert type(failure_of()) is Temporary


@pytest.mark.parametrize(
    ("behaviour", "error"),
    [
        ({"at": "MAIL", "answer": "450 later"}, Temporary),
        ({"at": "MAIL", "answer": "421 later"}, Throttled),
        ({"at": "MAIL", "answer": "550 no"}, Configuration),
        ({"at": "CONNECT", "die": True}, Unreachable),
    ],
)
def test_the_probe_raises_what_a_mail_would(server, behaviour, error):
    server.behave(**behaviour)
    assert type(failure_of(smtp.probe_server)) is error
    server.behave()
    smtp.probe_server()
    assert server.mails == []


def test_the_probe_asks_no_other_backend(server, settings):
    server.behave(at="CONNECT", die=True)  # fails a probe that connects
    set_mailer(settings, f"{__name__}.ServiceBackend")
    assert smtp.probe_server() is None
