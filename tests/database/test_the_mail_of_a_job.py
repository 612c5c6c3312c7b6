"""From the job to the mail server and back: what its answer makes of the job, and which Message-ID it sees."""

import pytest
from django.db.models.functions import Now

from accounts.notices.sign_in import SIGN_IN_JOB
from jobs.core.job import JobLog
from jobs.queue.enqueue import enqueue as enqueue_job
from jobs.worker import entry
from tests.support.mail import PAYLOAD, delivering_to
from tests.support.smtp_server import SmtpServer

pytestmark = pytest.mark.django_db(transaction=True)


@pytest.fixture
def server(settings):
    with delivering_to(SmtpServer(), settings) as running:
        yield running


def enqueue(**changes):
    return enqueue_job(SIGN_IN_JOB, {**PAYLOAD, **changes}, job_id="signin-1", user_id="7")


def work_on(job):
    JobLog.objects.filter(pk=job.pk).update(run_at=Now())
    entry.run(job.pk, job.attempt_count + 1)
    job.refresh_from_db()
    return job


@pytest.mark.parametrize(
    ("behaviour", "status", "reason", "error_class", "attempts_left"),
    [
        ({}, "completed", "", "", 4),
        ({"answer": "550 5.1.1 no such user"}, "dlq", "permanent", "permanent", 4),
        ({"answer": "450 4.2.1 later"}, "failed", "", "temporary", 4),
        ({"answer": "421 4.7.0 later"}, "failed", "", "throttled", 5),
        ({"at": "CONNECT", "die": True}, "failed", "", "unreachable", 4),
    ],
)
def test_the_answer_of_the_mail_server_decides_the_outcome_of_the_job(
    server, behaviour, status, reason, error_class, attempts_left
):
    server.behave(**behaviour)
    job = work_on(enqueue())
    assert (job.status, job.dlq_reason, job.error_class, job.attempts_left) == (
        status,
        reason,
        error_class,
        attempts_left,
    )
    assert behaviour.get("answer", "") in job.error


def test_a_user_without_an_address_is_a_dead_letter_with_a_reason(server):
    job = work_on(enqueue(email=""))
    assert (job.status, job.dlq_reason, job.error) == ("dlq", "permanent", "there is no mail address")


def test_every_try_of_a_job_carries_the_message_id_of_the_first(server):
    job = enqueue()
    server.behave(at="DATA", die=True, times=2)
    for _ in range(3):
        work_on(job)
    assert job.status == "completed"
    assert [mail.message_id for mail in server.mails] == ["<signin-1@testserver>"] * 3


def test_the_code_and_the_words_of_a_refusal_are_kept_with_the_attempt(server):
    server.behave(answer="550 5.1.1 no such user")
    attempt = work_on(enqueue()).attempts.get()
    assert (attempt.error_code, attempt.fingerprint) == (550, "SMTPRecipientsRefused 550")
    assert "the mail server refused the recipient: 550 5.1.1 no such user" in attempt.error
