"""A mail service tells that a mail came back: the address gets no more, the person and the operator see it, and either
can have it tried again."""

import json
import re
import urllib.error
import urllib.parse
import urllib.request
from datetime import UTC, datetime, timedelta
from io import StringIO
from types import SimpleNamespace

import pytest
import responses
from allauth.account.models import EmailAddress
from anymail.exceptions import AnymailRecipientsRefused
from django.contrib.auth.models import Permission
from django.core import mail
from django.core.management import call_command
from django.db import OperationalError, connection
from django.db.models.functions import Now
from django.test import Client
from structlog.processors import format_exc_info
from structlog.testing import capture_logs

from accounts.mail import smtp_errors
from accounts.notices.job_types import ACCOUNT_TYPES
from accounts.notices.sign_in import SIGN_IN_JOB
from accounts.suppression import bounces, entries, precheck
from accounts.suppression.entries import SuppressedAddress, SuppressionReason
from accounts.user import User
from jobs.core import audit, errors, job_types
from jobs.core.job import JobLog, Reason, Status
from jobs.maintenance import retention
from jobs.queue.enqueue import enqueue
from jobs.worker import entry
from notifier.log_config import mask_event
from tests.support import people, queues, webhooks
from tests.support.machine import eventually
from tests.support.mail import PAYLOAD, set_mailer
from tests.support.operators import signed_in
from tests.support.site import Site
from tests.support.webhooks import BASIC, amazon_ses, brevo, mailgun, post, postmark

pytestmark = pytest.mark.django_db
EN = {"accept-language": "en"}
ADMIN = "/admin/accounts/suppressedaddress/"
PUNYCODE = "шар.mn".encode("idna").decode()
OPERATOR = ("view_suppressedaddress", "reactivate_suppressedaddress")


@pytest.fixture
def hooks(settings):
    with webhooks.opened(settings, "postmark", "mailgun"):
        yield


@pytest.fixture
def unsigned_mailgun(settings):
    """Mailgun's webhook as most have it: signed, and without a password besides."""
    with webhooks.opened(settings, "mailgun", login=""):
        yield


@pytest.fixture
def bat():
    return people.person()


@pytest.fixture
def here(bat):
    return people.signed_in_browser()


def marked(address="bat@example.mn", why=SuppressionReason.BOUNCED, **ago):
    at = datetime.now(UTC) - timedelta(**ago)
    entries.suppress(address, why, reported_by="Postmark", at=at)
    return SuppressedAddress.objects.for_addresses([address]).get(why=why)


def job(job_id="signin-1", job_type="signin-notification", **payload):
    return enqueue(job_type, {**PAYLOAD, **payload}, job_id=job_id, user_id="7")


def worked(one):
    """The job after a worker has had its next attempt."""
    one.refresh_from_db()
    entry.run(one.pk, one.attempt_count + 1)
    one.refresh_from_db()
    return one


def operator(*permissions):
    client = signed_in()
    User.objects.get(username="saraa").user_permissions.set(Permission.objects.filter(codename__in=permissions))
    return client


@pytest.mark.engine
def test_a_bounce_that_postmark_tells_of_ends_the_next_notice_as_a_dead_letter(hooks):
    assert post("postmark", postmark("Bat@Example.mn"), authorization=BASIC).status_code == 200
    dead = worked(job())
    assert (dead.status, dead.dlq_reason, dead.attempt_count) == (Status.DLQ, Reason.SUPPRESSED, 1)
    assert dead.fingerprint == "Suppressed bounced"
    assert "Postmark reported on" in dead.error
    assert "@" not in dead.error
    assert mail.outbox == []


def test_a_bounce_that_mailgun_signs_does_the_same(unsigned_mailgun):
    assert post("mailgun", mailgun()).status_code == 200
    assert worked(job()).dlq_reason == Reason.SUPPRESSED


def test_an_address_that_nothing_is_known_against_gets_its_mail(hooks):
    post("postmark", postmark("another.user@example.mn"), authorization=BASIC)
    assert worked(job()).status == Status.COMPLETED
    assert len(mail.outbox) == 1


@pytest.mark.parametrize("written", ["BAT@шар.mn", f" bat@{PUNYCODE} ", "Bat@ШАР.MN", f"bat@{PUNYCODE.upper()}"])
def test_however_an_address_is_written_it_is_the_same(written):
    marked("bat@шар.mn")
    assert worked(job(email=written)).dlq_reason == Reason.SUPPRESSED


