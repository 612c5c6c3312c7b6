"""P4: fifty processes enqueue at the same time; the limit and the idempotency key hold to the job."""

import multiprocessing
from collections import Counter
from datetime import timedelta

import pytest
from django.db import connections, transaction
from django.db.models.functions import Now
from django_q.models import OrmQ

from jobs.core.job import JobLog
from jobs.core.job_types import Policy, Unique
from jobs.queue.enqueue import RateLimited, Refused, enqueue, enqueue_jobs, new_job
from tests.support import api_client, sample_types

pytestmark = pytest.mark.slow

PROCESSES = 50
fork = multiprocessing.get_context("fork")


def outcome_of(job_id: str, user_id: str, email: str = "") -> str:
    try:
        sample_types.enqueue(job_id, user_id, email=email)
    except Refused as refused:
        return type(refused).__name__
    return "enqueued"


def in_parallel(calls: list[tuple[str, ...]]) -> Counter:
    """Each call in a process of its own, all released together; how many ended how."""
    connections.close_all()
    gate, outcomes = fork.Barrier(len(calls)), fork.SimpleQueue()

    def one(*call: str) -> None:
        gate.wait()
        outcomes.put(outcome_of(*call))

    processes = [fork.Process(target=one, args=call) for call in calls]
    for process in processes:
        process.start()
    counted = Counter(outcomes.get() for _ in processes)
    for process in processes:
        process.join()
    return counted


@pytest.mark.django_db(transaction=True)
@pytest.mark.engine
def test_fifty_in_parallel_for_one_user_make_exactly_ten_jobs():
    with sample_types.registered(per_hour=10):
        counted = in_parallel([(f"job-{number}", "one-user") for number in range(PROCESSES)])
    assert counted == {"enqueued": 10, "RateLimited": 40}
    assert JobLog.objects.count() == OrmQ.objects.count() == 10


@pytest.mark.django_db(transaction=True)
@pytest.mark.engine
def test_fifty_in_parallel_with_one_job_id_make_exactly_one_job():
    with sample_types.registered(per_hour=10):
        counted = in_parallel([("the-same", f"user-{number}") for number in range(PROCESSES)])
    assert counted == {"enqueued": 1, "Duplicate": 49}
    assert JobLog.objects.count() == OrmQ.objects.count() == 1


@pytest.mark.django_db(transaction=True)
@pytest.mark.engine
def test_fifty_equal_jobs_in_parallel_make_exactly_one_where_the_type_is_unique():
    with sample_types.registered(policy=Policy(unique=Unique(key=("email",)))):
        outcomes = in_parallel([(f"job-{number}", f"user-{number}", "a@example.mn") for number in range(PROCESSES)])
    assert outcomes == {"enqueued": 1, "Duplicate": 49}
    assert JobLog.objects.count() == OrmQ.objects.count() == 1


@pytest.mark.django_db(transaction=True)
@pytest.mark.engine
def test_the_hour_slides_and_says_when_the_next_may_come():
    with sample_types.registered(per_hour=2):
        first, second = sample_types.enqueue("a"), sample_types.enqueue("b")
        JobLog.objects.filter(pk=first.pk).update(created_at=Now() - timedelta(minutes=59))
        JobLog.objects.filter(pk=second.pk).update(created_at=Now() - timedelta(minutes=30))
        with pytest.raises(RateLimited) as refused:
            sample_types.enqueue("c")
        assert 55 <= refused.value.retry_after <= 61
        JobLog.objects.filter(pk=first.pk).update(created_at=Now() - timedelta(minutes=61))
        sample_types.enqueue("c")


@pytest.mark.django_db(transaction=True)
@pytest.mark.engine
def test_fifty_users_in_parallel_with_one_address_make_exactly_as_many_jobs_as_the_address_may_have():
    with sample_types.registered(per_hour=10, per_address=20):
        counted = in_parallel([(f"job-{number}", f"user-{number}", "bat@example.mn") for number in range(PROCESSES)])
    assert counted == {"enqueued": 20, "RateLimited": 30}
    assert JobLog.objects.count() == OrmQ.objects.count() == 20


