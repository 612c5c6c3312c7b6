"""Headers, encoding and size of the mail as a mail server receives it, and the transports by settings alone."""

import re
from base64 import b64decode
from email import message_from_bytes, policy
from email.header import decode_header, make_header

import pytest
from django.core import mail as outbox
from django.core.mail import EmailMultiAlternatives

from accounts.mail import smtp
from accounts.mail.addresses import deliverable
from accounts.mail.mime import Mail, as_bytes, as_message, encode_header, message_id
from accounts.mail.providers.configured import configured, connect
from accounts.mail.rendering import render_payload
from jobs.core.errors import Permanent
from tests.support.mail import PAYLOAD, delivering_to, send, set_mailer
from tests.support.smtp_server import SmtpServer

ATEXT = r"[A-Za-z0-9!#$%&'*+/=?^_`{|}~-]+"
DOT_ATOM = rf"{ATEXT}(\.{ATEXT})*"


@pytest.fixture
def server(settings):
    with delivering_to(SmtpServer(), settings) as running:
        yield running


def test_the_headers_are_those_that_email_md_names(server):
    send("signin-42", locale="mn")
    (mail,) = server.mails
    headers = mail.message
    assert mail.sender == "no-reply@example.mn"
    assert mail.message_id == "<signin-42@testserver>"
    assert {
        name: headers[name] for name in ("From", "To", "Reply-To", "Auto-Submitted", "X-Auto-Response-Suppress")
    } == {
        "From": "Yellow Books <no-reply@example.mn>",
        "To": "bat@example.mn",
        "Reply-To": "help@example.mn",
        "Auto-Submitted": "auto-generated",
        "X-Auto-Response-Suppress": "All",
    }
    assert headers["Content-Language"] == "mn"
    assert headers["X-Entity-Ref-ID"] == "signin-42@testserver"
    assert headers["Date"]


def test_the_parts_are_text_first_in_base64_and_utf_8(server):
    before = render_payload(PAYLOAD, "mn")
    send()
    after = render_payload(PAYLOAD, "mn")  # its links have the second in which they were made
    (mail,) = server.mails
    assert mail.message.get_content_type() == "multipart/alternative"
    parts = list(mail.message.walk())[1:]
    assert [part.get_content_type() for part in parts] == ["text/plain", "text/html"]
    assert {part["Content-Transfer-Encoding"] for part in parts} == {"base64"}
    assert {part.get_content_charset() for part in parts} == {"utf-8"}
    subject = str(make_header(decode_header(mail.message["Subject"])))
    assert (subject, mail.part("plain"), mail.part("html")) in (before, after)


@pytest.mark.parametrize("locale", ["mn", "en"])
@pytest.mark.parametrize("new_device", [False, True])
def test_the_mail_is_ascii_of_short_lines_and_under_30_kb(server, locale, new_device):
    send(locale=locale, newDevice=new_device, moreSignIns=9, provider="github")
    raw = server.mails[0].raw
    assert raw.isascii()
    lines = [line for line in raw.split(b"\r\n") if not line.startswith(b"List-Unsubscribe: ")]  # a URL is not folded
    assert max(map(len, lines)) <= 78
    assert len(raw) < 30_000


def test_every_try_of_a_job_carries_the_same_message_id_and_other_jobs_others(server):
    for job_id in ("a:b", "a:b", "a.b", "a..b", "a-b", "a_b"):
        send(job_id)
    ids = [mail.message_id for mail in server.mails]
    assert ids[0] == ids[1]
    assert len(set(ids)) == 5


@pytest.mark.parametrize(
    "job_id", ["signin-1", "a:b:c", ".a", "a.", "a..b", "...", "." * 128, ":" * 128, "A.b_c-9" * 18]
)
def test_any_job_id_becomes_a_dot_atom_on_one_line(server, job_id):
    send(job_id)
    (mail,) = server.mails
    assert re.fullmatch(rf"<{DOT_ATOM}@testserver>", mail.message_id)
    assert f"\r\nMessage-ID: {mail.message_id}\r\n".encode() in mail.raw


