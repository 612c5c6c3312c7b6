"""The page of a task's job shows its path, its masked arguments, its progress and its result."""

import pytest

from jobs.core.audit import AuditEntry
from jobs.core.job import JobLog
from jobs.tasks.stored import store_progress
from jobs.testing import run_jobs
from tests.support import sample_tasks
from tests.support.operators import EVERYTHING, LIST, signed_in

pytestmark = pytest.mark.django_db


@pytest.fixture
def operator():
    return signed_in(*EVERYTHING)


def page_of(operator, job):
    response = operator.get(f"{LIST}{job.pk}/change/")
    assert response.status_code == 200
    return response.content.decode()


def test_the_arguments_and_the_result_are_masked_until_they_are_revealed(operator):
    sample_tasks.echo.enqueue({"to": "bat.erdene@example.mn", "token": "s3cret-value", "note": "<b>bold</b>"})
    [job] = run_jobs()
    shown = page_of(operator, job)
    assert "<dd>tests.support.sample_tasks.echo</dd>" in shown
    assert 'id="result"' in shown
    assert shown.count("b***@example.mn") == 2
    assert "bat.erdene" not in shown
    assert "s3cret-value" not in shown
    assert "<b>bold" not in shown
    revealed = operator.post(f"{LIST}{job.pk}/reveal/").content.decode()
    assert revealed.count("bat.erdene@example.mn") == 2
    assert AuditEntry.objects.filter(act="reveal", target=job.job_id).exists()


def test_the_progress_of_a_running_task_is_shown_and_no_result(operator):
    sample_tasks.advance.enqueue(4)
    job = JobLog.objects.get()
    store_progress(job.pk, 1, 4)
    shown = page_of(operator, job)
    assert "1 / 4 (25 %)" in shown
    assert 'id="result"' not in shown


def test_the_page_of_a_task_that_no_longer_exists_is_shown(operator):
    sample_tasks.add.enqueue(1, 2)
    JobLog.objects.update(job_type="task:gone.away")
    shown = page_of(operator, JobLog.objects.get())
    assert "<dd>gone.away</dd>" in shown


def test_the_list_filters_by_task(operator):
    sample_tasks.add.enqueue(1, 2)
    sample_tasks.echo.enqueue(1)
    response = operator.get(LIST, {"status": "all", "type": "task:tests.support.sample_tasks.add"})
    assert response.content.decode().count('<td><span class="narrow">') > 0
    assert [row.job.job_type for row in response.context["rows"]] == ["task:tests.support.sample_tasks.add"]