@pytest.mark.parametrize(
    ("service", "event_type", "raw", "why"),
    [
        ("Postmark", "bounced", postmark(), SuppressionReason.BOUNCED),
        ("Postmark", "bounced", postmark(kind="SoftBounce"), None),
        ("Postmark", "deferred", postmark(kind="Transient"), None),
        ("Postmark", "rejected", postmark(kind="Blocked"), None),
        ("Postmark", "rejected", postmark(kind="DMARCPolicy"), None),
        ("Postmark", "complained", postmark(kind="SpamNotification"), None),
        ("Postmark", "complained", postmark(kind="SpamComplaint"), SuppressionReason.COMPLAINED),
        ("Postmark", "rejected", postmark(kind="BadEmailAddress"), SuppressionReason.REFUSED),
        ("Postmark", "bounced", {"SuppressionReason": "HardBounce"}, SuppressionReason.BOUNCED),
        ("Postmark", "unsubscribed", {"SuppressionReason": "ManualSuppression"}, None),
        ("Mailgun", "bounced", mailgun(), SuppressionReason.BOUNCED),
        ("Mailgun", "deferred", mailgun(severity="temporary"), None),
        ("Mailgun", "bounced", mailgun(reason="espblock"), None),
        ("Mailgun", "bounced", mailgun(reason="generic"), None),
        ("Mailgun", "bounced", mailgun(reason="suppress-bounce"), SuppressionReason.REFUSED),
        ("Mailgun", "bounced", mailgun(reason="suppress-unsubscribe"), None),
        ("Mailgun", "complained", mailgun(event="complained"), SuppressionReason.COMPLAINED),
        ("Brevo", "bounced", brevo(), SuppressionReason.BOUNCED),
        ("Brevo", "bounced", brevo(event="soft_bounce"), None),
        ("Brevo", "rejected", brevo(event="blocked"), SuppressionReason.REFUSED),
        ("Brevo", "complained", brevo(event="spam"), SuppressionReason.COMPLAINED),
        ("Amazon SES", "bounced", {"bounce": {"bounceType": "Permanent"}}, SuppressionReason.BOUNCED),
        ("Amazon SES", "bounced", {"bounce": {"bounceType": "Transient"}}, None),
        ("Amazon SES", "bounced", {"bounce": {"bounceType": "Undetermined"}}, None),
        ("Amazon SES", "complained", {"complaint": {}}, SuppressionReason.COMPLAINED),
        ("Amazon SES", "complained", {"complaint": {"complaintFeedbackType": "not-spam"}}, None),
        ("Amazon SES", "delivered", {"delivery": {}}, None),
        ("Postmark", "opened", {"Type": "HardBounce"}, None),
        ("A service of tomorrow", "bounced", {"Type": "HardBounce"}, None),
        ("Postmark", "bounced", None, None),
        ("Postmark", "bounced", {"Type": ["HardBounce"]}, None),
        ("Mailgun", "bounced", {"event-data": "bounce"}, None),
        ("Amazon SES", "bounced", {"bounce": [1]}, None),
    ],
)
def test_only_what_is_for_good_and_about_the_recipient_marks_an_address(service, event_type, raw, why):
    assert bounces.judge(service, event_type, raw) == why


ANSWERS = {
    "550 5.1.1 <bat@example.mn> no such user": True,
    "smtp; 550 5.1.10 RESOLVER.ADR.RecipientNotFound": True,
    "550-5.1.1 The account does not exist. 550 5.1.1 https://support.google.com/mail/?p=NoSuchUser": True,
    "5.1.1": True,
    "5.1.2": True,
    "550 5.2.1 The email account is disabled": True,
    "550 5.4.1 Recipient address rejected: Access denied": True,
    "550 no such user": True,
    "550 gone": True,
    "": True,
    "550 5.7.1 Service unavailable; Client host [192.0.2.1] blocked using zen.spamhaus.org": False,
    "smtp; 550 5.7.1 [192.0.2.1] blocked": False,
    "550 5.7.26 Unauthenticated email from example.mn is not accepted due to the domain's DMARC policy": False,
    "550-5.7.26 This mail has been blocked because the sender is unauthenticated": False,
    "5.7.1": False,
    "5.7.515": False,
    "552 5.2.2 mailbox full": False,
    "5.2.2": False,
    "552 5.3.4 Message too big": False,
    "451 4.7.1 greylisted": False,
    "4.4.7": False,
    "452-4.2.2 The email account that you tried to reach is over quota": False,
    "553 5.1.8 <no-reply@example.mn>: Sender address rejected: Domain not found": False,
    "554 rejected due to spam content": False,
    "550 Client host blocked using Spamhaus": False,
    "421 try again later": False,
}


