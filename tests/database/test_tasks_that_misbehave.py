"""Tasks that raise, leave or return what they should not end with a clear error, and the next job is unaffected."""

import re
import threading

import pytest
from django.core import checks as system_checks
from django.db import connection, transaction
from django.utils import timezone, translation

from jobs import checks
from jobs.core import job_types
from jobs.core.audit import AuditEntry
from jobs.core.job import JobLog, Reason, Status
from jobs.core.job_types import Policy
from jobs.queue import actions
from jobs.queue.enqueue import Duplicate
from jobs.tasks import Unique, options
from jobs.tasks.compat import InvalidTask, TaskResultDoesNotExist, TaskResultStatus, task, task_backends
from jobs.tasks.enqueue import enqueue_task
from jobs.tasks.stored import TaskResultRow
from jobs.testing import run_jobs
from tests.support import sample_tasks

pytestmark = [pytest.mark.django_db(transaction=True), pytest.mark.engine]


def result_of(of, *args):
    """Run one enqueued task; its job and its result."""
    result = of.enqueue(*args)
    run_jobs()
    result.refresh()
    return JobLog.objects.get(job_id=result.id), result


@pytest.mark.parametrize(
    ("how", "path"),
    [
        ("exit", "builtins.SystemExit"),
        ("interrupt", "builtins.KeyboardInterrupt"),
        ("cancel", "asyncio.exceptions.CancelledError"),
    ],
)
def test_an_exception_that_would_end_the_process_is_a_failed_attempt(how, path):
    job, result = result_of(sample_tasks.end, how)
    assert (job.status, job.dlq_reason) == (Status.DLQ, Reason.EXHAUSTED)
    assert [error.exception_class_path for error in result.errors] == [path]


def test_an_exception_without_a_text_and_with_misleading_fields_is_a_failed_attempt():
    job, result = result_of(sample_tasks.raise_unprintable)
    assert (job.status, job.error_class, job.fingerprint) == (Status.DLQ, "temporary", "Unprintable")
    assert result.errors[0].exception_class is sample_tasks.Unprintable


@pytest.mark.parametrize("returned", [sample_tasks.return_object, sample_tasks.return_much])
def test_a_return_value_that_cannot_be_stored_is_a_permanent_failure_after_the_work(returned):
    job, result = result_of(returned)
    assert (job.status, job.dlq_reason, result.attempts) == (Status.DLQ, Reason.PERMANENT, 1)
    assert re.match("the task did its work, but the return value of tests.support.sample_tasks.return_", job.error)


@pytest.mark.parametrize("left", ["leave_atomic_open", "leave_autocommit_off", "leave_begin"])
def test_a_transaction_that_is_left_open_is_rolled_back_and_the_next_job_commits(left):
    sample_tasks.mark.enqueue("before")
    job, _ = result_of(getattr(sample_tasks, left))
    assert (job.status, job.dlq_reason) == (Status.DLQ, Reason.PERMANENT)
    assert "returned inside an open transaction" in job.error
    sample_tasks.mark.enqueue("after")
    run_jobs()
    assert [entry.target for entry in AuditEntry.objects.order_by("pk")] == ["before", "after"]
    assert not connection.in_atomic_block
    assert connection.get_autocommit()


def test_a_transaction_that_an_error_leaves_open_is_rolled_back_and_the_error_reported():
    job, result = result_of(sample_tasks.fail_in_atomic)
    assert (job.error, result.errors[0].exception_class) == ("in atomic", ValueError)
    assert not AuditEntry.objects.exists()
    assert not connection.in_atomic_block


def test_language_and_time_zone_of_a_task_end_with_it():
    before = (translation.get_language(), timezone.get_current_timezone_name())
    job, _ = result_of(sample_tasks.leave_language)
    assert job.status == Status.COMPLETED
    assert (translation.get_language(), timezone.get_current_timezone_name()) == before


