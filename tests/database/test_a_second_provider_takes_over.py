"""EMAIL_FALLBACK_URL: emails leave through the second mail server while the first cannot take any, and never twice."""

import pytest
from django.db.models.functions import Now
from django.urls import reverse
from django.utils import timezone

from accounts.mail import smtp, smtp_errors
from accounts.mail.providers import breakers as provider_breakers
from accounts.mail.providers.configured import configured
from accounts.notices import providers
from accounts.notices.sign_in import SIGN_IN_JOB
from jobs.admin.parts import advice
from jobs.core import pauses
from jobs.core.job import JobLog, Status
from jobs.core.pauses import ProviderState
from jobs.core.sql import from_now
from jobs.maintenance import reconciler
from jobs.queue.enqueue import enqueue as enqueue_job
from jobs.worker import entry
from notifier.ops import doctor
from notifier.ops.doctor import Verdict
from tests.support.mail import PAYLOAD, delivering_to, set_mailer
from tests.support.operators import operator
from tests.support.smtp_server import SmtpServer

pytestmark = [pytest.mark.django_db(transaction=True), pytest.mark.slow]
QUOTA = "550 5.4.5 Daily user sending limit exceeded"


@pytest.fixture(autouse=True)
def _a_process_that_knows_nothing(monkeypatch):
    monkeypatch.setattr(smtp, "refusals", smtp_errors.Refusals())
    monkeypatch.setattr(provider_breakers, "this_process", provider_breakers.Breakers())


@pytest.fixture
def first(settings):
    with delivering_to(SmtpServer(), settings) as running:
        yield running


@pytest.fixture
def second(settings):
    server = SmtpServer()
    set_mailer(settings, alias="fallback", host="127.0.0.1", port=server.port, timeout=10)
    server.start()
    yield server
    smtp.close_connection()
    if server.server is not None:
        server.stop()


def enqueue(number):
    payload = {**PAYLOAD, "email": f"user{number}@example.mn"}
    return enqueue_job(SIGN_IN_JOB, payload, job_id=f"signin-{number}", user_id=str(number))


def work_on(*jobs):
    for job in jobs:
        job.refresh_from_db()
        if job.status in (Status.ENQUEUED, Status.FAILED):
            JobLog.objects.filter(pk=job.pk).update(run_at=Now())
            entry.run(job.pk, job.attempt_count + 1)
            job.refresh_from_db()
    return [job.status for job in jobs]


def taken(server):
    return [mail.message_id.strip("<>").partition("@")[0] for mail in server.mails]


def out_of_use():
    return set(pauses.open_providers().values_list("provider", flat=True))


def name_of(server):
    return f"127.0.0.1:{server.port}"


@pytest.mark.parametrize(
    ("fault", "error_class"),
    [
        ({"at": "CONNECT", "die": True}, "unreachable"),
        ({"at": "MAIL", "answer": "530 5.7.0 Authentication required"}, "configuration"),
        ({"at": "RCPT", "answer": "554 5.7.1 <user1@example.mn>: Relay access denied"}, "configuration"),
        ({"at": "MAIL", "answer": QUOTA}, "throttled"),
        ({"at": "RCPT", "answer": QUOTA}, "throttled"),
        ({"at": "DATA", "answer": "452 4.3.1 Insufficient system storage"}, "temporary"),
        ({"at": "EHLO", "answer": "421 4.3.2 daily limit of messages exceeded"}, "throttled"),
        ({"at": "RCPT", "die": True}, "unreachable"),
    ],
)
def test_what_the_first_cannot_take_leaves_through_the_second_in_the_same_attempt(first, second, fault, error_class):
    first.behave(**fault)
    assert work_on(enqueue(1), enqueue(2)) == ["completed"] * 2
    assert (taken(first), taken(second)) == ([], ["signin-1", "signin-2"])
    assert {mail.message_id for mail in second.mails} == {"<signin-1@testserver>", "<signin-2@testserver>"}
    (row,) = ProviderState.objects.all()
    assert (row.provider, row.error_class) == (name_of(first), error_class)
    assert not pauses.suspended().exists(), "no type is suspended while one provider works"


def test_a_dead_first_server_is_not_called_for_every_email(first, second):
    first.behave(at="MAIL", answer="530 5.7.0 Authentication required")
    work_on(*[enqueue(number) for number in range(5)])
    assert (first.connections, len(second.mails)) == (1, 5)


