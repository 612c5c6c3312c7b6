"""jobs/retries.py is pure: its test is a table."""

import pytest

from jobs.retries import Bury, Retry, decide


def decided(error_class, left, *, jitter=0.0, retry_after=None):
    return decide(error_class, left=left, max_attempts=5, backoff=2, jitter=jitter, retry_after=retry_after)


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
