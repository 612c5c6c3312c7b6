"""Refusals that are about us, our rate or the server: suspended, given back or replayed, not a dead letter each."""

import socketserver
import threading

import pytest
from django.db.models.functions import Now

from accounts.mail import smtp, smtp_errors
from accounts.notices.sign_in import SIGN_IN_JOB
from jobs.core import pauses
from jobs.core.errors import Configuration, Permanent, Temporary, Throttled
from jobs.core.job import JobLog, Status
from jobs.maintenance import reconciler
from jobs.queue.enqueue import enqueue as enqueue_job
from jobs.worker import entry
from tests.support.mail import PAYLOAD, delivering_to, send, set_mailer
from tests.support.smtp_server import SmtpServer

UNKNOWN = "554 5.7.1 we do not like this"


@pytest.fixture(autouse=True)
def _no_refusals_of_other_tests(monkeypatch):
    monkeypatch.setattr(smtp, "refusals", smtp_errors.Refusals())


@pytest.fixture(params=[False, True], ids=["", "pipelining"])
def server(settings, request):
    with delivering_to(SmtpServer(pipelining=request.param), settings) as running:
        yield running


def enqueue(number, email=None):
    payload = {**PAYLOAD, "email": email or f"user{number}@example.mn"}
    return enqueue_job(SIGN_IN_JOB, payload, job_id=f"signin-{number}", user_id=str(number))


def work_on(*jobs):
    for job in jobs:
        job.refresh_from_db()
        if job.status in (Status.ENQUEUED, Status.FAILED):
            JobLog.objects.filter(pk=job.pk).update(run_at=Now())
            entry.run(job.pk, job.attempt_count + 1)
            job.refresh_from_db()
    return [(job.status, job.error_class, job.attempts_left) for job in jobs]


def error_of(action=send, **changes):
    with pytest.raises(Exception) as raised:
        action(**changes)
    return raised.value


# --- any 2xx is a success (RFC 5321, 4.2.1)


@pytest.mark.parametrize(
    ("at", "answer"),
    [("RCPT", "252 cannot verify, will try"), ("RCPT", "251 will forward"), ("DATA", "251 taken"), ("DATA", "200 ok")],
)
def test_any_2xx_is_a_success_and_the_email_is_sent_once(server, at, answer):
    server.behave(at=at, answer=answer)
    send()
    assert [mail.message_id for mail in server.mails] == ["<signin-1@testserver>"]


# --- the fault is ours


@pytest.mark.django_db(transaction=True)
@pytest.mark.parametrize(
    ("at", "answer"),
    [
        ("RCPT", "554 5.7.1 <user1@example.mn>: Relay access denied"),
        ("RCPT", "530 5.7.0 Authentication required"),
        ("RCPT", "504 5.5.2 <localhost>: Helo command rejected: need fully-qualified hostname"),
        ("RCPT", "553 5.7.1 <no-reply@example.mn>: Sender address rejected: not owned by user site"),
        ("MAIL", "550 5.7.1 part of their network is on our block list (S3150)"),
    ],
)
def test_a_refusal_of_us_suspends_the_type_until_the_step_that_failed_succeeds(server, at, answer):
    jobs = [enqueue(number) for number in range(3)]
    server.behave(at=at, answer=answer)
    assert work_on(*jobs) == [("failed", "configuration", 5), ("enqueued", "", 5), ("enqueued", "", 5)]
    assert answer in pauses.suspended().get().breaker_error
    reconciler.probe_suspended()
    assert pauses.suspended().exists(), "the probe goes as far as the recipient"
    server.behave()
    reconciler.probe_suspended()
    assert not pauses.suspended().exists()
    assert {status for status, *_ in work_on(*jobs)} == {"completed"}
    assert len(server.mails) == 3


@pytest.mark.django_db(transaction=True)
def test_a_refusal_that_the_probe_does_not_meet_costs_no_job_its_life_and_stops_no_other(server):
    (ours,) = jobs = [enqueue(1)]
    server.behave(at="DATA", answer="550 5.7.26 Unauthenticated email is not accepted due to domain's DMARC policy")
    work_on(ours)
    reconciler.probe_suspended()
    assert not pauses.suspended().exists()
    assert work_on(*jobs) == [("failed", "configuration", 5)]
    assert not pauses.suspended().exists(), "tried again after a successful probe, it is judged alone"
    wait = (ours.run_at - ours.attempts.last().ended_at).total_seconds()
    assert 50 <= wait <= 70
    server.behave()
    work_on(ours)
    assert ours.status == "completed"


