"""E3: a cluster whose processes wait for a silent database or broker is healthy; one that does nothing is stuck."""

import time

import pytest

from jobs.cluster.watchdog import STUCK_AFTER, WATCH_SECONDS, why_stuck
from jobs.core.scoreboard import Scoreboard, Snapshot

WORKERS = 2


def snapshot(**values) -> Snapshot:
    idle = {"started": 0, "pending": 0, "busy": 0, "quiet": 0.0, "since_poll": 0.0, "asking": 0.0}
    return Snapshot(**{**idle, "lost": frozenset(), **values})


@pytest.mark.parametrize(
    ("values", "stuck"),
    [
        ({}, False),
        ({"since_poll": STUCK_AFTER + 1}, True),
        ({"since_poll": STUCK_AFTER + 1, "asking": STUCK_AFTER + 1}, False),
        ({"pending": 3}, True),
        ({"pending": 3, "asking": WATCH_SECONDS + 1}, False),
        ({"pending": 3, "asking": WATCH_SECONDS / 2}, True),
        ({"pending": 3, "busy": 1}, True),
        ({"pending": 3, "busy": WORKERS}, False),
        ({"pending": 3, "busy": WORKERS, "busy_reserved": 1}, True),
        ({"pending": 3, "busy": WORKERS + 1, "busy_reserved": 1}, False),
        ({"pending": 3, "pending_urgent": 1, "busy": WORKERS}, True),
        ({"pending": 3, "pending_urgent": 1, "busy": WORKERS + 1, "busy_reserved": 1}, False),
    ],
)
def test_what_waits_for_an_answer_is_not_stuck(values, stuck):
    assert bool(why_stuck(snapshot(**values), WORKERS)) == stuck


def test_the_scoreboard_shows_who_waits_and_only_meanwhile():
    scoreboard = Scoreboard()
    assert scoreboard.read().asking == 0

    def ask() -> None:
        with scoreboard.asking_broker():
            time.sleep(0.01)
            assert scoreboard.read().asking > 0
            raise OSError("the broker is away")

    with pytest.raises(OSError, match="away"):
        ask()
    assert scoreboard.read().asking == 0
