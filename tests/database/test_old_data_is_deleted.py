"""Personal data goes, then rows, and a job id that was used stays used. A person sees and takes all of theirs."""

import json
from datetime import timedelta
from io import StringIO

import pytest
from django.core.management import call_command
from django.db.models.functions import Now
from django.utils import timezone

from accounts.sign_in.event import SignIn
from accounts.sign_in.known_devices import Device
from accounts.user import User
from jobs.cluster import maintenance
from jobs.core import audit, errors
from jobs.core.attempts import JobAttempt
from jobs.core.job import JobLog, Status
from jobs.core.used_ids import UsedJobId
from jobs.maintenance import retention
from jobs.queue.enqueue import Duplicate
from jobs.worker import entry
from notifier.ops import collector
from tests.support import people, sample_types

pytestmark = [pytest.mark.django_db, pytest.mark.engine]


def age(days: int, **where: object) -> None:
    then = timezone.now() - timedelta(days=days)
    JobLog.objects.filter(**where).update(created_at=then, processed_at=then, run_at=then)


def failing(error: Exception):
    def behave(job: JobLog) -> None:
        raise error

    return behave


@pytest.fixture
def jobs():
    """A completed job, a dead letter and one that waits, each with an address."""
    with sample_types.registered() as recorder:
        for name in ("done", "dead", "waits"):
            sample_types.enqueue(name, email="bat@example.mn")
        entry.run(JobLog.objects.get(job_id="done").pk, 1)
        recorder.behave = failing(errors.Permanent("bat@example.mn is unknown"))
        entry.run(JobLog.objects.get(job_id="dead").pk, 1)
        yield recorder


def test_personal_data_of_settled_jobs_is_blanked_after_its_days(jobs):
    age(31)
    counts = retention.prune()
    assert counts["dead letters discarded"] == 1
    assert counts["jobs blanked"] == 1
    assert counts["jobs deleted"] == 0
    by_id = {job.job_id: job for job in JobLog.objects.all()}
    assert by_id["done"].payload == by_id["dead"].payload == {}
    assert by_id["dead"].status == Status.DISCARDED
    assert by_id["dead"].error == JobAttempt.objects.get().error == JobAttempt.objects.get().trace == ""
    assert by_id["waits"].payload["email"] == "bat@example.mn"
    assert audit.AuditEntry.objects.filter(who="retention", target="dead").exists()


def test_nothing_younger_is_touched(jobs):
    age(29)
    assert set(retention.prune().values()) == {0}
    assert JobLog.objects.filter(payload={}).count() == 0


def test_a_job_that_waited_while_others_were_blanked_is_blanked_later(jobs):
    age(40)
    retention.prune()
    jobs.behave = lambda job: None
    entry.run(JobLog.objects.get(job_id="waits").pk, 1)
    age(40)
    retention.prune()
    assert JobLog.objects.get(job_id="waits").payload == {}


def test_rows_go_after_their_days_and_their_ids_stay_used(jobs):
    age(91)
    retention.prune()
    age(91)
    retention.prune()
    assert [job.job_id for job in JobLog.objects.all()] == ["waits"]
    assert JobAttempt.objects.count() == 0
    with pytest.raises(Duplicate) as there:
        sample_types.enqueue("done")
    assert there.value.job.status == Status.COMPLETED
    UsedJobId.objects.update(deleted_at=Now() - timedelta(days=731))
    assert retention.prune()["job ids forgotten"] == 2
    sample_types.enqueue("done")


def test_the_numbers_do_not_go_back_when_rows_go(jobs):
    def counters() -> dict[str, float]:
        families = collector.Collector().collect()
        return {f"{s.name}{s.labels.get('status', '')}": s.value for f in families for s in f.samples}

    before = counters()
    age(91)
    retention.prune()
    age(91, status=Status.DISCARDED)
    retention.prune()
    assert counters()["notifier_jobs_enqueued_total"] == before["notifier_jobs_enqueued_total"] == 3
    assert counters()["notifier_jobscompleted"] == 0


def test_a_dry_run_says_the_same_and_does_nothing(jobs):
    age(91)
    out = StringIO()
    call_command("prune_jobs", "--dry-run", "--json", stdout=out)
    assert json.loads(out.getvalue())["jobs deleted"] == 1
    assert JobLog.objects.filter(payload={}).count() == 0
    assert JobLog.objects.dead().count() == 1


def test_one_host_prunes_once_a_day(jobs, monkeypatch):
    pruned = []
    monkeypatch.setattr(maintenance.retention, "prune", lambda: pruned.append(1))
    monkeypatch.setattr(maintenance.connection, "close", lambda: None)
    for _ in range(3):
        maintenance.prune_once_a_day()
    assert pruned == [1]


def test_sign_ins_and_devices_go_after_their_days():
    people.person()
    people.sign_in(people.browser())
    SignIn.objects.update(at=Now() - timedelta(days=181))
    Device.objects.update(last_at=Now() - timedelta(days=181))
    people.sign_in(people.browser(people.FIREFOX))
    counts = retention.prune()
    assert (counts["sign-ins deleted"], counts["devices deleted"]) == (1, 1)
    assert SignIn.objects.count() == Device.objects.count() == 1


def test_a_person_gets_all_that_is_kept_of_them_and_nothing_of_others():
    for name in ("bat", "saran"):
        people.person(name)
        people.sign_in(people.browser(address="203.0.113.7"), name)
    out = StringIO()
    call_command("export_user", "bat", stdout=out)
    exported = json.loads(out.getvalue())
    assert exported["account"]["email"] == "bat@example.mn"
    assert [row["ip"] for row in exported["signIns"]] == ["203.0.113.7"]
    assert [row["payload"]["email"] for row in exported["jobs"]] == ["bat@example.mn"]
    assert "saran" not in out.getvalue()
    assert User.objects.get(username="bat").password not in out.getvalue()


def test_with_an_account_goes_all_that_was_kept_of_the_person():
    user = people.person()
    people.sign_in(people.browser())
    assert JobLog.objects.get().payload["email"] == "bat@example.mn"
    user.delete()
    job = JobLog.objects.get()
    assert (job.status, job.payload) == (Status.DISCARDED, {})
    assert SignIn.objects.count() == Device.objects.count() == 0