@pytest.mark.parametrize("service", ["Postmark", "Mailgun", "Brevo", "Amazon SES"])
@pytest.mark.parametrize("answer", list(ANSWERS))
def test_the_receiving_servers_code_decides_whatever_the_service_calls_it(service, answer):
    raw = {
        "Postmark": postmark(),
        "Mailgun": mailgun(),
        "Brevo": brevo(),
        "Amazon SES": {"bounce": {"bounceType": "Permanent"}},
    }
    expected = SuppressionReason.BOUNCED if ANSWERS[answer] else None
    assert bounces.judge(service, "bounced", raw[service], answer) == expected


@pytest.mark.parametrize("code", ["5.7.1", "5.7.26", "5.2.2", "4.4.7"])
def test_a_fault_of_ours_marks_nothing_through_any_webhook(settings, code):
    reply = f"smtp; 550 {code} not for us"
    with webhooks.opened(settings, "postmark", "mailgun", "brevo", "amazon_ses"):
        hard = {**postmark(), "Details": reply}
        assert post("postmark", hard, authorization=BASIC).status_code == 200
        failed = mailgun()
        failed["event-data"]["delivery-status"] = {"code": 550, "enhanced-code": code, "message": "not for us"}
        assert post("mailgun", failed, authorization=BASIC).status_code == 200
        assert post("brevo", {**brevo(), "reason": reply}, authorization=BASIC).status_code == 200
        for recipient in ({"status": code}, {"diagnosticCode": reply}):
            body, headers = amazon_ses()
            event = json.loads(body["Message"])
            event["bounce"]["bouncedRecipients"] = [{"emailAddress": "bat@example.mn", **recipient}]
            assert (
                post("amazon_ses", {**body, "Message": json.dumps(event)}, authorization=BASIC, **headers).status_code
                == 200
            )
    assert not SuppressedAddress.objects.exists()


def test_brevo_and_amazon_mark_through_their_webhooks_too(settings):
    with webhooks.opened(settings, "brevo", "amazon_ses"):
        assert post("brevo", brevo("a@example.mn"), authorization=BASIC).status_code == 200
        body, headers = amazon_ses("b@example.mn")
        assert post("amazon_ses", body, authorization=BASIC, **headers).status_code == 200
        body, headers = amazon_ses("c@example.mn", complaint="")
        assert post("amazon_ses", body, authorization=BASIC, **headers).status_code == 200
        body, headers = amazon_ses("d@example.mn", kind="Transient")
        assert post("amazon_ses", body, authorization=BASIC, **headers).status_code == 200
        assert post("amazon_ses", body, **headers).status_code == 401
    entries = {(row.masked, row.why, row.reported_by, row.code) for row in SuppressedAddress.objects.all()}
    assert entries == {
        ("a***@example.mn", "bounced", "Brevo", "550"),
        ("b***@example.mn", "bounced", "Amazon SES", "550"),
        ("c***@example.mn", "complained", "Amazon SES", ""),
    }


def test_without_a_service_named_there_is_no_webhook(client):
    for service in ("postmark", "mailgun", "sendgrid"):
        assert client.post(f"/anymail/{service}/tracking/", {}, "application/json").status_code == 404


def test_only_the_services_that_are_named_and_only_what_came_back(settings):
    with webhooks.opened(settings, "postmark"):
        assert post("mailgun", mailgun()).status_code == 404
        assert Client().post("/anymail/postmark/inbound/", {}, "application/json").status_code == 404
        assert Client().get("/anymail/postmark/tracking/").status_code == 405
        assert Client().head("/anymail/postmark/tracking/").status_code == 200


@pytest.mark.parametrize("proof", ["", "Basic", "Basic x", BASIC + "A", BASIC.lower(), "Bearer 7", "Basic /////w=="])
def test_who_cannot_prove_to_be_the_service_is_refused(hooks, proof):
    assert post("postmark", postmark(), authorization=proof).status_code == 403
    assert not SuppressedAddress.objects.exists()


