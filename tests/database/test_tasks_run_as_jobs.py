"""Django's Tasks interface on the queue: what is enqueued runs as a job, and its result says how."""

from datetime import timedelta

import pytest
from asgiref.sync import async_to_sync
from django.db import transaction
from django.utils import timezone
from django_q.models import OrmQ

from jobs.core.attempts import JobAttempt
from jobs.core.audit import AuditEntry
from jobs.core.job import JobLog, Reason, Status
from jobs.core.pauses import Lane
from jobs.queue import actions
from jobs.tasks.compat import (
    InvalidTask,
    TaskResultDoesNotExist,
    TaskResultMismatch,
    TaskResultStatus,
    default_task_backend,
    task_enqueued,
    task_finished,
    task_started,
)
from jobs.tasks.stored import TaskResultRow
from jobs.testing import run_jobs
from jobs.worker import entry
from tests.support import sample_tasks

pytestmark = [pytest.mark.django_db(transaction=True), pytest.mark.engine]
READY, RUNNING = TaskResultStatus.READY, TaskResultStatus.RUNNING
SUCCESSFUL, FAILED = TaskResultStatus.SUCCESSFUL, TaskResultStatus.FAILED


@pytest.fixture(autouse=True)
def calls():
    sample_tasks.calls.clear()
    return sample_tasks.calls


def test_a_task_runs_once_and_its_result_can_be_read_anywhere(calls):
    result = sample_tasks.add.enqueue(1, right=2)
    assert (result.status, result.args, result.kwargs, result.attempts) == (READY, [1], {"right": 2}, 0)
    assert (result.started_at, result.finished_at, result.last_attempted_at) == (None, None, None)
    with pytest.raises(ValueError):
        result.return_value  # noqa: B018
    [job] = run_jobs()
    assert (job.job_type, calls) == ("task:tests.support.sample_tasks.add", [(1, 2)])
    read = sample_tasks.add.get_result(result.id)
    assert (read.status, read.return_value, read.attempts) == (SUCCESSFUL, 3, 1)
    assert read.enqueued_at == result.enqueued_at <= read.started_at == read.last_attempted_at <= read.finished_at
    assert (read.is_finished, read.errors, read.backend, len(read.worker_ids)) == (True, [], "default", 1)
    assert default_task_backend.get_result(result.id) == read
    result.refresh()
    assert result == read


def test_a_result_is_refreshed_and_read_asynchronously():
    async def life():
        result = await sample_tasks.add.aenqueue(1, 2)
        read = await sample_tasks.add.aget_result(result.id)
        await read.arefresh()
        return result, read

    enqueued, read = async_to_sync(life)()
    assert (enqueued.id, enqueued.status) == (read.id, READY)


def test_a_result_of_no_task_or_of_another_does_not_exist():
    result = sample_tasks.add.enqueue(1, 2)
    with pytest.raises(TaskResultMismatch):
        sample_tasks.echo.get_result(result.id)
    for unknown in ("unknown", "", "\x00", "x" * 10_000, None, 7):
        with pytest.raises(TaskResultDoesNotExist):
            default_task_backend.get_result(unknown)


def test_a_task_commits_and_rolls_back_with_its_caller():
    with transaction.atomic():
        sample_tasks.add.enqueue(1, 2)
        transaction.set_rollback(True)
    assert (JobLog.objects.count(), OrmQ.objects.count()) == (0, 0)
    with transaction.atomic():
        sample_tasks.add.enqueue(1, 2)
    assert (JobLog.objects.count(), OrmQ.objects.count()) == (1, 1)


def test_async_tasks_run_and_use_the_database():
    added, counted = sample_tasks.add_async.enqueue(1, 2), sample_tasks.count_users.enqueue()
    run_jobs()
    assert sample_tasks.add_async.get_result(added.id).return_value == 3
    assert sample_tasks.count_users.get_result(counted.id).return_value == 0


