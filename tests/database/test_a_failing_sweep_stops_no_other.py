"""C20: a sweep of another module that raises stops neither the heartbeat nor any other sweep, and is named."""

import pytest
from django.db import ProgrammingError

from jobs.cluster import clusters
from jobs.cluster.heartbeat import Heartbeat, MaintenanceTask
from jobs.core import job_types
from jobs.core.job import JobLog, Status
from jobs.core.sql import from_now
from jobs.maintenance import reconciler
from jobs.maintenance.faults import Faults
from notifier.ops import collector, doctor
from tests.support.operators import job
from tests.support.tables import renamed

pytestmark = [pytest.mark.django_db(transaction=True), pytest.mark.engine]


def missing_table():
    raise ProgrammingError("relation does not exist")


def nothing():
    return JobLog.objects.none()


@pytest.fixture
def faults():
    return Faults()


@pytest.fixture
def beat(faults):
    """A heartbeat as a cluster's; returns whether the reconciler is due."""
    due: list[bool] = []
    beating = Heartbeat(
        lambda ask: clusters.record_heartbeat(
            "host:1", in_flight=0, restarts=0, workers=2, version="1", failing=str(faults), ask=ask
        ),
        MaintenanceTask(lambda: reconciler.due(faults), lambda: due.append(True)),
        faults=faults,
    )

    def once() -> bool:
        due.clear()
        beating()
        return bool(due)

    once()
    return once


@pytest.fixture
def sweeps(monkeypatch):
    """The registered sweeps: one that works, which tests put a bad one before."""
    done: list[str] = []
    registered = [job_types.Sweep(lambda: done.append("good"), nothing)]
    monkeypatch.setattr(job_types, "sweeps", lambda: registered)
    return registered, done


def test_a_due_that_raises_neither_stops_the_heartbeat_nor_the_rescue(beat, faults, sweeps):
    registered, _ = sweeps
    registered.insert(0, job_types.Sweep(lambda: None, missing_table))
    assert not beat(), "nothing else is due"
    assert clusters.alive().exists()
    running = job("a", Status.PROCESSING)
    JobLog.objects.filter(pk=running.pk).update(lease_until=from_now(-1))
    assert beat(), "the expired lease is seen"
    assert "test_a_due_that_raises" in str(faults)
    registered.pop(0)


def test_work_that_raises_stops_no_other(faults, sweeps):
    registered, done = sweeps
    registered.insert(0, job_types.Sweep(missing_table, nothing))
    reconciler.sweep(faults)
    assert done == ["good"]
    assert "missing_table" in str(faults)
    registered[0] = job_types.Sweep(lambda: None, nothing)


def test_a_step_that_succeeds_again_is_no_longer_named(faults, sweeps):
    registered, _ = sweeps
    fails = [True]

    def sometimes() -> None:
        if fails:
            missing_table()

    registered.append(job_types.Sweep(sometimes, nothing))
    reconciler.sweep(faults)
    assert "sometimes" in str(faults)
    fails.clear()
    reconciler.sweep(faults)
    assert str(faults) == ""


def test_a_table_that_is_missing_is_named_and_the_cluster_lives(beat, faults):
    with renamed("accounts_signin"):
        assert beat()
        assert "accounts.SignIn" in str(faults), "its query"
        assert clusters.alive().exists()
        beat()
        assert clusters.failing_maintenance() == [str(faults)]
    beat()


def test_operators_see_what_fails(beat, faults, sweeps, client):
    registered, _ = sweeps
    registered.insert(0, job_types.Sweep(missing_table, missing_table))
    beat()
    beat()
    assert "missing_table" in client.get("/readyz").json()["failing"][0]
    metrics = {metric.name: metric.samples for metric in collector.Collector().collect()}
    assert "missing_table" in metrics["notifier_maintenance_failing"][0].labels["step"]
    (finding,) = (found for found in doctor.examine() if found.check == "maintenance")
    assert finding.verdict == doctor.Verdict.FAULT
    assert "missing_table" in finding.message