def test_what_was_changed_on_its_way_or_signed_by_another_is_refused(unsigned_mailgun):
    signed = mailgun()
    for wrong in (
        mailgun(key="another-key-0123456789"),
        {**signed, "signature": {**signed["signature"], "token": "0" * 50}},
        {**signed, "signature": {**signed["signature"], "timestamp": "1"}},
        {"event-data": signed["event-data"]},
    ):
        assert post("mailgun", wrong).status_code == 403
    assert not SuppressedAddress.objects.exists()


DEEP = b'{"a":' * 100_000
HOSTILE = [
    b"",
    b"{",
    b"[]",
    b"null",
    b"7",
    b'"x"',
    b"\xff\xfe\x00",
    b"{}",
    b'{"RecordType": []}',
    b'{"RecordType": {}, "Email": 1}',
    b'{"RecordType": "Bounce", "Type": "HardBounce"}',
    b'{"RecordType": "Bounce", "Type": ["HardBounce"], "Email": "a@example.mn"}',
    b'{"RecordType": "Bounce", "Type": "HardBounce", "Email": null}',
    b'{"RecordType": "Bounce", "Type": "HardBounce", "Email": {"a": 1}}',
    b'{"RecordType": "Bounce", "Type": "HardBounce", "Email": "no address"}',
    b'{"RecordType": "Bounce", "Type": "HardBounce", "Email": "a\\u0000@example.mn"}',
    b'{"RecordType": "Bounce", "Type": "HardBounce", "Email": "\\ud800@example.mn"}',
    b'{"RecordType": "Bounce", "Type": "HardBounce", "Email": "' + b"a" * 900_000 + b'@example.mn"}',
    b'{"RecordType": "Bounce", "Type": "HardBounce", "Email": "a@' + "я".encode() * 400_000 + b'.mn"}',
    b'{"RecordType": "Bounce", "Type": "HardBounce", "Email": "a@example.mn", "BouncedAt": 7}',
    b'{"RecordType": "Bounce", "Type": "HardBounce", "Email": "a@example.mn", "BouncedAt": "0001-01-01T00:00+23:59"}',
    b'{"RecordType": "Bounce", "Type": "HardBounce", "Email": "a@example.mn", "BouncedAt": "2026-99-99T00:00:00Z"}',
    b'{"RecordType": "Inbound"}',
    b'{"FromFull": 1}',
    b'{"a": ' + b"9" * 10_000 + b"}",
    DEEP,
]


@pytest.mark.engine
@pytest.mark.parametrize("body", HOSTILE, ids=range(len(HOSTILE)))
def test_no_body_breaks_the_webhooks(settings, body):
    with webhooks.opened(settings, "postmark", "mailgun", "brevo", "amazon_ses"):
        for service in ("postmark", "mailgun", "brevo", "amazon_ses"):
            assert post(service, body, authorization=BASIC).status_code in (200, 400, 403)
            assert post(service, body).status_code in (400, 401, 403)
    assert set(SuppressedAddress.objects.values_list("masked", flat=True)) <= {"a***@example.mn"}


FAILED: dict[str, object] = {"event": "failed", "severity": "permanent", "reason": "bounce"}
ODD = [None, [], "x", 7, {"event": []}, {**FAILED, "severity": []}, {**FAILED, "timestamp": "1e999"}, FAILED]


@pytest.mark.parametrize("data", ODD)
def test_no_signed_body_breaks_them_either(unsigned_mailgun, data):
    assert post("mailgun", {**mailgun(), "event-data": data}).status_code in (200, 400)
    assert not SuppressedAddress.objects.exists()


def test_a_body_that_is_too_long_is_not_read(hooks):
    long = {**postmark(), "Content": "x" * 1024 * 1024}
    assert post("postmark", long, authorization=BASIC).status_code == 413
    assert not SuppressedAddress.objects.exists()


def test_with_the_database_away_the_service_is_asked_to_come_again(hooks, monkeypatch):
    def away(*_, **__):
        raise OperationalError("gone")

    monkeypatch.setattr(entries, "suppress", away)
    answer = post("postmark", postmark(), authorization=BASIC)
    assert (answer.status_code, answer["Retry-After"]) == (503, "5")