def test_a_greylisted_full_or_missing_support_address_does_not_fail_the_probe(server):
    for answer in ("450 4.7.1 Greylisted", "552 5.2.2 full", "550 5.1.1 no such user", "550 mailbox unavailable"):
        server.behave(at="RCPT", answer=answer)
        smtp.probe_server()
    for answer, error in ((UNKNOWN, Permanent), ("452 4.3.1 no space", Temporary), ("421 busy", Throttled)):
        server.behave(at="RCPT", answer=answer)
        assert type(error_of(smtp.probe_server)) is error
    assert server.mails == []


# --- the same refusal of several recipients


@pytest.mark.django_db(transaction=True)
def test_the_third_recipient_refused_in_the_same_words_suspends_all_and_the_first_are_replayed(server):
    jobs = [enqueue(number) for number in range(5)]
    server.behave(answer=UNKNOWN)
    assert [status for status, *_ in work_on(*jobs)] == ["dlq", "dlq", "failed", "enqueued", "enqueued"]
    assert jobs[2].error_class == "configuration"
    reconciler.probe_suspended()
    assert pauses.suspended().exists()
    server.behave()
    reconciler.probe_suspended()
    assert {status for status, *_ in work_on(*jobs)} == {"completed"}
    assert len(server.mails) == 5


@pytest.mark.django_db(transaction=True)
def test_three_bad_addresses_suspend_the_others_once_and_are_then_judged_alone(server):
    bad = [enqueue(number, f"bad{number}@example.mn") for number in range(3)]
    server.behave(answer=UNKNOWN, only="bad")
    work_on(*bad)
    reconciler.probe_suspended()
    assert not pauses.suspended().exists()
    assert [status for status, *_ in work_on(*bad)] == ["dlq"] * 3
    assert {job.dlq_reason for job in bad} == {"permanent"}
    more = [enqueue(number, f"bad{number}@example.mn") for number in range(10, 14)]
    work_on(*more, enqueue(20))
    assert not pauses.suspended().exists(), "these words are about recipients, for an hour"
    assert len(server.mails) == 1


@pytest.mark.parametrize("answer", ["550 5.1.1 no", "550 5.2.1 no", "550 no such user here", "450 4.2.1 no"])
def test_mistyped_addresses_are_never_about_us(server, answer):
    server.behave(answer=answer)
    for number in range(6):
        assert type(error_of(email=f"user{number}@example.mn")) is not Configuration


def test_a_success_in_between_one_recipient_alone_and_a_minute_are_no_repetition(server, monkeypatch):
    def refused(number):
        server.behave(answer=UNKNOWN)
        return type(error_of(email=f"user{number}@example.mn"))

    assert [refused(number) for number in (1, 1, 1, 2, 2)] == [Permanent] * 5
    server.behave()
    send()
    assert [refused(number) for number in (1, 2)] == [Permanent] * 2
    clock = smtp_errors.time.monotonic() + 61
    monkeypatch.setattr("accounts.mail.smtp_errors.time.monotonic", lambda: clock)
    assert [refused(number) for number in (3, 4)] == [Permanent] * 2
    assert refused(5) is Configuration


def test_numbers_addresses_and_links_do_not_make_words_different(server):
    said = [f"554 5.7.1 no <user{n}@example.mn> id{n}x see https://a.mn/{n}" for n in range(3)]
    kinds = []
    for number, answer in enumerate(said):
        server.behave(answer=answer)
        kinds.append(type(error_of(email=f"user{number}@example.mn")))
    assert kinds == [Permanent, Permanent, Configuration]


# --- too much, too fast


@pytest.mark.parametrize(
    ("answer", "retry_after", "slow"),
    [
        ("432 4.3.2 Concurrent connections limit exceeded", None, False),
        ("550 5.7.1 Maximum sending rate exceeded", None, False),
        ("450 4.2.1 receiving mail at a rate that prevents more", None, False),
        ("452 4.1.0 try again later", None, False),
        ("451 4.7.1 graylisted, come back in 00:05:00", 300, False),
        ("550 5.4.5 Daily user sending limit exceeded", None, True),
        ("454 Throttling failure: Daily message quota exceeded", None, True),
        ("550 hourly quota exceeded, try again in 2 hours", 7200, True),
    ],
)
def test_a_limit_in_any_words_is_throttling(server, answer, retry_after, slow):
    server.behave(answer=answer)
    raised = error_of()
    assert (type(raised), raised.retry_after, raised.slow) == (Throttled, retry_after, slow)


@pytest.mark.django_db(transaction=True)
@pytest.mark.parametrize(("age", "least"), [(0, 300), (3000, 3000), (50_000, 7200)])
def test_a_quota_waits_longer_the_older_the_job_and_costs_no_attempt(server, age, least):
    server.behave(answer="550 5.4.5 Daily user sending limit exceeded")
    job = enqueue(1)
    JobLog.objects.update(created_at=Now() - reconciler.timedelta(seconds=age))
    assert work_on(job) == [("failed", "throttled", 5)]
    wait = (job.run_at - job.attempts.get().ended_at).total_seconds()
    assert least - 1 <= wait <= least * 1.1 + 5


