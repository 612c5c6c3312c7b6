"""`manage.py jobs`: each verb, its --json, its --dry-run, and what it says to nonsense."""

import json
from io import StringIO

import pytest
from django.core.management import CommandError, call_command

from jobs.core import errors, pauses
from jobs.core.attempts import JobAttempt
from jobs.core.audit import AuditEntry
from jobs.core.job import JobLog, Reason, Status
from jobs.queue.bulk_replay import BulkReplay
from tests.support import sample_types

pytestmark = [pytest.mark.django_db(transaction=True), pytest.mark.engine]


@pytest.fixture(autouse=True)
def two_dead_and_one_waiting():
    with sample_types.registered():
        for job_id in ("a", "b"):
            job = sample_types.enqueue(job_id)
            failure = errors.describe(errors.Temporary("450 busy", code=450))
            JobLog.objects.claim(job.pk, 1, "w").bury(failure, Reason.EXHAUSTED)
        sample_types.enqueue("c")
        yield


def printed(*arguments: str) -> str:
    out = StringIO()
    call_command("jobs", *arguments, stdout=out)
    return out.getvalue()


def as_json(*arguments: str):
    return json.loads(printed(*arguments, "--json"))


def status(job_id: str) -> str:
    return JobLog.objects.get(job_id=job_id).status


def test_list_shows_the_newest_and_filters():
    assert [row["jobId"] for row in as_json("list")] == ["c", "b", "a"]
    assert [row["jobId"] for row in as_json("list", "--status", "dlq", "--limit", "1")] == ["b"]
    assert as_json("list", "--reason", "permanent") == []
    assert "exhausted Temporary 450" in printed("list")


def test_show_tells_every_attempt():
    shown = as_json("show", "a")
    assert (shown["status"], shown["error"], shown["tries"][0]["number"]) == ("dlq", "450 busy", 1)
    shown = printed("show", "a")
    assert "Attempt 1: failed" in shown
    assert "450 busy" in shown
    assert "Dead letter: every attempt failed" in shown


def test_show_writes_what_a_server_says_as_text_and_not_to_the_terminal():
    hostile = "450 \x1b[2J\x07\u202ebusy\nstatus: completed"
    JobLog.objects.filter(job_id="a").update(error=hostile, fingerprint="X\x9b31m")
    JobAttempt.objects.update(error=hostile)
    shown = printed("show", "a")
    assert not set(shown) & set("\x1b\x07\u202e\x9b")
    assert "450 \\u001b[2J\\u0007\\u202ebusy" in shown
    assert "\nstatus: completed" not in shown
    assert as_json("show", "a")["error"] == hostile
    assert not set(printed("show", "a", "--json")) & set("\x1b\x07\u202e\x9b")
    assert "\x9b" not in printed("list")


def test_stats_counts_each_status():
    counted = as_json("stats")["statuses"]
    assert (counted["dlq"], counted["enqueued"], counted["completed"]) == (2, 1, 0)
    assert "oldest due job" in printed("stats")


def test_replay_and_discard_say_how_many_they_did():
    assert as_json("replay", "a", "c") == {"matched": 1, "done": 1}
    assert status("a") == Status.ENQUEUED
    assert as_json("replay", "a") == {"matched": 0, "done": 0}
    assert as_json("discard", "--error-class", "temporary", "--why", "test") == {"matched": 1, "done": 1}
    assert status("b") == Status.DISCARDED
    assert list(AuditEntry.objects.order_by("id").values_list("act", "target")) == [("replay", "a"), ("discard", "b")]


def test_replay_of_a_filter_is_a_bulk_replay():
    answer = as_json("replay", "--reason", "exhausted", "--why", "repaired")
    assert answer["matched"] == 2
    assert BulkReplay.objects.get().why == "repaired"


@pytest.mark.parametrize("verb", ["replay", "discard"])
def test_a_dry_run_changes_nothing(verb):
    assert as_json(verb, "--reason", "exhausted", "--dry-run") == {"matched": 2, "done": 0}
    assert as_json(verb, "a", "--dry-run") == {"matched": 1, "done": 0}
    assert (status("a"), BulkReplay.objects.count(), AuditEntry.objects.count()) == ("dlq", 0, 0)


def test_pause_and_resume_are_reported_and_audited():
    assert as_json("pause", sample_types.NAME, "--why", "maintenance") == {"paused": True}
    assert printed("pause", sample_types.NAME) == "was paused already\n"
    assert pauses.suspended().get().pause_reason == "maintenance"
    assert as_json("stats")["suspended"] == [sample_types.NAME]
    assert as_json("resume", sample_types.NAME) == {"resumed": True}
    assert printed("resume", sample_types.NAME) == "was not paused\n"


@pytest.mark.parametrize(
    ("arguments", "says"),
    [
        (["show", "unknown"], "there is no job 'unknown'"),
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