def test_the_first_is_used_again_when_its_probe_succeeds(first, second, monkeypatch):
    monkeypatch.setattr(provider_breakers, "READ_SECONDS", 0)
    first.behave(at="RCPT", answer="554 5.7.1 Relay access denied")
    work_on(enqueue(1))
    providers.bring_back()
    assert out_of_use() == {name_of(first)}
    first.behave()
    reconciler.sweep()
    assert out_of_use() == set()
    work_on(enqueue(2))
    assert (taken(first), taken(second)) == (["signin-2"], ["signin-1"])


def test_another_process_knows_from_the_table_and_asks_once_a_second(first, second, django_assert_num_queries):
    pauses.open_provider(name_of(first), "configuration", "no", 0)
    work_on(enqueue(1))
    assert (first.connections, taken(second)) == (0, ["signin-1"])
    with django_assert_num_queries(0):
        provider_breakers.this_process.exchange()


def test_a_quota_is_not_probed_before_its_time(first, second):
    first.behave(at="DATA", answer=QUOTA)
    work_on(enqueue(1))
    first.clear()
    providers.bring_back()
    assert (out_of_use(), first.connections) == ({name_of(first)}, 0)
    ProviderState.objects.update(probe_at=from_now(-1))
    providers.bring_back()
    assert out_of_use() == set()


@pytest.mark.parametrize("cut", [{"die": True}, {"hang": True}])
def test_an_email_that_the_first_may_have_taken_never_goes_through_the_second(first, second, settings, cut):
    set_mailer(settings, timeout=1)
    job = enqueue(1)
    first.behave(at="DATA", **cut)
    assert work_on(job) == ["failed"]
    assert (job.bound_to, out_of_use()) == (name_of(first), {name_of(first)})
    first.stop()
    for _ in range(7):
        assert work_on(job) == ["failed"], "it waits for the first, and loses no attempt by that"
    assert job.attempts_left == 4
    assert name_of(first) in advice.advise(job, None, timezone.now()).why
    assert (job.run_at - job.attempts.last().ended_at).total_seconds() > 50
    work_on(enqueue(2))
    assert taken(second) == ["signin-2"]
    first.behave()
    first.start()
    assert work_on(job) == ["completed"]
    assert taken(second) == ["signin-2"]
    assert set(taken(first)) == {"signin-1"}


def test_a_worker_that_runs_out_of_time_after_the_content_binds_the_email_too(first, second, monkeypatch):
    def alarm(*_):
        raise SystemExit

    job = enqueue(1)
    work_on(enqueue(2))
    usual = smtp.Dialogue.deliver
    monkeypatch.setattr(smtp.Dialogue, "deliver", lambda self, raw: [usual(self, raw), alarm()])
    with pytest.raises(SystemExit):
        work_on(job)
    job.refresh_from_db()
    assert (job.status, job.bound_to) == ("failed", name_of(first))


@pytest.mark.parametrize("answer", ["451 4.3.0 not taken", "554 5.7.1 Relay access denied", "421 4.4.2 timeout"])
def test_an_email_whose_content_was_refused_in_words_is_free(first, second, answer):
    job = enqueue(1)
    first.behave(at="DATA", answer=answer)
    work_on(job)
    assert job.bound_to == ""


def test_an_email_bound_to_a_provider_that_is_not_configured_any_more_is_free(first, second):
    job = enqueue(1)
    JobLog.objects.update(bound_to="old.example.mn:25")
    assert work_on(job) == ["completed"]


def test_a_recipient_that_the_first_does_not_know_is_not_tried_at_the_second(first, second):
    first.behave(answer="550 5.1.1 no such user")
    job = enqueue(1)
    assert work_on(job) == ["dlq"]
    assert (second.connections, out_of_use()) == (0, set())


def test_an_unknown_refusal_of_three_recipients_frees_the_first_two_as_well(first, second):
    jobs = [enqueue(number) for number in range(4)]
    first.behave(answer="554 5.7.1 we do not like this")
    assert work_on(*jobs) == ["dlq", "dlq", "completed", "completed"]
    reconciler.sweep()
    assert work_on(*jobs) == ["completed"] * 4
    assert sorted(taken(second)) == [f"signin-{number}" for number in range(4)]