def test_a_task_that_no_longer_exists_is_a_dead_letter_that_a_deploy_and_a_replay_revive(monkeypatch):
    result = sample_tasks.mark.enqueue("revived")
    found = sample_tasks.mark
    monkeypatch.delattr(sample_tasks, "mark")
    job_types.unregister("task:tests.support.sample_tasks.mark")
    [job] = run_jobs()
    assert (job.status, job.dlq_reason, job.attempt_count) == (Status.DLQ, Reason.EXHAUSTED, 5)
    assert "the task tests.support.sample_tasks.mark cannot be imported" in job.error
    with pytest.raises(TaskResultDoesNotExist, match="cannot be imported"):
        found.get_result(result.id)
    monkeypatch.setattr(sample_tasks, "mark", found, raising=False)
    assert actions.replay(job, who=None)
    run_jobs()
    assert found.get_result(result.id).return_value == "revived"


def test_a_task_whose_decorator_was_removed_says_so(monkeypatch):
    sample_tasks.mark.enqueue("x")
    monkeypatch.setattr(sample_tasks, "mark", sample_tasks.mark.func)
    job_types.unregister("task:tests.support.sample_tasks.mark")
    [job] = run_jobs()
    assert "is not a task in this version of the site: it has no @task" in job.error


def test_functions_that_no_worker_can_import_are_refused():
    def inner():
        pass

    outside = type(sample_tasks.plain)(sample_tasks.plain.__code__, {"__name__": "__main__"}, "outside")
    longest = type(sample_tasks.plain)(sample_tasks.plain.__code__, {"__name__": "a." * 200}, "plain")
    for refused in (inner, sample_tasks.nameless, sample_tasks.Holder.method, outside, longest, len):
        with pytest.raises(InvalidTask):
            task(refused)
    hidden = task(sample_tasks.plain)  # the module has the plain function under this name
    with pytest.raises(InvalidTask, match="No worker would find this task"):
        hidden.enqueue()


def test_a_task_with_a_context_needs_a_parameter_for_it():
    with pytest.raises(InvalidTask):
        task(takes_context=True)(sample_tasks.plain)


def test_arguments_that_do_not_fit_are_the_error_of_the_attempt():
    result = sample_tasks.add.enqueue(1)
    run_jobs()
    result.refresh()
    assert (result.status, result.errors[0].exception_class) == (TaskResultStatus.FAILED, TypeError)


@pytest.mark.parametrize("progress", [(-1, 5), (6, 5), (1.5, 5), ("1", 5), (True, 1), (0, 2**70)])
def test_an_impossible_progress_is_refused(progress):
    from jobs.tasks.run import Context

    with pytest.raises(ValueError, match="progress"):
        Context(task_result=None, job_key=1).progress(*progress)
    assert not TaskResultRow.objects.exists()


def test_options_are_the_policy_of_the_job_above_and_below_the_decorator():
    kind = job_types.get("task:tests.support.sample_tasks.patient")
    assert kind.policy == Policy(max_attempts=2, backoff=0.1, timeout=7, expires=600.0)
    sample_tasks.patient.enqueue()
    job = JobLog.objects.get()
    assert (job.max_attempts, job.lane, (job.expires_at - job.run_at).total_seconds()) == (2, "urgent", 600.0)
    below = job_types.get("task:tests.support.sample_tasks.one_a_minute").policy.unique
    assert (below.period, below.key) == (60.0, ("user",))


def test_a_task_that_was_unknown_until_its_claim_has_its_lease():
    sample_tasks.patient.enqueue()
    job_types.unregister("task:tests.support.sample_tasks.patient")
    [claimed] = JobLog.objects.claim_many([(JobLog.objects.get().pk, 1)], "worker")
    claimed.refresh_from_db()
    assert 9 < (claimed.lease_until - claimed.processing_at).total_seconds() < 20


@pytest.mark.parametrize(
    "wrong",
    [
        {"max_attempts": 0},
        {"max_attempts": "3"},
        {"backoff": -1.0},
        {"backoff": ()},
        {"timeout": 0},
        {"timeout": 1.5},
        {"expires": 0},
        {"unique": Unique(period=-1.0)},
        {"backoff": (1.0,), "max_attempts": 5},
        {"backoff": 3600.0, "max_attempts": 9},
    ],
)
def test_impossible_options_are_refused(wrong):
    with pytest.raises(ValueError, match="options: "):
        options(**wrong)


def test_options_decorate_one_function_once():
    with pytest.raises(TypeError, match="options already"):
        options(timeout=1)(sample_tasks.patient)
    with pytest.raises(TypeError, match="decorate a function or a task"):
        options(timeout=1)("text")