@pytest.mark.parametrize(
    ("site", "domain"),
    [
        ("https://example.mn", "example.mn"),
        ("http://localhost:8000", "localhost"),
        ("https://шархуудас.мон", "шархуудас.мон".encode("idna").decode()),
        ("http://[::1]:8000", "[::1]"),
    ],
)
def test_the_domain_of_the_message_id_is_the_sites(settings, site, domain):
    settings.SITE_URL = site
    assert message_id("a") == f"<a@{domain}>"


def test_any_other_mail_of_the_site_travels_in_the_same_way(server):
    smtp.send_mail(Mail("x", deliverable("bat@пример.mn"), "mn", "Сайн уу", "Ө Ү", "<p>Ө Ү</p>"))
    (mail,) = server.mails
    assert mail.rcpt[0].isascii()
    assert mail.raw.isascii()
    assert mail.part("plain") == "Ө Ү"


@pytest.mark.parametrize(
    ("address", "travels"),
    [
        ("a@faß.de", "a@xn--fa-hia.de"),
        ("a@σίγμας.gr", "a@xn--kxaef0b5ab.gr"),
        ("a@क्\u200dष.com", "a@xn--11b2ezcw70k.com"),
        ("a@ПРИМЕР.mn", "a@xn--e1afmkfd.mn"),
        ("a@ｅxample.mn", "a@example.mn"),
        ("a@example。mn", "a@example.mn"),
        ("a@xn--fa-hia.de", "a@xn--fa-hia.de"),
        ("a@Example.MN", "a@Example.MN"),
    ],
)
def test_a_domain_of_other_letters_is_the_one_that_registries_know(address, travels):
    """IDNA 2003 would send the email for faß.de to fass.de: another owner's domain."""
    assert deliverable(address) == travels


@pytest.mark.parametrize("domain", ["☃.net", "a\u200db.mn", "ө" * 64 + ".mn", "ө..mn", "-ө.mn", "\u00ad.mn", "٠a.mn"])
def test_a_domain_that_no_registry_has_is_refused(domain):
    with pytest.raises(Permanent, match="not a valid domain"):
        deliverable(f"a@{domain}")


def test_a_subject_that_would_be_two_headers_is_refused_for_good(server):
    with pytest.raises(Permanent):
        smtp.send_mail(Mail("x", "bat@example.mn", "mn", "Hello\nBcc: all@example.mn", "x", "x"))
    assert server.mails == []


@pytest.mark.parametrize("subject", ["New sign-in", "🔐 Таны бүртгэлд нэвтэрсэн байна - " + "Шар хуудас " * 12])
def test_the_mail_made_from_a_skeleton_says_what_djangos_would(subject):
    """All but the date; the boundary and the cut of the encoded words are our own."""
    mail = Mail("signin-1:2", "bat@example.mn", "mn", subject, "Сайн уу\n.\n" * 90, "<p>Сайн уу</p>\n" * 90)
    ready, built = message_from_bytes(as_bytes(mail)), EmailMultiAlternatives.message(as_message(mail))
    headers = [name for name in built if name not in ("Date", "Content-Type")]
    assert [decoded(ready[name]) for name in headers] == [decoded(built[name]) for name in headers]
    assert sorted(ready.keys()) == sorted(built.keys())
    for mine, djangos in zip(ready.walk(), built.walk(), strict=True):
        assert mine.get_content_type() == djangos.get_content_type()
        assert mine.get_payload(decode=True) == djangos.get_payload(decode=True)


def decoded(value):
    return " ".join(str(make_header(decode_header(str(value)))).split())


SUBJECTS = [
    "🔐 Таны бүртгэлд нэвтэрсэн байна - Шар хуудас " + "Шар хуудас " * 8 + "!",
    "🔐" * 40,
    "a" + "中" * 60,
    "é a" * 40,
    "x" * 80,
    "=?utf-8?q?spoofed?=",
    " leading and trailing ",
    "hello " * 30 + "end",
    "Ө",
]


