"""Headers, encoding and size of the mail as a mail server receives it, and the transports by settings alone."""

import re
from email import message_from_bytes
from email.header import decode_header, make_header

import pytest
from django.core import mail as outbox

from accounts import emails
from accounts.addresses import deliverable
from accounts.messages import Mail, as_bytes, as_message, message_id
from accounts.rendering import preview
from jobs.errors import Permanent
from tests.mail import PAYLOAD, delivering_to, send
from tests.smtp_server import SmtpServer

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
    send()
    (mail,) = server.mails
    subject, text, html = preview(PAYLOAD, "mn")
    assert mail.message.get_content_type() == "multipart/alternative"
    parts = list(mail.message.walk())[1:]
    assert [part.get_content_type() for part in parts] == ["text/plain", "text/html"]
    assert {part["Content-Transfer-Encoding"] for part in parts} == {"base64"}
    assert {part.get_content_charset() for part in parts} == {"utf-8"}
    assert [mail.part("plain"), mail.part("html")] == [text, html]
    assert str(make_header(decode_header(mail.message["Subject"]))) == subject


@pytest.mark.parametrize("locale", ["mn", "en"])
@pytest.mark.parametrize("new_device", [False, True])
def test_the_mail_is_ascii_of_short_lines_and_under_30_kb(server, locale, new_device):
    send(locale=locale, newDevice=new_device, moreSignIns=9, provider="github")
    raw = server.mails[0].raw
    assert raw.isascii()
    assert max(map(len, raw.split(b"\r\n"))) <= 78
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
    emails.send(Mail("x", deliverable("bat@пример.mn"), "mn", "Сайн уу", "Ө Ү", "<p>Ө Ү</p>"))
    (mail,) = server.mails
    assert mail.rcpt[0].isascii()
    assert mail.raw.isascii()
    assert mail.part("plain") == "Ө Ү"


def test_a_subject_that_would_be_two_headers_is_refused_for_good(server):
    with pytest.raises(Permanent):
        emails.send(Mail("x", "bat@example.mn", "mn", "Hello\nBcc: all@example.mn", "x", "x"))
    assert server.mails == []


@pytest.mark.parametrize("subject", ["New sign-in", "🔐 Таны бүртгэлд нэвтэрсэн байна - " + "Шар хуудас " * 12])
def test_the_mail_made_from_a_skeleton_is_the_one_that_django_makes(subject):
    """All but the date; the boundary is another in each skeleton."""
    mail = Mail("signin-1:2", "bat@example.mn", "mn", subject, "Сайн уу\n.\n" * 90, "<p>Сайн уу</p>\n" * 90)
    ready, built = message_from_bytes(as_bytes(mail)), as_message(mail).message()
    headers = [name for name in built if name not in ("Date", "Content-Type")]
    assert [" ".join(str(ready[name]).split()) for name in headers] == [
        " ".join(str(built[name]).split()) for name in headers
    ]
    assert sorted(ready.keys()) == sorted(built.keys())
    for mine, djangos in zip(ready.walk(), built.walk(), strict=True):
        assert mine.get_content_type() == djangos.get_content_type()
        assert mine.get_payload(decode=True) == djangos.get_payload(decode=True)


def test_the_backend_of_the_settings_gets_the_mail(settings):
    settings.EMAIL_BACKEND = "django.core.mail.backends.locmem.EmailBackend"
    send()
    (message,) = outbox.outbox
    assert message.subject == "🔐 Таны бүртгэлд нэвтэрсэн байна - Yellow Books"
    assert message.to == ["bat@example.mn"]


def test_the_console_backend_prints_the_mail(settings, capsys):
    settings.EMAIL_BACKEND = "django.core.mail.backends.console.EmailBackend"
    send("signin-9")
    assert "Message-ID: <signin-9@testserver>" in capsys.readouterr().out


def test_the_file_backend_writes_every_mail(settings, tmp_path):
    settings.EMAIL_BACKEND = "django.core.mail.backends.filebased.EmailBackend"
    settings.EMAIL_FILE_PATH = str(tmp_path)
    send("signin-1")
    send("signin-2")
    written = "".join(file.read_text() for file in tmp_path.iterdir())
    assert sorted(re.findall("Message-ID: <(.*)@", written)) == ["signin-1", "signin-2"]
