"""The circuit: after a failure the others skip the server, then one of them tries it."""

import pytest

from jobs.brokers import circuit
from jobs.brokers.circuit import TRIAL_SECONDS, Circuit


@pytest.fixture
def clock(monkeypatch):
    now = [100.0]
    monkeypatch.setattr(circuit.time, "monotonic", lambda: now[0])
    return now


def test_a_server_that_answers_is_always_called(clock):
    server = Circuit(1.0)
    assert [server.allows() for _ in range(3)] == [True] * 3
    server.worked()
    assert server.allows()


def test_after_a_failure_the_server_is_skipped_and_then_tried_by_one_caller(clock):
    server = Circuit(1.0)
    server.failed()
    assert not server.allows()
    clock[0] += 1.1
    assert [server.allows() for _ in range(3)] == [True, False, False]
    server.failed()
    assert not server.allows()
    clock[0] += 1.1
    assert server.allows()
    server.worked()
    assert [server.allows() for _ in range(3)] == [True] * 3


def test_a_trial_that_is_never_reported_is_followed_by_another(clock):
    server = Circuit(1.0)
    server.failed()
    clock[0] += 1.1
    assert [server.allows(), server.allows()] == [True, False]
    clock[0] += TRIAL_SECONDS
    assert server.allows()
