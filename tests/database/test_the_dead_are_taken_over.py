"""C19: what dead clusters and workers held is requeued before its leases end; what the living hold is not."""

import os
import subprocess
import sys
from dataclasses import replace
from datetime import timedelta

import pytest
from django.db import OperationalError
from django.db.models.functions import Now

from jobs.brokers import django_q
from jobs.cluster import clusters, takeover
from jobs.cluster.identity import this_process
from jobs.core.job import JobLog, JobQuerySet, Status
from jobs.core.sql import from_now
from jobs.worker import entry
from tests.support import sample_types
from tests.support.operators import job

pytestmark = [pytest.mark.django_db(transaction=True), pytest.mark.engine]

LONG = 3_600.0  # the database has answered us for this many seconds
ELSEWHERE = replace(this_process(), host="elsewhere", kernel="another boot")


@pytest.fixture
def cluster():
    """A cluster with a running job and one that it had only fetched."""

    def make(identity, *, silent_for=0.0):
        name = identity.name
        clusters.record_heartbeat(name, in_flight=1, restarts=0, workers=2, version="1", identity=identity)
        clusters.Cluster.objects.filter(name=name).update(seen_at=Now() - timedelta(seconds=silent_for))
        running = job(f"{identity.host}-{identity.pid}", Status.PROCESSING)
        JobLog.objects.filter(pk=running.pk).update(worker=f"{name}/7", attempt_count=1, lease_until=from_now(45))
        return running

    return make


def is_taken_over(running: JobLog) -> bool:
    """Whether the next attempt may claim the job now."""
    return JobLog.objects.claim(running.pk, 2, "another") is not None


def ended_process():
    """The identity of a process of this machine that has ended."""
    ended = subprocess.Popen([sys.executable, "-c", ""])
    ended.wait()
    return replace(this_process(), pid=ended.pid, started=1)


def test_a_cluster_whose_process_ended_is_taken_over_immediately(cluster):
    running = cluster(ended_process())
    assert takeover.take_over_clusters("mine", answered_for=0.0) == 1
    assert is_taken_over(running)
    assert JobLog.objects.get(pk=running.pk).attempts.get().outcome == "lost"
    assert takeover.take_over_clusters("mine", answered_for=0.0) == 0, "once"


def test_another_process_with_the_same_id_is_not_taken_for_the_cluster(cluster):
    running = cluster(replace(this_process(), started=1))
    assert takeover.take_over_clusters("mine", answered_for=0.0) == 1
    assert is_taken_over(running)


def test_a_living_cluster_of_this_machine_keeps_its_jobs(cluster):
    running = cluster(this_process())
    assert takeover.take_over_clusters("mine", answered_for=LONG) == 0
    assert not is_taken_over(running)


def test_a_cluster_elsewhere_that_misses_heartbeats_is_taken_over(cluster):
    silent = cluster(ELSEWHERE, silent_for=takeover.MISSED_SECONDS + 1)
    beats = cluster(replace(ELSEWHERE, pid=99), silent_for=takeover.MISSED_SECONDS - 5)
    assert takeover.silent_clusters().count() == 1
    assert takeover.take_over_clusters("mine", answered_for=LONG) == 1
    assert (is_taken_over(silent), is_taken_over(beats)) == (True, False)


def test_after_a_silence_of_the_database_the_clusters_elsewhere_have_time_to_beat(cluster):
    running = cluster(ELSEWHERE, silent_for=60)
    assert takeover.take_over_clusters("mine", answered_for=takeover.OBSERVED_SECONDS - 1) == 0
    assert not is_taken_over(running)


def test_a_cluster_that_was_alive_after_all_settles_nothing_and_is_alive_again(cluster):
    running = cluster(ELSEWHERE, silent_for=60)
    running.attempt_count = 1
    takeover.take_over_clusters("mine", answered_for=LONG)
    assert is_taken_over(running)
    assert not running.complete(), "fenced"
    clusters.record_heartbeat(ELSEWHERE.name, in_flight=1, restarts=0, workers=2, version="1", identity=ELSEWHERE)
    assert clusters.alive().filter(name=ELSEWHERE.name).exists()


def test_a_job_that_a_dead_cluster_had_only_fetched_is_requeued(cluster):
    cluster(ELSEWHERE, silent_for=60)
    fetched = job("fetched", Status.ENQUEUED)
    JobLog.objects.filter(pk=fetched.pk).update(run_at=from_now(-5))
    takeover.take_over_clusters("mine", answered_for=LONG)
    payloads = [django_q.unpack_task(message.payload)[1] for message in django_q.Message.objects.all()]
    assert (fetched.pk, 1) in payloads


def test_a_claim_whose_answer_was_lost_is_released(monkeypatch):
    """As when the connection breaks after the commit: the job runs again without waiting for its lease."""
    claim_many = JobQuerySet.claim_many

    def lose_the_answer(jobs, attempts, worker):
        claim_many(jobs, attempts, worker)
        raise OperationalError("server closed the connection unexpectedly")

    with sample_types.registered() as recorder:
        claimed = sample_types.enqueue("a")
        monkeypatch.setattr(JobQuerySet, "claim_many", lose_the_answer)
        entry.run(claimed.pk, 1)
        monkeypatch.undo()
        assert JobLog.objects.get(pk=claimed.pk).status == Status.PROCESSING
        assert JobLog.objects.lease_expired().exists()
        entry.run(claimed.pk, 2)
        assert recorder.called == ["a"]


def test_only_the_dead_workers_of_a_cluster_lose_their_jobs():
    group = os.getpgid(0)
    held = {"alive": f"mine/{os.getpid()}", "dead": f"mine/{ended_process().pid}", "other": "other/1"}
    jobs = {name: job(name, Status.PROCESSING) for name in held}
    for name, running in jobs.items():
        JobLog.objects.filter(pk=running.pk).update(worker=held[name], attempt_count=1, lease_until=from_now(45))
    assert takeover.take_over_workers("mine", group) == 1
    assert {name for name, running in jobs.items() if is_taken_over(running)} == {"dead"}
