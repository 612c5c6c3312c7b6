"""jobs/core/retry_policy.py is pure: its test is a table."""

import pytest

from jobs.core.errors import Configuration, Permanent, Temporary, describe
from jobs.core.retry_policy import Bury, Discard, Retry, concerns_all, count_outage_as_unreachable, decide, judge_alone


def decided(error_class, left, *, jitter=0.0, retry_after=None):
    return decide(error_class, left=left, waits=(2, 4, 8, 16), jitter=jitter, retry_after=retry_after)


@pytest.mark.parametrize(
    ("error_class", "left", "expected"),
    [
        ("temporary", 4, Retry(2)),
        ("temporary", 3, Retry(4)),
        ("temporary", 2, Retry(8)),
        ("temporary", 1, Retry(16)),
        ("temporary", 0, Bury("exhausted")),
        ("unreachable", 4, Retry(2)),
        ("unreachable", 0, Bury("exhausted")),
        ("permanent", 4, Bury("permanent")),
        ("permanent", 0, Bury("permanent")),
        ("configuration", 4, Retry(0, give_back=True)),
        ("configuration", 0, Retry(0, give_back=True)),
        ("throttled", 4, Retry(15, give_back=True)),
        ("throttled", 0, Retry(15, give_back=True)),
        ("poison", 4, Bury("poison")),
        ("expired", 4, Bury("expired")),
        ("suppressed", 4, Bury("suppressed")),
        ("obsolete", 4, Discard()),
        ("obsolete", 0, Discard()),
    ],
)
def test_each_class_of_error_has_its_way(error_class, left, expected):
    assert decided(error_class, left) == expected


@pytest.mark.parametrize(("asked", "waits"), [(0, 1), (7, 7), (3600, 3600), (10**9, 3600)])
def test_a_throttling_server_is_obeyed_within_an_hour(asked, waits):
    assert decided("throttled", 4, retry_after=asked) == Retry(waits, give_back=True)


@pytest.mark.parametrize("jitter", [0.0, 0.5, 1.0])
def test_jitter_adds_a_tenth_at_most(jitter):
    assert decided("temporary", 4, jitter=jitter).wait == pytest.approx(2 * (1 + jitter / 10))


def test_five_attempts_take_thirty_seconds_before_jitter():
    assert sum(decided("temporary", left).wait for left in (4, 3, 2, 1)) == 30


@pytest.mark.parametrize(
    ("error_class", "age", "waits"),
    [
        ("throttled", 0, 300),
        ("throttled", 1000, 1000),
        ("throttled", 10**6, 7200),
        ("configuration", 0, 60),
        ("configuration", 10**6, 7200),
        ("temporary", 90, 90),
    ],
)
def test_a_cause_that_lasts_waits_as_long_as_the_job_is_old(error_class, age, waits):
    decision = decide(error_class, left=0, waits=(2, 4, 8, 16), jitter=0, slow=True, age=age)
    assert decision == Retry(waits, give_back=True)


def test_a_named_time_goes_before_a_slow_wait():
    assert decide("throttled", left=4, waits=(2, 4, 8, 16), jitter=0, retry_after=7, slow=True).wait == 7


OURS = Configuration("relay denied", alone="configuration")
REPEATED = Configuration("no", alone="permanent")


@pytest.mark.parametrize(
    ("error", "last_class", "automatic", "expected"),
    [
        (OURS, "", False, ("configuration", True)),
        (OURS, "throttled", False, ("configuration", True)),
        (OURS, "configuration", False, ("configuration", False)),
        (Configuration("wrong password"), "configuration", False, ("configuration", True)),
        (REPEATED, "", False, ("configuration", True)),
        (REPEATED, "configuration", False, ("permanent", False)),
        (REPEATED, "permanent", True, ("permanent", False)),
        (REPEATED, "permanent", False, ("configuration", True)),
        (Permanent("no"), "configuration", False, ("permanent", False)),
        (Temporary("disk full", outage=True), "unreachable", True, ("temporary", False)),
    ],
)
def test_a_job_that_was_suspended_before_is_judged_alone(error, last_class, automatic, expected):
    """expected: the class of the failure, and whether it suspends the whole type."""
    judged = judge_alone(describe(error), last_class=last_class, automatic=automatic)
    assert (judged.error_class, concerns_all(judged)) == expected


def test_only_the_dead_letter_of_an_outage_counts_as_unreachable():
    assert count_outage_as_unreachable(describe(Temporary("disk full", outage=True))).error_class == "unreachable"
    assert count_outage_as_unreachable(describe(Temporary("busy"))).error_class == "temporary"
