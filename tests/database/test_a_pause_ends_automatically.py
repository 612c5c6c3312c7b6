"""Pauses: of a type, a lane or all email, for as long as the operator says; every page shows what is left."""

import json
from datetime import timedelta

import pytest
from django.core.management import CommandError, call_command
from django.utils import timezone

from jobs.brokers import orm
from jobs.core import job_types, pauses
from jobs.core.audit import AuditEntry
from jobs.core.job import JobLog, Status
from jobs.core.pauses import JobTypeState, LaneState
from jobs.core.sql import from_now
from jobs.maintenance import reconciler
from jobs.queue import actions
from tests.support import sample_types
from tests.support.operators import EVERYTHING, signed_in
from tests.support.operators import job as make_job

pytestmark = [pytest.mark.django_db(transaction=True), pytest.mark.engine]
TYPES = "/admin/jobs/jobtypestate/"
HOUR = timedelta(hours=1)


@pytest.fixture
def handled():
    with sample_types.registered() as recorder:
        yield recorder


def is_claimed(job: JobLog) -> bool:
    return bool(JobLog.objects.claim_many([(job.pk, job.attempt_count + 1)], "w"))


def in_an_hour():
    return timezone.now() + HOUR


TARGETS = [sample_types.NAME, "lane:bulk"]


@pytest.mark.parametrize("attempts", [0, 1], ids=["first attempt", "later attempt"])
@pytest.mark.parametrize("target", TARGETS)
def test_what_is_paused_is_not_claimed_and_runs_from_the_end_of_the_pause(handled, target, attempts):
    job = sample_types.enqueue("a", lane="bulk")
    JobLog.objects.update(attempt_count=attempts)
    job.refresh_from_db()
    assert actions.pause(target, who="boss", why="moving", until=in_an_hour())
    assert not is_claimed(job)
    for model in (JobTypeState, LaneState):
        model.objects.update(paused_until=from_now(-1))
    assert is_claimed(job), "without anybody"


@pytest.mark.parametrize("target", TARGETS)
def test_a_pause_without_an_end_lasts_until_it_is_resumed(handled, target):
    job = sample_types.enqueue("a", lane="bulk")
    actions.pause(target, who="boss", why="moving")
    assert not actions.pause(target, who="other", why="again"), "it is paused already"
    assert not is_claimed(job)
    assert actions.resume(target, who="boss")
    assert not actions.resume(target, who="boss")
    assert is_claimed(job)
    assert list(AuditEntry.objects.order_by("pk").values_list("act", "target")) == [
        ("pause", target),
        ("resume", target),
    ]


def test_other_lanes_and_types_run_meanwhile(handled):
    actions.pause("lane:bulk", who="boss", why="moving")
    assert is_claimed(sample_types.enqueue("a", lane="default"))
    actions.pause("signin-notification", who="boss", why="moving")
    assert is_claimed(sample_types.enqueue("b", lane="alert"))


def test_after_a_pause_its_jobs_get_messages_and_the_state_is_clean(handled):
    job = sample_types.enqueue("a", lane="bulk")
    actions.pause("lane:bulk", who="boss", why="moving", until=in_an_hour())
    orm.OrmBroker().acknowledge([row.pk for row in orm.OrmBroker.get_connection()])
    JobLog.objects.update(run_at=from_now(-60))
    assert reconciler.requeue_orphans() == 0
    LaneState.objects.update(paused_until=from_now(-1))
    assert any(query.exists() for query in pauses.ended_pauses())
    reconciler.sweep()
    assert LaneState.objects.get().paused_at is None
    assert [tuple(task.receipts) for task in orm.OrmBroker()._fetch()], f"{job} has a message again"
    assert actions.pause("lane:bulk", who="boss", why="again"), "it may be paused again"


def test_all_email_is_every_type_that_sends_one(handled):
    actions.pause(job_types.mail_types()[0], who="boss", why="for good")
    assert actions.pause(actions.ALL_MAIL, who="boss", why="moving", until=in_an_hour())
    paused = pauses.paused_types()
    assert set(paused.values_list("job_type", flat=True)) == set(job_types.mail_types())
    assert "signin-notification" in job_types.mail_types()
    assert paused.get(job_type=job_types.mail_types()[0]).paused_until is None, "a pause that was there stays"
    assert is_claimed(sample_types.enqueue("a")), "a job that sends no email runs"
    detail = AuditEntry.objects.latest("pk").detail
    assert detail["why"] == "moving"
    assert "until" in detail
    assert actions.resume(actions.ALL_MAIL, who="boss")
    assert not pauses.active_pauses()


def test_two_clicks_pause_all_email_for_an_hour_and_every_page_counts_down():
    client = signed_in(*EVERYTHING)
    page = client.get(TYPES).content.decode()
    assert 'name="hours" value="1"' in page
    client.post(f"{TYPES}pause/", {"job_type": "all-mail", "why": "maintenance", "hours": "1"})
    left = pauses.paused_types().first().paused_until - timezone.now()
    assert timedelta(minutes=58) < left <= HOUR
    for path in ("/admin/", TYPES, "/admin/jobs/joblog/", "/admin/jobs/auditentry/"):
        page = client.get(path).content.decode()
        assert "Paused: All email." in page, path
        assert "Ends in" in page, path
        assert page.count("data-until=") == 1, "one line for all email"
    client.post(f"{TYPES}resume/", {"job_type": "all-mail"})
    assert "data-until=" not in client.get(TYPES).content.decode()


