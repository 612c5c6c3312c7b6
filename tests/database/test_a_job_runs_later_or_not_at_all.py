"""A job may be scheduled, rescheduled by an operator, and cancelled by its caller before it runs."""

from datetime import UTC, datetime, timedelta
from io import StringIO

import pytest
from django.core.management import CommandError, call_command
from django.db import transaction
from django.db.models.functions import Now
from django.utils import timezone
from django_q.models import OrmQ

from jobs.core.audit import AuditEntry
from jobs.core.job import JobLog, Reason, Status
from jobs.core.job_types import Policy
from jobs.core.scoreboard import process_context
from jobs.maintenance import reconciler
from jobs.queue import actions
from jobs.queue.cancel import cancel
from jobs.queue.enqueue import enqueue, enqueue_jobs, new_job
from jobs.worker import entry
from jobs.worker.executor import Executor
from tests.support import api_client, sample_types
from tests.support.operators import EVERYTHING, LIST, signed_in

pytestmark = [pytest.mark.django_db(transaction=True), pytest.mark.engine]
SECOND = timedelta(seconds=1)


@pytest.fixture(autouse=True)
def handled(monkeypatch):
    monkeypatch.setattr(process_context(), "executor", Executor(50))
    with sample_types.registered(policy=Policy(expires=3600.0)) as recorder:
        yield recorder


def scheduled(job_id: str, run_at: datetime | None) -> JobLog:
    enqueue(sample_types.NAME, {}, job_id=job_id, user_id="1", run_at=run_at)
    return JobLog.objects.get(job_id=job_id)


def in_hours(hours: float) -> datetime:
    return timezone.now() + timedelta(hours=hours)


def run_message(job: JobLog, attempt: int = 1) -> None:
    """A worker gets the message of a job."""
    [message] = OrmQ.objects.all()
    entry.run(job.pk, attempt, [message.pk])


def test_a_scheduled_job_and_its_message_wait_for_its_time(handled):
    run_at = in_hours(3)
    job = scheduled("later", run_at)
    assert (job.status, job.run_at, job.expires_at) == (Status.ENQUEUED, run_at, run_at + timedelta(hours=1))
    [message] = OrmQ.objects.all()
    assert abs(message.lock - run_at) < SECOND
    assert JobLog.objects.claim(job.pk, 1, "worker") is None
    assert JobLog.objects.claim_many([(job.pk, 1)], "worker") == []
    assert reconciler.requeue_orphans(timedelta(0)) == 0
    JobLog.objects.update(run_at=Now())
    run_message(job)
    assert handled.called == ["later"]


def test_a_zone_of_the_caller_changes_nothing():
    run_at = datetime.now(UTC).replace(microsecond=0) + timedelta(days=2)
    job = scheduled("later", run_at.astimezone(timezone.get_fixed_timezone(480)))
    assert job.run_at == run_at


def test_a_past_time_means_now(handled):
    job = scheduled("now", in_hours(-5))
    assert job.run_at == job.created_at
    assert job.expires_at == job.created_at + timedelta(hours=1)
    assert OrmQ.objects.get().lock - job.run_at < SECOND
    run_message(job)
    assert handled.called == ["now"]


@pytest.mark.parametrize(
    ("run_at", "why"),
    [
        ("2026-03-01", "a datetime with a time zone, not str"),
        (3600, "a datetime with a time zone, not int"),
        (datetime.fromisoformat("2030-01-01T09:00"), "must have a time zone"),
        (datetime(9999, 12, 31, tzinfo=UTC), "at most 366 days ahead"),
    ],
)
def test_a_time_that_cannot_be_meant_is_refused_and_nothing_is_written(run_at, why):
    with pytest.raises(ValueError, match=why):
        scheduled("never", run_at)
    assert (JobLog.objects.count(), OrmQ.objects.count()) == (0, 0)