@pytest.mark.engine
def test_what_is_reported_twice_or_late_counts_once(hooks):
    first = datetime.now(UTC) - timedelta(hours=2)
    for at in (first, first, first - timedelta(days=3)):
        post("postmark", postmark(at=at), authorization=BASIC)
    entry = SuppressedAddress.objects.get()
    assert (entry.times, entry.since) == (1, first)
    post("mailgun", mailgun(at=first + timedelta(hours=1)), authorization=BASIC)
    entry.refresh_from_db()
    assert (entry.times, entry.reported_by, entry.until) == (2, "Mailgun", entry.since + timedelta(days=90))


@pytest.mark.engine
def test_what_was_reported_before_an_operator_lifted_it_stays_lifted(hooks):
    old = datetime.now(UTC) - timedelta(hours=1)
    post("postmark", postmark(at=old), authorization=BASIC)
    assert SuppressedAddress.objects.all().reactivate("saraa") == 1
    for at in (old, old + timedelta(minutes=30)):
        post("postmark", postmark(at=at), authorization=BASIC)
        assert worked(job(f"signin-{at.timestamp()}")).status == Status.COMPLETED
    post("postmark", postmark(at=datetime.now(UTC) + timedelta(minutes=1)), authorization=BASIC)
    assert worked(job()).dlq_reason == Reason.SUPPRESSED


@pytest.mark.engine
def test_an_old_bounce_marks_nothing_and_a_mark_has_an_end():
    at = datetime.now(UTC) - timedelta(days=91)
    assert not entries.suppress("bat@example.mn", SuppressionReason.BOUNCED, reported_by="Postmark", at=at)
    entry = marked()
    SuppressedAddress.objects.filter(pk=entry.pk).update(until=Now())
    assert worked(job()).status == Status.COMPLETED


@pytest.mark.engine
def test_a_complaint_holds_routine_notices_back_and_neither_alerts_nor_what_the_person_asked_for(bat):
    marked(why=SuppressionReason.COMPLAINED)
    assert worked(job()).dlq_reason == Reason.SUPPRESSED
    assert worked(job("new-device", newDevice=True)).status == Status.COMPLETED
    assert worked(job("unusual", signals={"after_failures": 6})).status == Status.COMPLETED
    reset = {"kind": "password_reset", "userId": str(bat.pk)}
    assert worked(job("a", "account-mail", **reset)).status == Status.COMPLETED
    assert worked(job("b", "dispute-mail", **{**reset, "kind": "way_back"})).status == Status.COMPLETED
    marked(why=SuppressionReason.BOUNCED)
    for number, kind in enumerate(("account-mail", "dispute-mail")):
        assert worked(job(f"c-{number}", kind, **reset)).dlq_reason == Reason.SUPPRESSED
    assert worked(job("bounced", newDevice=True)).dlq_reason == Reason.SUPPRESSED
    assert len(mail.outbox) == 4


def test_every_type_that_mails_asks_before_it_does():
    mailing = [kind for kind in job_types.all_types() if kind.presentation.recipient]
    assert {kind.name for kind in mailing} >= {SIGN_IN_JOB, *ACCOUNT_TYPES}
    assert all(kind.execution.precheck for kind in mailing)


@pytest.mark.engine
def test_a_whole_batch_is_screened_with_one_query_and_with_two_where_something_came_back(django_assert_num_queries):
    with django_assert_num_queries(1):
        assert precheck.check_notices([SimpleNamespace(pk=at, payload=dict(PAYLOAD)) for at in range(10)]) == {}
    marked()
    many = [job(f"signin-{number}", email=f"{'bat' if number % 2 else 'dorj'}@example.mn") for number in range(10)]
    many += [SimpleNamespace(pk=-1 - at, payload={"email": odd}) for at, odd in enumerate([None, 7, "", "x", []])]
    with django_assert_num_queries(2 if connection.vendor == "postgresql" else 1):
        held = precheck.check_notices(many)
    assert set(held) == {one.pk for one in many[1:10:2]}
    with django_assert_num_queries(0):
        assert precheck.check_notices([SimpleNamespace(pk=1, payload={})]) == {}


def test_suppressed_mails_are_counted_as_dead_and_not_as_sent(client):
    marked()
    worked(job())
    metrics = client.get("/metrics").content.decode()
    dead = 'notifier_dead_letters_total{job_type="signin-notification",reason="suppressed"} 1.0'
    assert dead in metrics
    assert not re.search(r"^notifier_mails_total\{", metrics, re.MULTILINE)