@pytest.mark.parametrize(
    ("given", "paused"),
    [
        ({"until": "2100-01-01T10:00"}, True),
        ({"until": "2020-01-01T10:00"}, False),
        ({"until": "tomorrow"}, False),
        ({"hours": "x"}, False),
        ({"hours": "nan"}, False),
        ({"hours": "-1"}, False),
        ({"hours": "1e9"}, False),
        ({}, True),
    ],
)
def test_the_end_of_a_pause_is_a_time_in_the_future(given, paused):
    client = signed_in(*EVERYTHING)
    page = client.post(f"{TYPES}pause/", {"job_type": "lane:alert", "why": "x", **given}, follow=True)
    assert pauses.paused_lanes().exists() is paused
    assert ("must be a time in the future" in page.content.decode()) is not paused


def test_a_lane_that_does_not_exist_cannot_be_paused():
    client = signed_in(*EVERYTHING)
    assert client.post(f"{TYPES}pause/", {"job_type": "lane:express", "why": "x"}).status_code == 404
    with pytest.raises(CommandError):
        call_command("jobs", "pause", "lane:express")
    with pytest.raises(CommandError):
        call_command("jobs", "pause", "lane:bulk", "--hours", "0")


def test_the_command_line_pauses_for_hours_and_stats_shows_what_is_left(capsys):
    call_command("jobs", "pause", "all-mail", "--hours", "1", "--why", "moving")
    call_command("jobs", "pause", "lane:bulk", "--until", "2100-01-01T10:00+08:00")
    capsys.readouterr()
    call_command("jobs", "stats")
    exposed = capsys.readouterr().out
    assert "paused: signin-notification for 60 more minutes" in exposed
    assert "paused: lane:bulk for" in exposed
    call_command("jobs", "stats", "--json")
    stats = json.loads(capsys.readouterr().out)
    assert {"lane:bulk", "signin-notification"} <= {pause["target"] for pause in stats["paused"]}
    call_command("jobs", "resume", "lane:bulk")
    call_command("jobs", "resume", "all-mail")
    assert not pauses.active_pauses()


def test_lanes_are_shown_wherever_the_queue_is(client, capsys):
    make_job("a", Status.ENQUEUED, lane="urgent")
    make_job("b", Status.ENQUEUED, lane="bulk")
    JobLog.objects.filter(job_id="a").update(run_at=from_now(-60))
    ready = client.get("/readyz").json()
    assert ready["oldestDueSeconds"]["urgent"] >= 60
    assert ready["oldestDueSeconds"].keys() == {"urgent", "alert", "default", "bulk"}
    metrics = client.get("/metrics").content.decode()
    assert 'notifier_jobs_waiting{lane="bulk"} 1.0' in metrics
    assert 'notifier_jobs_waiting{lane="default"} 0.0' in metrics
    assert 'notifier_oldest_due_seconds{lane="urgent"} 6' in metrics
    assert 'notifier_lane_paused{lane="urgent"} 0.0' in metrics
    call_command("jobs", "stats", "--json")
    stats = json.loads(capsys.readouterr().out)["lanes"]
    assert (stats["bulk"]["waiting"], stats["urgent"]["oldestDueSeconds"] >= 60) == (1, True)
    call_command("jobs", "list", "--lane", "bulk")
    assert [line.split()[0] for line in capsys.readouterr().out.splitlines()] == ["b"]


def test_a_paused_lane_is_named_and_does_not_make_the_site_unready(client):
    make_job("a", Status.ENQUEUED, lane="bulk")
    JobLog.objects.update(run_at=from_now(-3600))
    assert client.get("/readyz").json()["checks"]["queue"] != "ok"
    actions.pause("lane:bulk", who="boss", why="moving")
    exposed = client.get("/readyz").json()
    assert (exposed["checks"]["queue"], exposed["held"]) == ("ok", {"lane:bulk": "paused by an operator"})
    assert exposed["oldestDueSeconds"]["bulk"] == 0
    assert 'notifier_lane_paused{lane="bulk"} 1.0' in client.get("/metrics").content.decode()


def test_the_operator_filters_by_lane_and_sees_the_lanes_on_the_overview():
    client = signed_in(*EVERYTHING)
    for lane in ("urgent", "bulk"):
        make_job(f"job-{lane}", Status.ENQUEUED, lane=lane)
    listed = client.get("/admin/jobs/joblog/?status=enqueued&lane=urgent").content.decode()
    assert "job-urgent" in listed
    assert "job-bulk" not in listed
    overview = client.get("/admin/").content.decode()
    assert "?status=enqueued&amp;lane=urgent" in overview
    pk = JobLog.objects.get(job_id="job-bulk").pk
    actions.pause("lane:bulk", who="dorj", why="moving house")
    assert (
        "Jobs of the lane bulk are paused by dorj: moving house"
        in client.get(f"/admin/jobs/joblog/{pk}/change/").content.decode()
    )
