"""Every email that a user or the support of another site gets, as the mail server gets it: it names that site alone."""

import re
from datetime import timedelta
from email import message_from_bytes, policy
from email.header import decode_header, make_header
from email.utils import parseaddr
from urllib.parse import urlsplit

import pytest
from django.core.exceptions import ValidationError
from django.test import Client
from django.utils import timezone

from accounts.events import outage
from accounts.events.delivery import EventDelivery
from accounts.notices import digest
from accounts.sites.keys import ApiKey
from accounts.sites.site import Site
from jobs.core.job import JobLog
from jobs.worker import entry
from tests.support.api_client import notification, post
from tests.support.events import endpoint_of
from tests.support.mail import delivering_to
from tests.support.smtp_server import SmtpServer

pytestmark = [pytest.mark.django_db(transaction=True), pytest.mark.slow]
USER, SUPPORT = "bat@mailbox.example", "help@shop.example"
SHOP = {
    "name": "Mountain Shop",
    "url": "https://shop.example",
    "secure_url": "https://shop.example/security",
    "support_email": SUPPORT,
    "sender": "Mountain Shop <notices@shop.example>",
    "colour": "#0055aa",
}
OURS = {
    "SITE_NAME": "Ourbooks",
    "SITE_URL": "https://ourhost.example",
    "DEFAULT_FROM_EMAIL": "Ourbooks <post@ourmail.example>",
    "SUPPORT_EMAIL": "desk@oursupport.example",
}
FORBIDDEN = re.compile("our(books|host|mail|support)|yellow|шар хуудас|example\\.mn|testserver", re.IGNORECASE)
KINDS = {"sign-in": 11, "sign-in-digest": 1, "site-dispute": 1, "events-off": 1}  # 1 routine notice and 10 alerts


@pytest.fixture
def mail_server(settings):
    for name, value in OURS.items():
        setattr(settings, name, value)
    settings.SENDER_DOMAINS = ["ourmail.example", "shop.example"]
    with delivering_to(SmtpServer(), settings) as server:
        yield server


def make_site(**fields):
    site = Site.objects.make("shop", who="tests", **{**SHOP, **fields})
    site.token = ApiKey.objects.make("shop", ["enqueue"], who="tests", site=site)
    return site


def run_due():
    """Work on every job that is due."""
    while due := list(JobLog.objects.due().exclude(job_type="event")[:20]):
        entry.run_many([(job.pk, job.attempt_count + 1) for job in due])


def every_email(site, server):
    """Cause each email that exists for another site; return them as the mail server got them."""
    for number in range(13):
        body = notification(deviceId=f"{number}", email=USER, jobId=f"{number}", ipAddress=f"198.51.{number}.7")
        assert post(Client(), body, site.token).status_code == 202
    digest.enqueue_digests()
    run_due()
    last = message_from_bytes(server.mails[-1].raw, policy=policy.default)
    link = re.search(r"https://\S+/not-me/\S+", last.get_body(("plain",)).get_content())[0]
    assert Client().post(urlsplit(link).path, {"answer": "not-me"}).status_code == 302
    endpoint, _secret = endpoint_of("https://receiver.example/events")
    endpoint.failing_since = timezone.now() - timedelta(days=6)
    endpoint.save()
    outage.judge(endpoint, [EventDelivery(endpoint=endpoint, event_id="evt_1", status_code=500, error="refused")])
    run_due()
    return server.mails


def kind_of(mail):
    """The kind of an email, as its headers name it."""
    return message_from_bytes(mail.raw, policy=policy.default)["Feedback-ID"].partition(":")[0]


def texts_of(mail):
    """Return everything that a mailbox can read of an email: envelope, headers as they are and decoded, and bodies."""
    message = message_from_bytes(mail.raw, policy=policy.default)
    yield mail.sender
    yield mail.raw.decode()
    yield from (f"{name}: {value}" for name, value in message.items())
    for kind in ("plain", "html"):
        yield message.get_body((kind,)).get_content()


def without_links(text, host):
    """Return a text without the host of the button's link, of the link that turns notices off, and of Message-ID."""
    text = re.sub(rf"https://{re.escape(host)}/(accounts/(not-me|notices)/|api/docs)[^\s\"<>]*", "", text)
    return re.sub(rf"(Message-ID: <[^@>]+)@{re.escape(host)}>", r"\1", text)


@pytest.mark.parametrize("language", ["en", "mn"])
@pytest.mark.parametrize("link_host", ["", "notices.shop.example"])
def test_it_names_this_site_in_the_host_of_its_link_and_message_id_alone(mail_server, language, link_host):
    mails = every_email(make_site(language=language, link_host=link_host), mail_server)
    found = {kind: [kind_of(mail) for mail in mails].count(kind) for kind in map(kind_of, mails)}
    assert found == KINDS
    for mail in mails:
        allowed = urlsplit(OURS["SITE_URL"]).netloc if not link_host else "no.such.host"
        for text in texts_of(mail):
            assert not FORBIDDEN.search(without_links(text, allowed)), text


