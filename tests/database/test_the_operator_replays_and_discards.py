"""What an operator presses happens once, only where it may, and the page says how many of how many it was."""

from dataclasses import replace

import pytest

from jobs.admin.parts import verbs
from jobs.core import pauses
from jobs.core.audit import AuditEntry
from jobs.core.job import JobLog, Status
from jobs.queue import actions, bulk_replay
from jobs.queue.criteria import JobCriteria
from tests.support.operators import EVERYTHING, LIST, job, signed_in

pytestmark = pytest.mark.django_db


def press(client, action, *jobs):
    response = client.post(LIST, {"action": action, "_selected_action": [one.pk for one in jobs]}, follow=True)
    return [str(message) for message in response.context["messages"]]


def status(of):
    return JobLog.objects.get(pk=of.pk).status


def acts():
    return list(AuditEntry.objects.order_by("pk").values_list("who", "act", "target"))


def test_replay_of_the_ticked_says_how_many_of_how_many():
    client = signed_in(*EVERYTHING)
    dead, done = [job("a"), job("b")], job("c", Status.COMPLETED)
    assert press(client, "replay", *dead, done) == ["Replayed 2 of 3; 1 job was not a dead letter any more."]
    assert [status(one) for one in (*dead, done)] == [Status.ENQUEUED, Status.ENQUEUED, Status.COMPLETED]
    assert acts() == [("saraa", "replay", "a"), ("saraa", "replay", "b")]


def test_discard_leaves_running_and_settled_jobs_alone():
    client = signed_in(*EVERYTHING)
    jobs = [job(name, name) for name in ("dlq", "failed", "enqueued", "processing", "completed")]
    assert press(client, "discard", *jobs) == ["Discarded 3 of 5; 2 jobs were running, settled or deleted already."]
    assert [status(one) for one in jobs] == ["discarded"] * 3 + ["processing", "completed"]


def test_a_stale_page_acted_on_twice_does_it_once():
    client = signed_in(*EVERYTHING)
    dead = job("a")
    assert press(client, "replay", dead) == ["Replayed 1 of 1."]
    assert press(client, "replay", dead) == ["Replayed 0 of 1; 1 job was not a dead letter any more."]
    response = client.post(f"{LIST}{dead.pk}/replay/", follow=True)
    assert "Nothing was done" in response.content.decode()
    assert acts() == [("saraa", "replay", "a")]


def test_one_job_is_replayed_from_its_page_and_its_timeline_says_by_whom():
    client = signed_in(*EVERYTHING)
    dead = job("a")
    page = client.post(f"{LIST}{dead.pk}/replay/", follow=True).content.decode()
    assert status(dead) == Status.ENQUEUED
    assert "by saraa" in page


def test_one_job_is_discarded_from_its_page():
    client = signed_in(*EVERYTHING)
    dead = job("a")
    client.post(f"{LIST}{dead.pk}/discard/")
    assert status(dead) == Status.DISCARDED


def test_two_operators_in_parallel_replay_once(monkeypatch):
    client = signed_in(*EVERYTHING)
    dead = job("a")
    found = actions.replay

    def other_first(one, **by):
        found(JobLog.objects.get(pk=one.pk), who="dorj")
        return found(one, **by)

    monkeypatch.setitem(verbs.ACTIONS, "replay", replace(verbs.ACTIONS["replay"], move=other_first))
    assert press(client, "replay", dead) == ["Replayed 0 of 1; 1 job was not a dead letter any more."]


@pytest.mark.parametrize("address", ["{pk}/replay/", "{pk}/discard/", "{pk}/reveal/", "search/"])
def test_a_get_changes_nothing(address):
    client = signed_in(*EVERYTHING)
    dead = job("a")
    assert client.get(LIST + address.format(pk=dead.pk)).status_code == 405
    client.get(LIST, {"action": "discard", "_selected_action": dead.pk})
    assert (status(dead), acts()) == (Status.DLQ, [])


def test_a_group_is_replayed_in_bulk_after_a_preview_of_how_many():
    client = signed_in(*EVERYTHING)
    for number in range(3):
        job(f"a-{number}")
    job("b", fingerprint="Other")
    address = f"{LIST}replay/?status=dlq&fingerprint=SMTPServerDisconnected"
    assert client.get(address).context["matched"] == 3
    assert not bulk_replay.BulkReplay.objects.exists()
    response = client.post(address, {"why": "the server is back"}, follow=True)
    batch = bulk_replay.BulkReplay.objects.get()
    assert (batch.filter, batch.why, batch.who, batch.matched) == (
        {"fingerprint": "SMTPServerDisconnected"},
        "the server is back",
        "saraa",
        3,
    )
    assert "0 of 3" in response.content.decode()
    bulk_replay.advance(1)
    assert "1 of 3" in client.get(f"/admin/jobs/bulkreplay/{batch.pk}/change/").content.decode()


def test_a_bulk_replay_is_cancelled_once():
    client = signed_in(*EVERYTHING)
    job("a")
    batch = bulk_replay.start(JobCriteria(), who="dorj")
    for said in ("Cancelled.", "The bulk replay had already ended."):
        assert said in client.post(f"/admin/jobs/bulkreplay/{batch.pk}/cancel/", follow=True).content.decode()


def test_a_group_is_discarded_and_no_other():
    client = signed_in(*EVERYTHING)
    dead, other = job("a"), job("b", fingerprint="Other")
    client.post(f"{LIST}discard/?status=dlq&fingerprint=SMTPServerDisconnected", {"why": "old"})
    assert (status(dead), status(other)) == (Status.DISCARDED, Status.DLQ)
    assert AuditEntry.objects.get().detail == {"why": "old"}


@pytest.mark.parametrize("query", ["", "status=all", "status=dlq&user=7", "status=dlq&q=a", "reason=nope"])
def test_a_view_that_is_not_all_a_filter_of_dead_letters_is_never_acted_on_as_a_whole(query):
    client = signed_in(*EVERYTHING)
    dead = job("a")
    for verb in ("replay", "discard"):
        assert client.post(f"{LIST}{verb}/?{query}").status_code == 302
    assert status(dead) == Status.DLQ
    assert not bulk_replay.BulkReplay.objects.exists()


def test_a_type_is_paused_with_a_reason_and_resumed():
    client = signed_in(*EVERYTHING)
    at = "/admin/jobs/jobtypestate/"
    assert (
        "Give a reason" in client.post(f"{at}pause/", {"job_type": "signin-notification"}, follow=True).content.decode()
    )
    assert not pauses.suspended().exists()
    client.post(f"{at}pause/", {"job_type": "signin-notification", "why": "the provider moves"})
    assert "by saraa: the provider moves" in client.get(at).content.decode()
    client.post(f"{at}resume/", {"job_type": "signin-notification"})
    assert not pauses.suspended().exists()
    assert [act for _, act, _ in acts()] == ["pause", "resume"]


def test_personal_data_is_revealed_only_on_request_and_that_is_written_down():
    client = signed_in(*EVERYTHING)
    page = client.post(f"{LIST}{job('a').pk}/reveal/").content.decode()
    assert "bat@example.mn" in page
    assert acts() == [("saraa", "reveal", "a")]
