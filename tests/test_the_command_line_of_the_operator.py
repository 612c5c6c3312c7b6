"""`manage.py jobs`: each verb, its --json, its --dry-run, and what it says to nonsense."""

import json
from io import StringIO

import pytest
from django.core.management import CommandError, call_command

from jobs import errors, pauses
from jobs.audit import AuditEntry
from jobs.bulk import BulkReplay
from jobs.models import JobLog, Reason, Status
from tests import job_types

pytestmark = [pytest.mark.django_db(transaction=True), pytest.mark.engine]


@pytest.fixture(autouse=True)
def two_dead_and_one_waiting():
    with job_types.registered():
        for job_id in ("a", "b"):
            job = job_types.enqueue(job_id)
            failure = errors.describe(errors.Temporary("450 busy", code=450))
            JobLog.objects.claim(job.pk, 1, "w").bury(failure, Reason.EXHAUSTED)
        job_types.enqueue("c")
        yield


def told(*arguments: str) -> str:
    out = StringIO()
    call_command("jobs", *arguments, stdout=out)
    return out.getvalue()


def as_json(*arguments: str):
    return json.loads(told(*arguments, "--json"))


def status(job_id: str) -> str:
    return JobLog.objects.get(job_id=job_id).status


def test_list_shows_the_newest_and_filters():
    assert [row["jobId"] for row in as_json("list")] == ["c", "b", "a"]
    assert [row["jobId"] for row in as_json("list", "--status", "dlq", "--limit", "1")] == ["b"]
    assert as_json("list", "--reason", "permanent") == []
    assert "exhausted Temporary 450" in told("list")


def test_show_tells_every_attempt():
    shown = as_json("show", "a")
    assert (shown["status"], shown["error"], shown["tries"][0]["number"]) == ("dlq", "450 busy", 1)
    assert "#1" in told("show", "a")


def test_stats_counts_each_status():
    counted = as_json("stats")["statuses"]
    assert (counted["dlq"], counted["enqueued"], counted["completed"]) == (2, 1, 0)
    assert "oldest due job" in told("stats")


def test_replay_and_discard_say_how_many_they_did():
    assert as_json("replay", "a", "c") == {"matched": 1, "done": 1}
    assert status("a") == Status.ENQUEUED
    assert as_json("replay", "a") == {"matched": 0, "done": 0}
    assert as_json("discard", "--error-class", "temporary", "--why", "test") == {"matched": 1, "done": 1}
    assert status("b") == Status.DISCARDED
    assert list(AuditEntry.objects.order_by("id").values_list("act", "target")) == [("replay", "a"), ("discard", "b")]


def test_replay_of_a_filter_is_a_bulk_replay():
    told_so = as_json("replay", "--reason", "exhausted", "--why", "mended")
    assert told_so["matched"] == 2
    assert BulkReplay.objects.get().why == "mended"


@pytest.mark.parametrize("verb", ["replay", "discard"])
def test_a_dry_run_changes_nothing(verb):
    assert as_json(verb, "--reason", "exhausted", "--dry-run") == {"matched": 2, "done": 0}
    assert as_json(verb, "a", "--dry-run") == {"matched": 1, "done": 0}
    assert (status("a"), BulkReplay.objects.count(), AuditEntry.objects.count()) == ("dlq", 0, 0)


def test_pause_and_resume_are_told_and_audited():
    assert as_json("pause", job_types.NAME, "--why", "maintenance") == {"paused": True}
    assert told("pause", job_types.NAME) == "was paused already\n"
    assert pauses.held().get().pause_reason == "maintenance"
    assert as_json("stats")["held"] == [job_types.NAME]
    assert as_json("resume", job_types.NAME) == {"resumed": True}
    assert told("resume", job_types.NAME) == "was not paused\n"


@pytest.mark.parametrize(
    ("arguments", "says"),
    [
        (["show", "nobody"], "there is no job 'nobody'"),
        (["replay"], "name job ids, or a filter"),
        (["replay", "a", "--reason", "exhausted"], "not both"),
        (["list", "--limit", "0"], "--limit must be 1 or more"),
        (["list", "--status", "lost"], "invalid choice"),
        (["pause", "no-such-type"], "no handler is registered"),
    ],
)
def test_nonsense_is_refused_with_a_reason(arguments, says):
    with pytest.raises(CommandError, match=says):
        call_command("jobs", *arguments)