# --- minutes of 4xx


@pytest.mark.django_db(transaction=True)
@pytest.mark.parametrize("answer", ["452 4.3.1 no space", "451 4.3.0 queue file write error", "450 4.3.2 not now"])
def test_an_outage_longer_than_the_attempts_is_replayed_when_the_server_accepts_again(server, answer):
    server.behave(answer=answer)
    job = enqueue(1)
    for _ in range(5):
        work_on(job)
    assert (job.status, job.dlq_reason, job.error_class, job.attempt_count) == ("dlq", "exhausted", "unreachable", 5)
    assert {attempt.error_class for attempt in job.attempts.all()} == {"temporary", "unreachable"}
    assert reconciler.replay_unreachable() == 0
    server.behave()
    assert reconciler.replay_unreachable() == 1
    work_on(job)
    assert (job.status, len(server.mails)) == ("completed", 1)


@pytest.mark.django_db(transaction=True)
def test_an_outage_that_no_probe_meets_is_waited_for_after_the_replay(server):
    server.behave(at="DATA", answer="452 4.3.1 no disk")
    job = enqueue(1)
    for _ in range(5):
        work_on(job)
    assert reconciler.replay_unreachable() == 1
    for _ in range(6):
        work_on(job)
    assert (job.status, job.error_class, job.attempts_left) == ("failed", "temporary", 5)
    assert 50 <= (job.run_at - job.attempts.last().ended_at).total_seconds() <= 70
    server.behave()
    work_on(job)
    assert (job.status, len(server.mails)) == ("completed", 1)


@pytest.mark.django_db(transaction=True)
def test_a_busy_mailbox_is_not_an_outage(server):
    server.behave(answer="450 4.2.1 mailbox busy")
    job = enqueue(1)
    for _ in range(5):
        work_on(job)
    server.behave()
    assert reconciler.replay_unreachable() == 0
    assert (job.status, job.error_class) == ("dlq", "temporary")


# --- invalid replies, and settings that cannot be used


class Endless(socketserver.StreamRequestHandler):
    """A server whose reply to RCPT is one line without an end."""

    def handle(self) -> None:
        self.wfile.write(b"220 endless\r\n")
        while line := self.rfile.readline():
            endless = line.upper().startswith(b"RCPT")
            self.wfile.write(b"450 " + b"x" * 100_000 if endless else b"250 ok\r\n")


def test_a_line_without_an_end_is_not_taken_for_a_reply(settings):
    with socketserver.ThreadingTCPServer(("127.0.0.1", 0), Endless) as endless:
        endless.daemon_threads = True
        threading.Thread(target=endless.serve_forever, daemon=True).start()
        host, port = endless.server_address
        set_mailer(settings, host=host, port=port, timeout=5)
        raised = error_of()
        smtp.close_connection()
        endless.shutdown()
    assert (type(raised), raised.code) == (Temporary, None)


@pytest.mark.parametrize("tls", [False, True], ids=["", "starttls"])
def test_the_words_of_a_refused_ehlo_are_kept(server, settings, tls):
    set_mailer(settings, use_tls=tls)
    server.behave(at="EHLO", answer="421 4.3.2 too many of you today")
    raised = error_of()
    assert (type(raised), raised.code) == (Throttled, 421)
    assert "too many of you today" in str(raised)


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("password", "нууц"),
        ("password", "pass\u00a0word"),
        ("username", "бат"),
        ("host", "smtp..x"),
        ("host", "." + "x" * 64),
    ],
)
def test_settings_that_smtp_cannot_carry_are_configuration_and_are_not_repeated(server, settings, name, value):
    set_mailer(settings, username="site", password="site")
    set_mailer(settings, **{name: value})
    for action in (send, smtp.probe_server):
        raised = error_of(action)
        assert type(raised) is Configuration
        assert value not in str(raised)


@pytest.mark.parametrize(
    ("name", "site", "greeting"),
    [
        ("mail.example.mn", "https://other.mn", "mail.example.mn"),
        ("", "https://example.mn:8443", "example.mn"),
        ("", "https://шархуудас.мон", "шархуудас.мон".encode("idna").decode()),
        ("", "http://192.0.2.7:8000", "[192.0.2.7]"),
    ],
)
def test_the_server_is_greeted_by_the_name_of_the_settings(server, settings, name, site, greeting):
    settings.EMAIL_EHLO_NAME, settings.SITE_URL = name, site
    seen = []
    usual = server.handler.handle_EHLO

    async def handle(server, session, envelope, host, answers):
        seen.append(host)
        return await usual(server, session, envelope, host, answers)

    server.handler.handle_EHLO = handle
    send()
    assert set(seen) == {greeting}