@pytest.mark.django_db(transaction=True)
@pytest.mark.engine
def test_an_address_has_a_sliding_hour_within_each_source_however_it_is_written():
    with sample_types.registered(per_address=2):
        first = sample_types.enqueue("a", "1", email="bat@example.mn")
        sample_types.enqueue("b", "2", email="BAT@example.mn")
        JobLog.objects.filter(pk=first.pk).update(created_at=Now() - timedelta(minutes=59))
        with pytest.raises(RateLimited) as refused:
            sample_types.enqueue("c", "3", email="Bat@Example.mn")
        assert 55 <= refused.value.retry_after <= 61
        sample_types.enqueue("d", "3", email="other@example.mn")
        sample_types.enqueue("e", "3")
        enqueue(sample_types.NAME, {"email": "bat@example.mn"}, job_id="f", user_id="3", source="another-site")
        JobLog.objects.filter(pk=first.pk).update(created_at=Now() - timedelta(minutes=61))
        sample_types.enqueue("c", "3", email="bat@example.mn")


@pytest.mark.django_db(transaction=True)
@pytest.mark.engine
def test_users_and_sources_do_not_share_a_limit():
    with sample_types.registered(per_hour=1):
        sample_types.enqueue("a", "1")
        sample_types.enqueue("b", "2")
        enqueue(sample_types.NAME, {}, job_id="c", user_id="1", source="another-site")
        with pytest.raises(RateLimited):
            enqueue(sample_types.NAME, {}, job_id="d", user_id="1", source="another-site")


@pytest.mark.django_db(transaction=True)
@pytest.mark.engine
@pytest.mark.parametrize("job_id", ["", "x" * 129, "with space", "é", "a\n", "a/b", "a\x00"])
def test_a_job_id_outside_the_alphabet_is_refused(job_id):
    with sample_types.registered(), pytest.raises(ValueError, match="job_id must match"):
        sample_types.enqueue(job_id)


@pytest.mark.django_db(transaction=True)
@pytest.mark.engine
def test_a_job_and_its_message_roll_back_with_the_callers_transaction():
    with sample_types.registered(), transaction.atomic():
        sample_types.enqueue("a")
        transaction.set_rollback(True)
    assert JobLog.objects.count() == OrmQ.objects.count() == 0


@pytest.mark.django_db(transaction=True)
@pytest.mark.engine
@pytest.mark.parametrize("lane", ["default", "alert"])
def test_each_lane_has_a_limit_of_its_own_and_jobs_enqueued_together_count_one_another(lane):
    with sample_types.registered(per_hour=2):
        other = {"default": "alert", "alert": "default"}[lane]
        [free] = enqueue_jobs([new_job(sample_types.NAME, {}, job_id="other", user_id="1", lane=other)])
        jobs = [new_job(sample_types.NAME, {}, job_id=f"job-{n}", user_id="1", lane=lane) for n in range(3)]
        with transaction.atomic():
            refused = enqueue_jobs(jobs)
    assert free is None
    assert [type(why) for why in refused] == [type(None), type(None), RateLimited]
    assert JobLog.objects.count() == OrmQ.objects.count() == 3


@pytest.mark.django_db
@pytest.mark.engine
def test_a_client_that_sends_another_user_id_each_time_cannot_flood_an_address(client, settings):
    token = api_client.key("enqueue")
    posted = [
        api_client.post(client, api_client.notification(userId=f"random-{number}", email="bat@example.mn"), token)
        for number in range(settings.SIGNIN_EMAILS_PER_ADDRESS + 1)
    ]
    assert Counter(answer.status_code for answer in posted) == {202: settings.SIGNIN_EMAILS_PER_ADDRESS, 429: 1}
    assert posted[-1].json()["type"].endswith(":too-many-notices")
