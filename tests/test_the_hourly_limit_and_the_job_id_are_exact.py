"""P4: fifty processes enqueue at once; the limit and the idempotency key hold to the job."""

import multiprocessing
from collections import Counter
from datetime import timedelta

import pytest
from django.db import connections, transaction
from django.db.models.functions import Now
from django_q.models import OrmQ

from jobs import queue
from jobs.models import JobLog
from tests import job_types

PROCESSES = 50
fork = multiprocessing.get_context("fork")


def outcome_of(job_id: str, user_id: str) -> str:
    try:
        job_types.enqueue(job_id, user_id)
    except queue.Refused as refused:
        return type(refused).__name__
    return "enqueued"


def all_at_once(calls: list[tuple[str, str]]) -> Counter:
    """Each call in a process of its own, all released together; how many ended how."""
    connections.close_all()
    gate, outcomes = fork.Barrier(len(calls)), fork.SimpleQueue()

    def one(job_id: str, user_id: str) -> None:
        gate.wait()
        outcomes.put(outcome_of(job_id, user_id))

    processes = [fork.Process(target=one, args=call) for call in calls]
    for process in processes:
        process.start()
    told = Counter(outcomes.get() for _ in processes)
    for process in processes:
        process.join()
    return told


@pytest.mark.django_db(transaction=True)
@pytest.mark.engine
def test_fifty_at_once_for_one_user_make_exactly_ten_jobs():
    with job_types.registered(per_hour=10):
        told = all_at_once([(f"job-{number}", "one-user") for number in range(PROCESSES)])
    assert told == {"enqueued": 10, "RateLimited": 40}
    assert JobLog.objects.count() == OrmQ.objects.count() == 10


@pytest.mark.django_db(transaction=True)
@pytest.mark.engine
def test_fifty_at_once_with_one_job_id_make_exactly_one_job():
    with job_types.registered(per_hour=10):
        told = all_at_once([("the-same", f"user-{number}") for number in range(PROCESSES)])
    assert told == {"enqueued": 1, "Duplicate": 49}
    assert JobLog.objects.count() == OrmQ.objects.count() == 1


@pytest.mark.django_db(transaction=True)
@pytest.mark.engine
def test_the_hour_slides_and_says_when_the_next_may_come():
    with job_types.registered(per_hour=2):
        first, second = job_types.enqueue("a"), job_types.enqueue("b")
        JobLog.objects.filter(pk=first.pk).update(created_at=Now() - timedelta(minutes=59))
        JobLog.objects.filter(pk=second.pk).update(created_at=Now() - timedelta(minutes=30))
        with pytest.raises(queue.RateLimited) as refused:
            job_types.enqueue("c")
        assert 55 <= refused.value.retry_after <= 61
        JobLog.objects.filter(pk=first.pk).update(created_at=Now() - timedelta(minutes=61))
        job_types.enqueue("c")


@pytest.mark.django_db(transaction=True)
@pytest.mark.engine
def test_users_and_sources_do_not_share_a_limit():
    with job_types.registered(per_hour=1):
        job_types.enqueue("a", "1")
        job_types.enqueue("b", "2")
        queue.enqueue(job_types.NAME, {}, job_id="c", user_id="1", source="another-site")
        with pytest.raises(queue.RateLimited):
            queue.enqueue(job_types.NAME, {}, job_id="d", user_id="1", source="another-site")


@pytest.mark.django_db(transaction=True)
@pytest.mark.engine
@pytest.mark.parametrize("job_id", ["", "x" * 129, "with space", "é", "a\n", "a/b", "a\x00"])
def test_a_job_id_outside_the_alphabet_is_refused(job_id):
    with job_types.registered(), pytest.raises(ValueError, match="job_id must match"):
        job_types.enqueue(job_id)


@pytest.mark.django_db(transaction=True)
@pytest.mark.engine
def test_a_job_and_its_message_roll_back_with_the_callers_transaction():
    with job_types.registered(), transaction.atomic():
        job_types.enqueue("a")
        transaction.set_rollback(True)
    assert JobLog.objects.count() == OrmQ.objects.count() == 0