@pytest.mark.parametrize(
    ("faults", "status", "error_class"),
    [
        ((QUOTA, "554 5.7.1 Relay access denied"), "failed", "configuration"),
        (("554 5.7.1 Relay access denied", QUOTA), "failed", "configuration"),
        ((QUOTA, QUOTA), "failed", "throttled"),
        (("452 4.3.1 no space", QUOTA), "failed", "temporary"),
    ],
)
def test_with_both_out_of_use_the_error_counts_whose_end_is_seen_first(first, second, faults, status, error_class):
    job = enqueue(1)
    for server, answer in zip((first, second), faults, strict=True):
        server.behave(answer=answer)
    assert work_on(job) == [status]
    assert job.error_class == error_class
    assert out_of_use() == {name_of(first), name_of(second)}
    for server in (first, second):
        server.behave()
    ProviderState.objects.update(probe_at=Now())
    reconciler.sweep()
    assert (out_of_use(), pauses.suspended().count()) == (set(), 0)
    assert work_on(job) == ["completed"]


def test_a_type_waits_for_a_server_that_is_repaired_and_not_for_a_quota(first, second):
    first.behave(answer="554 5.7.1 Relay access denied")
    second.behave(at="DATA", answer=QUOTA)
    job = enqueue(1)
    work_on(job)
    reconciler.sweep()
    assert pauses.suspended().exists(), "the probe of the second would succeed and means nothing"
    first.behave()
    reconciler.sweep()
    assert not pauses.suspended().exists()
    assert work_on(job) == ["completed"]
    assert taken(first) == ["signin-1"]


def test_the_state_of_a_provider_that_is_no_longer_configured_goes(first, second):
    pauses.open_provider("old.example.mn:25", "configuration", "no", 0)
    providers.bring_back()
    assert not ProviderState.objects.exists()


def test_metrics_doctor_and_overview_name_the_provider(first, second, client):
    first.behave(at="MAIL", answer="530 5.7.0 Authentication required")
    work_on(enqueue(1))
    metrics = client.get("/metrics").content.decode()
    assert f'notifier_mails_total{{outcome="accepted",provider="{name_of(second)}"}} 1.0' in metrics
    assert f'notifier_mails_total{{outcome="configuration",provider="{name_of(first)}"}} 1.0' in metrics
    assert f'notifier_provider_breaker_open{{provider="{name_of(first)}"}} 1.0' in metrics
    assert f'notifier_provider_breaker_open{{provider="{name_of(second)}"}} 0.0' in metrics
    found = {finding.check: finding for finding in doctor.examine()}
    assert (found["mail server"].verdict, found["second mail server"].verdict) == (Verdict.FAULT, Verdict.OK)
    assert found["mail provider"].verdict == Verdict.WARNING
    assert name_of(first) in found["mail provider"].message
    client.force_login(operator("view_joblog"))
    page = client.get(reverse("admin:index"), headers={"accept-language": "en"}).content.decode()
    assert f"The mail provider {name_of(first)} went out of use" in page
    assert "Authentication required" in page


def test_without_a_second_server_nothing_is_asked_or_stored(first, django_assert_num_queries):
    with django_assert_num_queries(0):
        provider_breakers.this_process.exchange()
    assert [provider.name for provider in configured()] == [name_of(first)]
    first.behave(at="MAIL", answer="530 5.7.0 Authentication required")
    work_on(enqueue(1))
    assert (out_of_use(), pauses.suspended().count()) == (set(), 1)


class Service:
    """A backend that is not SMTP; `status` is what the service answers, None for no answer."""

    status: int | None = 200
    taken = 0

    def __init__(self, alias=None):
        pass

    def send_messages(self, messages):
        if self.status != 200:
            error = RuntimeError("the service did not take it")
            if self.status:
                error.status_code = self.status
            raise error
        type(self).taken += 1
        return len(messages)


@pytest.mark.parametrize(
    ("status", "bound", "through_second"),
    [
        (401, False, True),
        (402, False, True),
        (400, False, False),
        (429, False, False),
        (502, True, False),
        (None, True, False),
    ],
)
def test_a_service_in_front_of_the_second_server(second, settings, monkeypatch, status, bound, through_second):
    set_mailer(settings, f"{__name__}.Service")
    monkeypatch.setattr(Service, "status", status)
    job = enqueue(1)
    work_on(job)
    assert (bool(job.bound_to), taken(second) == ["signin-1"]) == (bound, through_second)