def test_a_unique_task_is_enqueued_once_while_it_waits():
    first = sample_tasks.only_one.enqueue(1)
    assert sample_tasks.only_one.enqueue(user=1).id == first.id
    assert sample_tasks.only_one.using(priority=5).enqueue(1).id == first.id
    assert sample_tasks.only_one.enqueue(2).id != first.id
    assert sample_tasks.only_one.enqueue(1, page=2).id != first.id
    run_jobs()
    assert sample_tasks.only_one.enqueue(1).id != first.id


def test_a_task_that_is_unique_for_a_time_compares_the_parameters_of_its_key():
    first = sample_tasks.one_a_minute.enqueue(1, page=1)
    run_jobs()
    assert sample_tasks.one_a_minute.enqueue(1, page=2).id == first.id
    assert sample_tasks.one_a_minute.enqueue(2, page=2).id != first.id


def test_a_used_job_id_is_a_duplicate():
    job = enqueue_task(sample_tasks.add, (1, 2), job_id="schedule:x:1", lane="bulk")
    assert (job.job_id, job.lane, job.payload["args"]) == ("schedule:x:1", "bulk", [1, 2])
    with pytest.raises(Duplicate):
        enqueue_task(sample_tasks.add, (1, 2), job_id="schedule:x:1")


@pytest.mark.postgresql
def test_enqueues_of_one_task_wait_for_no_other_transaction():
    done = []

    def other():
        with connection.cursor() as cursor:
            cursor.execute("SET lock_timeout = '5s'")
        done.append(sample_tasks.add.enqueue(3, 4))
        connection.close()

    with transaction.atomic():
        sample_tasks.add.enqueue(1, 2)
        thread = threading.Thread(target=other)
        thread.start()
        thread.join()
        assert len(done) == 1


def test_an_operator_cannot_have_a_module_imported_by_naming_it(monkeypatch):
    asked = []
    monkeypatch.setattr("jobs.tasks.names.import_string", lambda path: asked.append(path))
    with pytest.raises(LookupError):
        actions.find_target("task:antigravity.fly")
    assert asked == []


def test_a_paused_task_waits():
    result = sample_tasks.add.enqueue(1, 2)
    assert actions.pause("task:tests.support.sample_tasks.add", who="operator", why="a test")
    sample_tasks.echo.enqueue(1)
    assert [job.job_type for job in run_jobs()] == ["task:tests.support.sample_tasks.echo"]
    assert actions.find_target("task:tests.support.sample_tasks.add")
    assert actions.resume("task:tests.support.sample_tasks.add", who="operator")
    run_jobs()
    assert sample_tasks.add.get_result(result.id).return_value == 3


def test_the_system_checks_name_what_is_wrong(settings):
    settings.TASKS = {"default": {"BACKEND": "jobs.tasks.Backend", "OPTIONS": {"workers": 3}}}
    assert [found.id for found in task_backends["default"].check()] == ["jobs.E006"]
    settings.TASKS = {"default": {"BACKEND": "jobs.tasks.Backend"}}
    kind = job_types.get("task:tests.support.sample_tasks.one_a_minute")
    wrong = Policy(unique=Unique(key=("usre",)))
    job_types.register(type(kind)(kind.name, kind.handler, policy=wrong))
    try:
        [fault] = task_backends["default"].check()
        assert (fault.id, "'usre'" in fault.msg) == ("jobs.E007", True)
    finally:
        job_types.register(kind)
    assert checks.possible_policies() == []
    assert "check_tasks" in {check.__name__ for check in system_checks.registry.registry.get_checks()}


def test_a_result_goes_with_the_personal_data_of_its_job(settings):
    from datetime import timedelta

    from django.db.models import F

    from jobs.maintenance.retention import prune

    result = sample_tasks.echo.enqueue("secret")
    run_jobs()
    old = timedelta(days=settings.RETENTION_DAYS_PAYLOAD + 1)
    JobLog.objects.update(processed_at=F("processed_at") - old, created_at=F("created_at") - old)
    TaskResultRow.objects.update(written_at=F("written_at") - old)
    assert prune(dry_run=True)["task results deleted"] == 1
    assert prune()["task results deleted"] == 1
    with pytest.raises(TaskResultDoesNotExist, match="RETENTION_DAYS_PAYLOAD"):
        sample_tasks.echo.get_result(result.id)
    assert JobLog.objects.count() == 1
