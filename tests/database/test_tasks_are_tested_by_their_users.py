"""The helpers for tests of code that enqueues tasks, and the document about tasks."""

import re
from pathlib import Path

import pytest
from django.conf import settings as site_settings
from django.test import TestCase

from jobs.core.job import JobLog, Status
from jobs.tasks.compat import TaskResultStatus, task_finished
from jobs.testing import run_jobs
from jobs.testing.plugin import run_enqueued_tasks  # noqa: F401  (as pytest_plugins would have it)
from tests.support import sample_tasks

ROOT = Path(site_settings.BASE_DIR)


def test_the_fixture_runs_what_was_enqueued(run_enqueued_tasks):  # noqa: F811
    result = sample_tasks.add.enqueue(1, 2)
    assert [job.status for job in run_enqueued_tasks()] == [Status.COMPLETED]
    result.refresh()
    assert result.return_value == 3


class TestWithinATestCase(TestCase):
    def test_tasks_run_and_their_signals_are_sent(self):
        finished = []

        def receive(task_result, **_):
            finished.append(task_result.status)

        task_finished.connect(receive)
        self.addCleanup(task_finished.disconnect, receive)
        sample_tasks.attempt_of.enqueue()
        [job] = run_jobs()
        assert (job.status, job.attempt_count, finished) == (Status.COMPLETED, 3, [TaskResultStatus.SUCCESSFUL])


@pytest.mark.django_db
def test_what_waits_for_its_time_is_left_alone_if_asked():
    sample_tasks.fail.enqueue()
    assert [job.status for job in run_jobs(wait=False)] == [Status.FAILED]
    assert [job.status for job in run_jobs()] == [Status.DLQ]
    assert run_jobs() == []


@pytest.mark.django_db
def test_jobs_without_an_end_are_reported():
    sample_tasks.fail.enqueue()
    with pytest.raises(AssertionError, match="2 attempts were made"):
        run_jobs(most=2)


@pytest.mark.django_db
def test_the_immediate_backend_runs_a_task_with_our_options(settings):
    backend = f"{type(sample_tasks.add).__module__.rpartition('.')[0]}.backends.immediate.ImmediateBackend"
    document = ROOT.joinpath("docs/tasks.md").read_text()
    assert any(f"{mark}{backend}{mark}" in document for mark in '"`')
    settings.TASKS = {"default": {"BACKEND": backend}}
    assert sample_tasks.only_one.enqueue(4).return_value == 4
    assert not JobLog.objects.exists()


def test_each_test_that_the_document_names_exists():
    named = set(re.findall(r"`(test_[a-z_]+)`", ROOT.joinpath("docs/tasks.md").read_text()))
    files = [*ROOT.glob("tests/database/test_tasks_*.py"), *ROOT.glob("tests/processes/test_tasks_*.py")]
    defined = {name for file in files for name in re.findall(r"def (test_\w+)\(", file.read_text())}
    assert len(named) > 15
    assert named - defined == set()