@pytest.mark.parametrize("subject", SUBJECTS)
@pytest.mark.parametrize("name", ["Subject", "X-A-Longer-Name-Of-A-Header"])
def test_a_header_reads_the_same_everywhere(name, subject):
    """GMime drops what follows a base64 word that ends in "=", other readers what follows an empty first line."""
    header = encode_header(name, subject)
    lines = header.split("\r\n")
    assert header.isascii()
    assert max(map(len, lines)) <= 78
    assert lines[0].strip() != f"{name}:"
    words = re.findall(r"=\?utf-8\?b\?(.*?)\?=", header)
    assert all(len(b64decode(word)) % 3 == 0 for word in words[:-1])
    assert all(b64decode(word).decode() for word in words), "cut between characters"
    raw = f"{header}\r\n\r\n".encode()
    assert message_from_bytes(raw, policy=policy.default)[name] == subject
    assert str(make_header(decode_header(message_from_bytes(raw)[name].replace("\r\n", "")))) == subject


def test_a_sender_with_a_long_name_keeps_its_address_in_a_line_of_its_own(settings):
    settings.DEFAULT_FROM_EMAIL = "Шар хуудасны мэдэгдэл <no-reply@a-rather-long.example.mn>"
    headers = message_from_bytes(as_bytes(Mail("x", "a@example.mn", "mn", "x", "x", "x")), policy=policy.default)
    (sender,) = headers["From"].addresses
    assert (sender.display_name, sender.addr_spec) == (
        "Шар хуудасны мэдэгдэл",
        "no-reply@a-rather-long.example.mn",
    )
    settings.DEFAULT_FROM_EMAIL = '"Yellow, Books" <no-reply@example.mn>'
    headers = message_from_bytes(as_bytes(Mail("x", "a@example.mn", "mn", "x", "x", "x")), policy=policy.default)
    assert headers["From"].addresses[0].display_name == "Yellow, Books"


def test_complaints_are_grouped_by_kind_and_site(settings):
    settings.SITE_URL = "https://example.mn"
    mail = Mail("x", "a@example.mn", "mn", "x", "x", "x", kind="password-reset")
    assert message_from_bytes(as_bytes(mail))["Feedback-ID"] == "password-reset:example.mn:notifier"
    settings.SITE_URL = "http://[::1]:8000"
    assert message_from_bytes(as_bytes(mail))["Feedback-ID"].count(":") == 2


def test_the_backend_of_the_settings_gets_the_mail(settings):
    set_mailer(settings, "django.core.mail.backends.locmem.EmailBackend")
    send()
    (message,) = outbox.outbox
    assert message.subject == "🔐 Таны бүртгэлд нэвтэрсэн байна - Шар хуудас"
    assert message.to == ["bat@example.mn"]


def test_the_console_backend_prints_the_mail(settings, capsys):
    set_mailer(settings, "django.core.mail.backends.console.EmailBackend")
    send("signin-9")
    assert "Message-ID: <signin-9@testserver>" in capsys.readouterr().out


def test_the_file_backend_writes_every_mail(settings, tmp_path):
    set_mailer(settings, "django.core.mail.backends.filebased.EmailBackend", file_path=str(tmp_path))
    send("signin-1")
    send("signin-2")
    written = "".join(file.read_text() for file in tmp_path.iterdir())
    assert sorted(re.findall("Message-ID: <(.*)@", written)) == ["signin-1", "signin-2"]


def test_djangos_own_smtp_backend_sends_the_same_email(server):
    mail = Mail("signin-7", "bat@example.mn", "mn", "Нэвтрэлт", "текст", "<p>текст</p>")
    connect(configured()[0]).send_messages([as_message(mail)])
    [received] = server.mails
    lines, ours = received.raw.split(b"\r\n"), as_bytes(mail).split(b"\r\n")
    assert [line for line in lines if not line.startswith(b"Date: ")] == [
        line for line in ours if not line.startswith(b"Date: ")
    ]
