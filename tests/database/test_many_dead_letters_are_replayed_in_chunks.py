"""Bulk replay: canary first, the rest in chunks, cancelled immediately, and never twice (P7 for many)."""

import json
from datetime import UTC, datetime

import pytest
from django.db import transaction
from django_q.models import OrmQ

from jobs.core import errors
from jobs.core.audit import AuditEntry
from jobs.core.job import JobLog, Reason, Status
from jobs.queue import actions, bulk_replay
from jobs.queue.criteria import JobCriteria
from tests.support import sample_types

pytestmark = [pytest.mark.django_db(transaction=True), pytest.mark.engine, pytest.mark.slow]
FAILURE = errors.describe(errors.Unreachable("refused"))
OTHER = errors.describe(errors.Permanent("550", code=550))


def bury(job_id: str, failure: errors.Failure = FAILURE, reason: str = Reason.EXHAUSTED) -> JobLog:
    job = sample_types.enqueue(job_id)
    job = JobLog.objects.claim(job.pk, job.attempt_count + 1, "w")
    assert job.bury(failure, reason)
    return job


@pytest.fixture
def dead():
    with sample_types.registered():
        with transaction.atomic():  # one commit: the disk is waited for once
            letters = [bury(f"dead-{number}") for number in range(250)]
        yield letters


def statuses() -> dict[str, int]:
    return {status: JobLog.objects.filter(status=status).count() for status in ("dlq", "enqueued")}


def complete(job: JobLog) -> None:
    job.refresh_from_db()
    assert JobLog.objects.claim(job.pk, job.attempt_count + 1, "w").complete()


def test_the_first_is_tried_alone_and_the_rest_follows_when_it_completes(dead):
    batch = bulk_replay.start(JobCriteria(error_class="unreachable"), who="boss", why="server repaired")
    assert (batch.matched, statuses()) == (250, {"dlq": 250, "enqueued": 0}), "nothing is done in the request"
    bulk_replay.advance(1)
    bulk_replay.advance(1)
    assert statuses() == {"dlq": 249, "enqueued": 1}
    complete(dead[0])
    for _ in range(4):
        bulk_replay.advance(5)
    batch.refresh_from_db()
    assert (batch.state, batch.replayed, statuses()) == ("done", 250, {"dlq": 0, "enqueued": 249})
    assert list(AuditEntry.objects.values_list("who", "act")) == [("boss", "bulk_replay")]


def test_a_first_one_that_dies_again_halts_the_rest(dead):
    batch = bulk_replay.start(JobCriteria(), who="boss")
    bulk_replay.advance(1)
    dead[0].refresh_from_db()
    JobLog.objects.claim(dead[0].pk, dead[0].attempt_count + 1, "w").bury(FAILURE, Reason.EXHAUSTED)
    bulk_replay.advance(1)
    bulk_replay.advance(1)
    batch.refresh_from_db()
    assert (batch.state, statuses()["dlq"]) == ("halted", 250)


def test_cancelling_stops_it_where_it_is(dead):
    batch = bulk_replay.start(JobCriteria(), who="boss", rate=100)
    bulk_replay.advance(1)
    complete(dead[0])
    bulk_replay.advance(1)
    bulk_replay.advance(1)
    assert statuses()["enqueued"] == 100
    assert [bulk_replay.cancel(batch, who="boss"), bulk_replay.cancel(batch, who="boss")] == [True, False]
    bulk_replay.advance(1)
    assert statuses()["enqueued"] == 100


def test_two_bulk_replays_of_the_same_letters_replay_each_once(dead):
    first, second = bulk_replay.start(JobCriteria(), who="a"), bulk_replay.start(JobCriteria(), who="b")
    bulk_replay.advance(1)
    for job in dead[:2]:
        complete(job)
    for _ in range(6):
        bulk_replay.advance(5)
    first.refresh_from_db()
    second.refresh_from_db()
    assert first.replayed + second.replayed == 250
    assert OrmQ.objects.count() == 2 * 250, "a message of the first life and one of the second for each job"


def test_letters_that_die_after_it_began_are_not_its_business(dead):
    batch = bulk_replay.start(JobCriteria(), who="boss")
    late = bury("late")
    bulk_replay.advance(1)
    complete(dead[0])
    for _ in range(4):
        bulk_replay.advance(5)
    late.refresh_from_db()
    batch.refresh_from_db()
    assert (late.status, batch.state) == (Status.DLQ, "done")


def test_a_filter_takes_what_it_names_and_nothing_else(dead):
    bury("other", OTHER, Reason.PERMANENT)
    assert count(reason="permanent") == count(fingerprint="Permanent 550") == 1
    assert count(job_ids=("dead-1", "dead-2", "unknown")) == 2
    assert count(error_class="unreachable", reason="permanent") == 0


def count(**criteria: object) -> int:
    return JobCriteria(**criteria).dead_letters().count()


@pytest.mark.parametrize(
    "chosen",
    [
        {"password": "x"},
        {"reason": 1},
        {"job_ids": "a"},
        {"job_ids": [1]},
        {"reason": ["a"]},
        {"created_since": "today"},
        {"created_since": "2026-01-31T08:00:00"},
        {"min_attempts": True},
    ],
)
def test_a_stored_filter_that_makes_no_sense_is_refused_whole(chosen):
    with pytest.raises(ValueError, match="criterion"):
        JobCriteria.from_json(chosen)


def test_criteria_survive_being_stored():
    since = datetime(2026, 1, 31, 8, tzinfo=UTC)
    wanted = JobCriteria(reason="poison", job_ids=("a", "b"), min_attempts=2, created_since=since, user_ids=("7",))
    assert JobCriteria.from_json(json.loads(json.dumps(wanted.as_json()))) == wanted
    assert JobCriteria().as_json() == {}


def test_an_empty_match_is_done_immediately():
    batch = bulk_replay.start(JobCriteria(), who="boss")
    bulk_replay.advance(1)
    batch.refresh_from_db()
    assert batch.state == "done"


def test_replaying_one_letter_twice_is_one_replay(dead):
    same = JobLog.objects.get(pk=dead[0].pk)
    assert [actions.replay(dead[0], who="boss"), actions.replay(same, who="boss")] == [True, False]
    assert OrmQ.objects.count() == 251