def test_a_retried_task_counts_its_attempts_and_keeps_its_errors(calls):
    result = sample_tasks.attempt_of.enqueue()
    entry.run(JobLog.objects.get().pk, 1)
    result.refresh()
    assert (result.status, result.attempts, result.finished_at) == (READY, 1, None)
    run_jobs()
    result.refresh()
    assert (calls, result.return_value, result.attempts) == ([1, 2, 3], 3, 3)
    assert [error.exception_class for error in result.errors] == [ValueError, ValueError]
    assert "attempt 1" in result.errors[0].traceback
    assert "attempt 2" in result.errors[1].traceback
    assert result.started_at < result.last_attempted_at


def test_a_task_that_always_fails_is_a_dead_letter_and_can_be_replayed():
    result = sample_tasks.fail_until.enqueue("ready")
    run_jobs()
    result.refresh()
    assert (result.status, result.is_finished, result.attempts, len(result.errors)) == (FAILED, True, 5, 5)
    with pytest.raises(ValueError):
        result.return_value  # noqa: B018
    sample_tasks.note("ready")
    assert actions.replay(JobLog.objects.get(), who=None)
    result.refresh()
    assert result.status == READY
    run_jobs()
    result.refresh()
    assert (result.status, result.return_value, result.attempts) == (SUCCESSFUL, "ready", 6)


def test_a_task_that_refuses_for_good_is_not_tried_again():
    result = sample_tasks.refuse.enqueue()
    [job] = run_jobs()
    result.refresh()
    assert (job.dlq_reason, result.attempts) == (Reason.PERMANENT, 1)
    assert [error.exception_class_path for error in result.errors] == ["jobs.core.errors.Permanent"]


def test_a_cancelled_task_has_failed_without_an_attempt():
    result = sample_tasks.add.enqueue(1, 2)
    assert JobLog.objects.get().cancel("no longer wanted")
    result.refresh()
    assert (result.status, result.attempts, result.errors[0].traceback) == (FAILED, 0, "no longer wanted")


def test_run_after_delays_a_task_and_a_past_one_does_not():
    later = timezone.now() + timedelta(hours=1)
    result = sample_tasks.add.using(run_after=later).enqueue(1, 2)
    assert JobLog.objects.get().run_at == later
    assert run_jobs(wait=False) == []
    assert sample_tasks.add.get_result(result.id).task.run_after == later
    run_jobs()
    past = sample_tasks.add.using(run_after=timezone.now() - timedelta(days=400)).enqueue(3, 4)
    run_jobs(wait=False)
    assert sample_tasks.add.get_result(past.id).return_value == 7


@pytest.mark.parametrize(
    ("priority", "lane"),
    [(100, "urgent"), (50, "urgent"), (49, "alert"), (1, "alert"), (0, "default"), (-1, "bulk"), (-100, "bulk")],
)
def test_a_priority_is_a_lane(priority, lane):
    result = sample_tasks.add.using(priority=priority).enqueue(1, 2)
    assert JobLog.objects.get().lane == Lane(lane)
    assert sample_tasks.add.get_result(result.id).task.priority == priority


@pytest.mark.parametrize("priority", [-101, 101, 0.5])
def test_an_impossible_priority_is_refused(priority):
    with pytest.raises(InvalidTask):
        sample_tasks.add.using(priority=priority)


def test_a_queue_name_is_kept_and_an_unknown_one_refused(settings):
    with pytest.raises(InvalidTask):
        sample_tasks.add.using(queue_name="special")
    settings.TASKS = {"default": {"BACKEND": "jobs.tasks.Backend", "QUEUES": ["default", "special"]}}
    result = sample_tasks.add.using(queue_name="special").enqueue(1, 2)
    assert sample_tasks.add.get_result(result.id).task.queue_name == "special"
    settings.TASKS = {"default": {"BACKEND": "jobs.tasks.Backend"}}
    assert sample_tasks.add.get_result(result.id).task.queue_name == "default"