def test_jobs_that_are_due_now_and_later_are_enqueued_together():
    jobs = [
        new_job(sample_types.NAME, {}, job_id=name, user_id="1", run_at=run_at)
        for name, run_at in (("now", None), ("later", in_hours(2)), ("last", in_hours(4)))
    ]
    assert enqueue_jobs(jobs) == [None, None, None]
    assert [round((row.lock - timezone.now()).total_seconds() / 3600) for row in OrmQ.objects.order_by("lock")] == [
        0,
        2,
        4,
    ]


def test_a_message_that_comes_too_early_is_sent_again_for_the_due_time(handled):
    job = scheduled("later", in_hours(3))
    run_message(job)
    [message] = OrmQ.objects.all()
    assert abs(message.lock - job.run_at) < SECOND
    assert handled.called == []


@pytest.mark.parametrize("wrong_by", [-90, 90])
def test_a_wrong_clock_of_a_worker_changes_no_time(monkeypatch, wrong_by):
    taken, later = scheduled("taken", None), scheduled("later", in_hours(3))
    JobLog.objects.claim(taken.pk, 1, "another")
    OrmQ.objects.all().delete()
    wrong = timezone.now() + timedelta(seconds=wrong_by)
    with monkeypatch.context() as patch:
        patch.setattr(timezone, "now", lambda: wrong)
        for job in (taken, later):
            entry.run(job.pk, 1)
    taken.refresh_from_db()
    ends, begins = OrmQ.objects.order_by("lock").values_list("lock", flat=True)
    assert abs(ends - taken.lease_until) < SECOND
    assert abs(begins - later.run_at) < SECOND


def test_a_waiting_job_is_cancelled_with_its_reason():
    job = scheduled("later", in_hours(3))
    assert cancel("later", why="the order was withdrawn")
    job.refresh_from_db()
    assert (job.status, job.dlq_reason, job.error) == (Status.DISCARDED, Reason.CANCELLED, "the order was withdrawn")
    assert job.processed_at is not None
    run_message(job)
    assert OrmQ.objects.count() == 0
    assert not cancel("later")
    assert not cancel("unknown")


def test_a_cancelled_job_is_never_run(handled):
    job = scheduled("soon", None)
    assert cancel("soon")
    run_message(job)
    assert handled.called == []


def test_a_running_or_settled_job_is_not_cancelled():
    job = scheduled("soon", None)
    claimed = JobLog.objects.claim(job.pk, 1, "worker")
    assert not cancel("soon")
    assert claimed.complete()
    assert not cancel("soon")
    job.refresh_from_db()
    assert (job.status, job.dlq_reason) == (Status.COMPLETED, "")


def test_a_cancellation_rolls_back_with_the_callers_transaction():
    scheduled("later", in_hours(3))
    with transaction.atomic():
        assert cancel("later")
        transaction.set_rollback(True)
    assert JobLog.objects.get().status == Status.ENQUEUED


@pytest.mark.parametrize("hours", [-1, 5])
def test_a_rescheduled_job_runs_at_its_new_time(handled, hours):
    job = scheduled("later", in_hours(3))
    assert actions.reschedule(job, in_hours(hours), who="boss", why="asked for")
    job.refresh_from_db()
    last = OrmQ.objects.order_by("pk").last()
    assert abs(last.lock - job.run_at) < SECOND
    assert job.expires_at == job.run_at + timedelta(hours=1)
    for message in list(OrmQ.objects.all()):
        entry.run(job.pk, 1, [message.pk])
    assert handled.called == (["later"] if hours < 0 else [])
    entry_row = AuditEntry.objects.get()
    assert (entry_row.act, entry_row.who, entry_row.detail["why"]) == ("reschedule", "boss", "asked for")


def test_a_reschedule_wakes_the_present_attempt_whatever_the_operator_saw(handled):
    job = scheduled("again", None)
    JobLog.objects.filter(pk=job.pk).update(attempt_count=1, status=Status.FAILED, run_at=in_hours(2))
    OrmQ.objects.all().delete()
    assert actions.reschedule(job, in_hours(-1), who="boss")
    run_message(job, attempt=2)
    assert handled.called == ["again"]


