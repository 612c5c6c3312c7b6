"""The page and the command of the schedules: what they show, what they change, and who may."""

import json
from datetime import timedelta
from io import StringIO

import pytest
from django.core.management import CommandError, call_command
from django.db.models.functions import Now

from jobs.core.audit import AuditEntry
from jobs.core.job import JobLog, Status
from jobs.maintenance.faults import Faults
from jobs.schedules.state import ScheduleState
from jobs.schedules.ticker import Ticker
from tests.support.operators import job, signed_in

pytestmark = [pytest.mark.django_db, pytest.mark.engine]

PAGE = "/admin/jobs/schedulestate/"
DIGEST = {"task": "tests.support.sample_tasks.echo", "cron": "0 9 * * 1", "timezone": "Asia/Ulaanbaatar"}


@pytest.fixture
def schedules(settings):
    """Two schedules, one of them wrong, that a cluster has started with."""
    settings.SCHEDULES = {"weekly-digest": DIGEST, "wrong": {**DIGEST, "cron": "61 * * * *"}}
    Ticker(Faults()).tick_all()


@pytest.fixture
def client(schedules):
    return signed_in("view_schedulestate", "operate_schedulestate", "view_joblog")


def command(*arguments: str) -> str:
    out = StringIO()
    call_command("schedules", *arguments, stdout=out)
    return out.getvalue().strip()


def row() -> ScheduleState:
    return ScheduleState.objects.get(name="weekly-digest")


def text(client) -> str:
    return client.get(PAGE).content.decode()


def test_the_page_shows_each_schedule_and_what_is_wrong(client):
    page = text(client)
    assert "weekly-digest" in page
    assert "Asia/Ulaanbaatar" in page
    assert "tests.support.sample_tasks.echo" in page
    assert row().next_tick is not None
    assert "the cron expression &#x27;61 * * * *&#x27; is not valid" in page


def test_the_buttons_run_pause_and_resume_and_are_audited(client):
    client.post(f"{PAGE}run/", {"name": "weekly-digest"})
    started = JobLog.objects.get()
    assert started.job_id == row().last_job_id
    assert started.job_id in text(client)
    client.post(f"{PAGE}pause/", {"name": "weekly-digest", "why": " "})
    assert row().paused_at is None
    client.post(f"{PAGE}pause/", {"name": "weekly-digest", "why": "holidays"})
    assert (row().paused_by, row().pause_reason) == ("saraa", "holidays")
    assert "holidays" in text(client)
    client.post(f"{PAGE}resume/", {"name": "weekly-digest"})
    assert row().paused_at is None
    entries = AuditEntry.objects.filter(target="schedule:weekly-digest").order_by("pk")
    assert [entry.act for entry in entries] == ["run_now", "pause", "resume"]


@pytest.mark.parametrize("action", ["run", "pause", "resume"])
def test_each_button_needs_the_permission_and_a_post(schedules, action):
    viewer = signed_in("view_schedulestate")
    assert viewer.get(PAGE).status_code == 200
    assert viewer.post(f"{PAGE}{action}/", {"name": "weekly-digest", "why": "x"}).status_code == 403
    assert viewer.get(f"{PAGE}{action}/").status_code == 405
    assert AuditEntry.objects.filter(target="schedule:weekly-digest").count() == 0


def test_without_a_permission_there_is_no_page(schedules):
    assert signed_in("view_joblog").get(PAGE).status_code == 403


@pytest.mark.parametrize("name", ["", "nothing", "\x00", "x" * 10_000, "wrong\x00"])
def test_an_unknown_name_is_not_found(client, name):
    expected = 302 if name == "wrong\x00" else 404
    assert client.post(f"{PAGE}run/", {"name": name}).status_code == expected
    assert JobLog.objects.count() == 0


def test_a_dead_last_job_and_an_overdue_schedule_are_reported(client):
    overview = "/admin/"
    ScheduleState.objects.update(last_job_id="schedule:weekly-digest:x")
    job("schedule:weekly-digest:x", Status.COMPLETED)
    assert "Its last job is a dead letter" not in text(client)
    assert "Schedules that need attention: wrong." in client.get(overview).content.decode()
    JobLog.objects.update(status=Status.DLQ)
    assert "Its last job is a dead letter" in text(client)
    assert "Schedules that need attention: weekly-digest, wrong." in client.get(overview).content.decode()
    JobLog.objects.all().delete()
    ScheduleState.objects.update(next_tick=Now() - timedelta(minutes=5))
    assert "Schedules that need attention: weekly-digest, wrong." in client.get(overview).content.decode()


def test_the_command_does_the_same(schedules):
    listed = {each["name"]: each for each in json.loads(command("--json", "list"))}
    assert listed["weekly-digest"]["state"] == "active"
    assert listed["wrong"]["state"] == "wrong"
    assert "61 * * * *" in command("list")
    assert command("run", "weekly-digest", "--why", "by hand").startswith("schedule:weekly-digest:now-")
    assert command("pause", "weekly-digest") == "paused"
    assert command("pause", "weekly-digest") == "was paused already"
    assert json.loads(command("--json", "list"))[0]["state"] == "paused"
    assert command("resume", "weekly-digest") == "resumed"
    assert AuditEntry.objects.filter(who__startswith="cli:").count() == 3


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (["run", "nothing"], "there is no schedule 'nothing'"),
        (["run", "wrong"], "61"),
        (["pause", "nothing"], "no cluster has a schedule 'nothing'"),
    ],
)
def test_the_command_says_what_is_wrong(schedules, arguments, said):
    with pytest.raises(CommandError, match=said):
        command(*arguments)


def test_a_schedule_that_no_cluster_has_yet_and_one_that_was_removed_are_shown(client, settings):
    settings.SCHEDULES = {"new": DIGEST}
    page = text(client)
    assert "No cluster has started with it yet" in page
    assert "It is no longer in the settings" in page