@pytest.mark.engine
def test_the_operator_lifts_it_and_the_dead_letter_is_replayed_and_sent():
    entry = marked()
    client = operator(*OPERATOR, "replay_joblog", "view_joblog")
    dead = worked(job())
    answer = client.post(f"{ADMIN}{entry.pk}/reactivate/", {"why": "the mailbox was repaired"}, follow=True)
    page = answer.content.decode()
    assert "Reactivated: emails are sent to this address again." in page
    assert "replay them" in page
    written = audit.AuditEntry.objects.get()
    assert (written.who, written.act, written.target) == ("saraa", "reactivate", f"suppressed:{entry.pk}")
    assert written.detail == {"why": "the mailbox was repaired"}
    entry.refresh_from_db()
    assert (entry.active, entry.reactivated_by) == (False, "saraa")
    client.post(f"/admin/jobs/joblog/{dead.pk}/replay/")
    assert worked(dead).status == Status.COMPLETED
    assert [message.to for message in mail.outbox] == [["bat@example.mn"]]
    page = client.post(f"{ADMIN}{entry.pk}/reactivate/", follow=True).content.decode()
    assert "the address was not suppressed" in page
    assert audit.AuditEntry.objects.filter(act="reactivate").count() == 1


def test_a_replay_before_it_is_lifted_ends_the_same_way():
    marked()
    dead = worked(job())
    assert dead.replay()
    assert worked(dead).dlq_reason == Reason.SUPPRESSED


def test_the_dead_letters_page_says_which_entry_it_was_and_what_to_press():
    entry, client = marked(), operator("view_joblog")
    dead = worked(job())
    page = client.get(f"/admin/jobs/joblog/{dead.pk}/change/").content.decode()
    assert f"suppressed address {entry.pk}" in page
    assert "reactivate the address under Suppressed addresses" in page


def test_an_operator_finds_an_entry_by_the_address_and_by_no_part_of_it():
    entry, client = marked(), operator(*OPERATOR)
    found = client.post(f"{ADMIN}search/", {"q": " BAT@example.mn"})
    assert found.url == f"{ADMIN}{entry.pk}/change/"
    for page in (client.get(found.url), client.get(ADMIN), client.get(ADMIN, {"state": "active", "why": "bounced"})):
        assert "b***@example.mn" in page.content.decode()
        assert "bat@example.mn" not in page.content.decode()
    assert "b***@" not in client.get(ADMIN, {"state": "over"}).content.decode()
    for odd in ("example.mn", "", "\x00", "x" * 9_999, "' OR 1=1 --", "bat@example"):
        answer = client.post(f"{ADMIN}search/", {"q": odd}, follow=True)
        assert "There is no entry for exactly this address." in answer.content.decode()


def test_looking_and_lifting_are_permissions_apart_and_nothing_is_edited_by_hand():
    entry = marked()
    address = f"{ADMIN}{entry.pk}/"
    unprivileged = operator()
    assert unprivileged.get(ADMIN).status_code == 403
    assert unprivileged.post(f"{ADMIN}search/", {"q": "bat@example.mn"}).status_code == 403
    assert unprivileged.post(f"{address}reactivate/").status_code == 403
    User.objects.all().delete()
    viewer = operator("view_suppressedaddress")
    assert "reactivate/" not in viewer.get(f"{address}change/").content.decode()
    assert viewer.post(f"{address}reactivate/").status_code == 403
    for wrong in (f"{ADMIN}add/", f"{address}delete/", f"{address}change/"):
        assert viewer.post(wrong).status_code in (403, 405)
    assert SuppressedAddress.objects.active().count() == 1
    assert not audit.AuditEntry.objects.exists()


@pytest.mark.parametrize("key", ["0", "999999", str(2**63), "9" * 40])
def test_an_entry_that_is_not_there_is_a_404(key):
    assert operator(*OPERATOR).post(f"{ADMIN}{key}/reactivate/").status_code == 404


def test_no_address_is_in_the_table():
    marked()
    row = str(SuppressedAddress.objects.values_list().get())
    assert "bat" not in row
    assert "b***@example.mn" in row