def test_the_progress_and_the_context_of_a_task():
    sample_tasks.advance.enqueue(3)
    [job] = run_jobs()
    row = TaskResultRow.objects.get()
    assert (row.pk, row.done, row.total, row.value) == (job.pk, 3, 3, "done")


@pytest.mark.parametrize("value", [None, 0, "текст", [1, [2.5, None]], {"a": {"b": [True]}}, ""])
def test_a_json_value_survives_the_way_there_and_back(value):
    result = sample_tasks.echo.enqueue(value)
    assert sample_tasks.echo.get_result(result.id).args == [value]
    run_jobs()
    assert sample_tasks.echo.get_result(result.id).return_value == value


def test_tuples_keys_and_bytes_become_json_in_the_result_too():
    result = sample_tasks.echo.enqueue((1, {2: b"three"}))
    assert result.args == [[1, {"2": "three"}]]
    assert sample_tasks.echo.get_result(result.id).args == result.args


def nested(depth):
    value = []
    for _ in range(depth):
        value = [value]
    return value


@pytest.mark.parametrize(
    "value",
    [
        object(),
        {1, 2},
        timezone.now(),
        float("nan"),
        float("inf"),
        "\x00",
        "\ud800",
        b"\xff",
        "x" * 2**20,
        nested(5000),
    ],
    ids=["object", "set", "time", "nan", "inf", "nul", "surrogate", "bytes", "megabyte", "deep"],
)
def test_arguments_that_cannot_be_stored_are_refused_at_the_enqueue(value):
    with pytest.raises((TypeError, ValueError), match=r"arguments of tests\.support\.sample_tasks\.echo"):
        sample_tasks.echo.enqueue(value)
    assert JobLog.objects.count() == 0


def test_a_text_that_only_looks_like_a_nul_is_accepted():
    result = sample_tasks.echo.enqueue(r"\u0000")
    run_jobs()
    assert sample_tasks.echo.get_result(result.id).return_value == r"\u0000"


def test_signals_are_sent_as_documented():
    seen = []

    def receive(sender, task_result, signal, **_):
        seen.append((signal, sender, task_result.status))
        if signal is not task_enqueued:
            raise RuntimeError("a receiver that fails")

    for signal in (task_enqueued, task_started, task_finished):
        signal.connect(receive)
    try:
        sample_tasks.add.enqueue(1, 2)
        run_jobs()
        sample_tasks.fail_once.enqueue()
        run_jobs()
    finally:
        for signal in (task_enqueued, task_started, task_finished):
            signal.disconnect(receive)
    backend = type(default_task_backend.get_result(JobLog.objects.first().job_id).task.get_backend())
    expected = [(task_enqueued, READY), (task_started, RUNNING), (task_finished, SUCCESSFUL)]
    expected += [(task_enqueued, READY), (task_started, RUNNING), (task_finished, FAILED)]
    assert seen == [(signal, backend, status) for signal, status in expected]
    assert JobLog.objects.filter(status=Status.COMPLETED).count() == 1


def test_the_backend_supports_all_features():
    backend = default_task_backend
    supported = (backend.supports_defer, backend.supports_async_task, backend.supports_get_result)
    assert (*supported, backend.supports_priority) == (True, True, True, True)


def test_a_killed_attempt_is_an_error_of_the_result():
    result = sample_tasks.add.enqueue(1, 2)
    job = JobLog.objects.get()
    assert JobLog.objects.claim_many([(job.pk, 1)], "worker/1")
    JobLog.objects.all().expire_leases()
    entry.run(job.pk, 2)
    result.refresh()
    assert (result.status, result.attempts, result.worker_ids[0]) == (SUCCESSFUL, 2, "worker/1")
    assert [error.exception_class_path for error in result.errors] == ["jobs.tasks.results.WorkerLost"]
    assert JobAttempt.objects.count() == 1
    assert AuditEntry.objects.count() == 0