def test_operators_see_and_reschedule_a_scheduled_job():
    client = signed_in(*EVERYTHING)
    job = scheduled("later", in_hours(3))
    page = client.get(f"{LIST}{job.pk}/change/").content.decode()
    assert '<span class="pill enqueued">scheduled</span>' in page
    assert "It is scheduled: it is due in 2 h 59 min." in page
    listed = client.get(f"{LIST}?status=enqueued").content.decode()
    assert '<span class="pill enqueued">scheduled</span><small>due in 2 h 59 min</small>' in listed
    wanted = timezone.localtime(in_hours(30)).replace(second=0, microsecond=0)
    address = f"{LIST}{job.pk}/reschedule/"
    client.post(address, {"run_at": f"{wanted:%Y-%m-%dT%H:%M}"})
    job.refresh_from_db()
    assert job.run_at == wanted
    assert "Rescheduled" in client.get(f"{LIST}{job.pk}/change/").content.decode()
    for wrong in ("", "soon", "9999-01-01T00:00"):
        client.post(address, {"run_at": wrong})
    assert client.get(address).status_code == 405
    job.refresh_from_db()
    assert job.run_at == wanted
    cancel("later", why="withdrawn")
    assert (
        "the job is now discarded"
        in client.post(address, {"run_at": f"{wanted:%Y-%m-%dT%H:%M}"}, follow=True).content.decode()
    )
    page = client.get(f"{LIST}{job.pk}/change/").content.decode()
    assert "Its caller cancelled it before it ran." in page
    assert "withdrawn" in page
    assert "reschedule/" not in page


def test_the_command_line_reschedules_and_shows_when_a_job_is_due():
    job = scheduled("later", in_hours(3))
    out = StringIO()
    call_command("jobs", "list", stdout=out)
    assert f"due {job.run_at.isoformat(timespec='seconds')}" in out.getvalue()
    call_command("jobs", "reschedule", "later", "--at", "now", "--why", "asked for", stdout=out)
    job.refresh_from_db()
    assert job.run_at <= timezone.now() + SECOND
    call_command("jobs", "reschedule", "later", "--at", f"{in_hours(1):%Y-%m-%dT%H:%M:%S%z}", stdout=out)
    assert "due at" in out.getvalue()
    for wrong in ("soon", "9999-01-01"):
        with pytest.raises(CommandError, match="--at: "):
            call_command("jobs", "reschedule", "later", "--at", wrong)
    assert AuditEntry.objects.filter(act="reschedule", target="later").count() == 2


def test_a_site_cancels_its_own_waiting_jobs_over_the_api_and_no_others(client, handled):
    shop, other = api_client.key("enqueue"), api_client.key("enqueue", "admin", name="other")
    for name in ("first", "second"):
        enqueue(sample_types.NAME, {}, job_id=f"shop:{name}", user_id="1", source="shop", run_at=in_hours(1))

    def cancelled(name: str, key: str) -> tuple[int, str]:
        answer = api_client.post(client, None, key, f"/api/jobs/{name}/cancel")
        return answer.status_code, answer.json().get("status") or answer.json()["type"]

    assert cancelled("first", api_client.key("read")) == (403, 403)
    assert cancelled("shop:first", other) == (404, 404), "not even with the scope admin"
    assert cancelled("first", shop) == (202, "discarded")
    assert cancelled("first", shop) == (409, "discarded")
    assert cancelled("third", shop) == (404, 404)
    first, second = JobLog.objects.order_by("pk")
    assert (first.status, first.dlq_reason, first.error) == ("discarded", Reason.CANCELLED, "cancelled by its site")
    JobLog.objects.filter(pk=second.pk).update(run_at=Now())
    entry.run(second.pk, 1)
    assert cancelled("second", shop) == (409, "completed")
    assert handled.called == ["shop:second"]