@pytest.mark.parametrize("path", ["/accounts/activity/", "/accounts/preferences/", "/accounts/email/"])
@pytest.mark.parametrize(
    ("language", "why", "said"),
    [
        ("en", SuppressionReason.BOUNCED, "Our emails do not reach you"),
        ("mn", SuppressionReason.BOUNCED, "Манай имэйл танд хүрэхгүй байна"),
        ("en", SuppressionReason.COMPLAINED, "You are not receiving notices of sign-ins"),
        ("mn", SuppressionReason.COMPLAINED, "Нэвтрэлтийн мэдэгдэл танд очихгүй байна"),
    ],
)
def test_the_person_sees_what_is_wrong_and_what_to_do(here, path, language, why, said):
    asked = {"accept-language": language}
    assert said not in here.get(path, headers=asked).content.decode()
    marked(why=why)
    page = here.get(path, headers=asked).content.decode()
    assert said in page
    assert 'role="region" aria-labelledby="address-trouble"' in page
    assert "/accounts/email/works-again/" in page


@pytest.mark.engine
def test_the_person_says_that_it_works_again_and_not_every_day(here):
    entry = marked()
    assert here.get("/accounts/email/works-again/").status_code == 405
    answer = here.post("/accounts/email/works-again/", headers=EN, follow=True)
    assert "We send emails to your address again." in answer.content.decode()
    assert "Our emails do not reach you" not in answer.content.decode()
    assert worked(job()).status == Status.COMPLETED
    SuppressedAddress.objects.filter(pk=entry.pk).update(reactivated_at=Now() - timedelta(minutes=2))
    entries.suppress(
        "bat@example.mn", SuppressionReason.BOUNCED, reported_by="Postmark", at=datetime.now(UTC) - timedelta(minutes=1)
    )
    page = here.get("/accounts/activity/", headers=EN).content.decode()
    assert "Our emails do not reach you" in page
    assert "works-again" not in page
    here.post("/accounts/email/works-again/")
    assert SuppressedAddress.objects.active().exists()
    SuppressedAddress.objects.filter(pk=entry.pk).update(reactivated_at=Now() - timedelta(days=8))
    here.post("/accounts/email/works-again/")
    assert not SuppressedAddress.objects.active().exists()


def test_of_an_unconfirmed_address_a_user_learns_only_that_it_bounces_and_lifts_nothing(bat, here):
    EmailAddress.objects.update_or_create(user=bat, email=bat.email, defaults={"verified": False, "primary": True})
    marked()
    page = here.get("/accounts/activity/", headers=EN).content.decode()
    assert "Our emails do not reach you" in page
    assert "works-again" not in page
    here.post("/accounts/email/works-again/")
    assert SuppressedAddress.objects.active().exists()
    SuppressedAddress.objects.update(why=SuppressionReason.COMPLAINED)
    assert "address-trouble" not in here.get("/accounts/activity/", headers=EN).content.decode()


def test_the_list_of_sign_ins_says_why_a_notice_was_not_sent(here):
    marked()
    worked(JobLog.objects.get(job_id=people.last().job_id))
    assert "not sent: emails to the address bounced" in here.get("/accounts/activity/", headers=EN).content.decode()


@pytest.mark.engine
def test_what_is_over_for_long_is_deleted_and_what_holds_mails_back_is_kept():
    marked("stands@example.mn")
    over, lifted = marked("over@example.mn"), marked("lifted@example.mn")
    SuppressedAddress.objects.filter(pk=over.pk).update(until=Now() - timedelta(days=31))
    SuppressedAddress.objects.filter(pk=lifted.pk).update(
        reactivated_at=Now() - timedelta(days=31), since=Now() - timedelta(days=32)
    )
    assert retention.prune(dry_run=True)["suppressed addresses deleted"] == 2
    assert retention.prune()["suppressed addresses deleted"] == 2
    assert SuppressedAddress.objects.get().masked == "s***@example.mn"


@pytest.mark.engine
def test_a_person_is_shown_it_and_it_goes_with_the_account(bat):
    people.person("saran")
    EmailAddress.objects.create(user=bat, email="second@example.mn")
    for address in ("bat@example.mn", "second@example.mn", "saran@example.mn"):
        marked(address)
    out = StringIO()
    call_command("export_user", "bat", stdout=out)
    shown = {row["masked"] for row in json.loads(out.getvalue())["suppressedAddresses"]}
    assert shown == {"b***@example.mn", "s***@example.mn"}
    bat.delete()
    assert SuppressedAddress.objects.for_addresses(["saran@example.mn"]).get() == SuppressedAddress.objects.get()