@pytest.mark.parametrize("language", ["en", "mn"])
def test_it_has_the_sites_name_sender_support_and_colour(mail_server, language):
    for mail in every_email(make_site(language=language), mail_server):
        message = message_from_bytes(mail.raw, policy=policy.default)
        assert (message["From"], message["Reply-To"]) == (SHOP["sender"], SUPPORT)
        assert mail.sender == "notices@shop.example"
        assert message["To"] == (SUPPORT if kind_of(mail) in ("site-dispute", "events-off") else USER)
        assert message["Content-Language"] == language
        assert "Mountain Shop" in message["Subject"]
        for kind in ("plain", "html"):
            assert "Mountain Shop" in message.get_body((kind,)).get_content()
        assert "#0055aa" in message.get_body(("html",)).get_content()


def test_without_a_sender_of_the_sites_own_only_the_address_is_ours(mail_server):
    for mail in every_email(make_site(sender="", language="mn"), mail_server):
        message = message_from_bytes(mail.raw, policy=policy.default)
        assert message["From"] == "Mountain Shop <post@ourmail.example>"
        for text in texts_of(mail):
            left = without_links(text, urlsplit(OURS["SITE_URL"]).netloc).replace("post@ourmail.example", "")
            assert not FORBIDDEN.search(left), text


def test_the_emails_to_a_sites_support_are_jobs_of_that_site(mail_server):
    every_email(make_site(language="en"), mail_server)
    assert set(JobLog.objects.values_list("source", flat=True)) == {"shop"}


def sent_notice(site, server):
    """Post one sign-in, and return its notice as the mail server got it."""
    assert post(Client(), notification(email=USER, jobId="1"), site.token).status_code == 202
    run_due()
    [mail] = server.mails
    return message_from_bytes(mail.raw, policy=policy.default)


@pytest.mark.parametrize(
    ("field", "value"),
    [
        *(("name", name) for name in ("a\nb", "\u202eabc", "<x>", "x@y.mn", "https://x.mn", "a\ue000name\ue001")),
        *(
            ("url", f"https://{host}")
            for host in ("a" * 64 + ".example", "a..b", ".example", 'a"<x>.example', "*", "-")
        ),
        *(("secure_url", url) for url in ("https://[::1%25eth0]/", "https://%41.example", f"https://{'a.' * 150}b")),
        *(("sender", sender) for sender in ("<a@shop.example>, <b@shop.example>", "Shop\n <a@shop.example>")),
        ("sender", "Шар <a@shop.example>\r\nBcc: x@y.mn"),
        ("sender", '"Bank <b@bank.example>" <a@shop.example>'),
        ("support_email", "a@b.example\nBcc: x@y.mn"),
    ],
)
def test_a_value_that_would_break_or_falsify_an_email_is_refused(mail_server, field, value):
    with pytest.raises(ValidationError):
        make_site(**{field: value})


@pytest.mark.parametrize("name", ['"""', 'a"b\\', "a,b;c", "=?utf-8?b?AAAA?=", "{{7*7}}", "%(site)s", "Б" * 40, "()"])
def test_an_odd_name_is_the_name_of_the_sender_as_it_is_or_shorter(mail_server, name):
    message = sent_notice(make_site(name=name, sender="", language="mn"), mail_server)
    raw = message_from_bytes(mail_server.mails[0].raw, policy=policy.compat32)["From"]
    shown, address = parseaddr(raw)
    assert address == message["From"].addresses[0].addr_spec == "post@ourmail.example"
    assert str(make_header(decode_header(shown))) in (re.sub(r'["\\]', "", name)[:22], name)
    assert name in message["Subject"]


@pytest.mark.parametrize("host", ["a" * 64 + ".example", "a..b", "a_b.example", "[::1]", "127.0.0.1"])
def test_a_host_that_no_header_can_hold_stops_no_notice(mail_server, host):
    site = make_site()
    Site.objects.filter(pk=site.pk).update(url=f"https://{host}")  # as it was stored before hosts were checked
    assert sent_notice(site, mail_server)["To"] == USER


def test_a_site_that_is_deleted_while_its_jobs_wait_breaks_nothing(mail_server):
    site = make_site()
    endpoint_of("https://receiver.example/events")
    for number in range(13):
        body = notification(deviceId=f"{number}", email=USER, jobId=f"{number}", ipAddress=f"198.51.{number}.7")
        assert post(Client(), body, site.token).status_code == 202
    ApiKey.objects.all().delete()
    site.delete()
    digest.enqueue_digests()
    run_due()
    assert len(mail_server.mails) == 12, "what was accepted is sent: 1 notice, 10 alerts and 1 summary"
    last = message_from_bytes(mail_server.mails[-1].raw, policy=policy.default)
    link = re.search(r"https://\S+/not-me/\S+", last.get_body(("plain",)).get_content())[0]
    assert Client().get(urlsplit(link).path).status_code == 404
    assert not JobLog.objects.exclude(status__in=["completed", "discarded"]).exists()