def test_an_address_that_two_accounts_have_outlives_one_of_them(bat):
    User.objects.create_user("twin", "BAT@example.mn")
    marked()
    bat.delete()
    assert SuppressedAddress.objects.exists()
    User.objects.get().delete()
    assert not SuppressedAddress.objects.exists()


def test_nothing_personal_is_written_to_the_log(hooks, caplog, capsys):
    with capture_logs([format_exc_info, mask_event]) as lines:
        post("postmark", postmark("planted@example.mn"), authorization=BASIC)
        post("postmark", {**postmark("planted@example.mn"), "BouncedAt": 7}, authorization=BASIC)
        post("postmark", postmark("planted@example.mn"))
        worked(job(email="planted@example.mn"))
    written = f"{lines}{caplog.text}{capsys.readouterr()}"
    assert "address suppressed" in written
    assert "webhook cannot be read" in written
    assert "webhook refused" in written
    assert "planted" not in written


def test_a_service_that_will_not_write_to_an_address_is_not_asked_five_times():
    assert isinstance(smtp_errors.classify_http(AnymailRecipientsRefused()), errors.Permanent)


@pytest.mark.processes
@pytest.mark.django_db(transaction=True)
def test_the_whole_way_on_a_site_that_runs():
    with Site(**webhooks.ENVIRONMENT) as site:
        site.start("mail", "web", "worker")
        assert report(site, postmark("gone@example.mn"), authorization=BASIC) == 200
        assert report(site, postmark("gone@example.mn")) == 403
        queues.enqueue(site, "here", "gone")
        settled = "SELECT job_id, status, dlq_reason FROM job_logs ORDER BY id"
        eventually(lambda: "enqueued" not in str(site.sql(settled)) and "processing" not in str(site.sql(settled)))
        assert site.sql(settled) == [("here", "completed", ""), ("gone", "dlq", "suppressed")]
        assert [message["To"] for message in site.mails()] == ["here@example.mn"]
        assert "gone@" not in site.log("web") + site.log("worker")


def report(site, body, **headers):
    """The status that a running site answers Postmark's webhook with."""
    url = f"{site.url}/anymail/postmark/tracking/"
    asked = urllib.request.Request(url, json.dumps(body).encode(), {"Content-Type": "application/json", **headers})
    try:
        with urllib.request.urlopen(asked, timeout=20) as answer:
            return answer.status
    except urllib.error.HTTPError as refused:
        with refused:
            return refused.code


@pytest.mark.parametrize(
    ("service", "keys", "url", "answer"),
    [
        (
            "postmark",
            {"POSTMARK_SERVER_TOKEN": "t"},
            "https://api.postmarkapp.com/email",
            {"ErrorCode": 0, "Message": "OK", "MessageID": "m", "To": "bat@example.mn"},
        ),
        (
            "mailgun",
            {"MAILGUN_API_KEY": "k"},
            "https://api.mailgun.net/v3/example.mn/messages",
            {"id": "m", "message": "Queued"},
        ),
        ("brevo", {"BREVO_API_KEY": "k"}, "https://api.brevo.com/v3/smtp/email", {"messageId": "m"}),
    ],
)
def test_a_mail_leaves_by_a_services_own_interface(settings, service, keys, url, answer):
    settings.ANYMAIL = keys
    set_mailer(settings, f"anymail.backends.{service}.EmailBackend")
    with responses.RequestsMock() as there:
        there.post(url, json=answer)
        assert worked(job()).error == ""
        raw = there.calls[0].request.body
        sent = raw if isinstance(raw, str) else raw.decode()
    assert JobLog.objects.get().status == Status.COMPLETED
    assert "bat@example.mn" in urllib.parse.unquote(sent)


def test_a_service_that_answers_that_the_address_is_on_its_list_makes_a_dead_letter_immediately(settings):
    set_mailer(settings, "anymail.backends.postmark.EmailBackend")
    settings.ANYMAIL = {"POSTMARK_SERVER_TOKEN": "t"}
    refusal = {"ErrorCode": 406, "Message": "You tried to send to recipient(s) that have been marked as inactive. "}
    refusal["Message"] += "Found inactive addresses: bat@example.mn. Inactive recipients bounced before."
    with responses.RequestsMock() as there:
        there.post("https://api.postmarkapp.com/email", json=refusal, status=422)
        dead = worked(job())
    assert (dead.status, dead.dlq_reason) == (Status.DLQ, Reason.PERMANENT)
