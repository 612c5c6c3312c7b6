"""The schedule with its defaults, on real processes: tries at 0, 2, 6, 14 and 30 s, a dead letter, and its replay."""

from datetime import timedelta
from itertools import pairwise

import pytest

from tests.support.machine import eventually
from tests.support.queues import clusters_of, enqueue, sent, statuses
from tests.support.site import Site
from tests.support.smtp_server import SmtpServer


@pytest.mark.engine
def test_five_attempts_then_a_dead_letter_then_a_replay_and_one_mail():
    smtp = SmtpServer()
    with Site(EMAIL_PORT=str(smtp.port)) as site, clusters_of(site) as start:
        start()
        enqueue(site, "a")
        eventually(lambda: '"dlq": 1' in site.manage("jobs", "stats", "--json"), seconds=60, pause=4)
        shown = site.manage("jobs", "show", "a")
        assert shown.count("ConnectionRefusedError") + shown.count("refused") >= 5
        assert [f"Attempt {number}: failed" in shown for number in range(1, 7)] == [True] * 5 + [False]
        smtp.start()
        site.manage("jobs", "replay", "a")
        eventually(lambda: '"completed": 1' in site.manage("jobs", "stats", "--json"), seconds=60, pause=2)
    smtp.stop()
    assert list(sent(smtp).values()) == [1]


def test_no_attempt_comes_before_its_time():
    with Site() as site, clusters_of(site) as start:
        start()
        enqueue(site, "a")
        eventually(lambda: statuses(site) == {"dlq": 1}, seconds=60, pause=1)
        assert site.sql("SELECT dlq_reason, error_class, attempt_count FROM job_logs") == [
            ("exhausted", "unreachable", 5)
        ]
        tries = site.sql("SELECT started_at, ended_at FROM job_attempts ORDER BY number")
    waits = [after[0] - before[1] for before, after in pairwise(tries)]
    assert [wait >= timedelta(seconds=least) for wait, least in zip(waits, (2, 4, 8, 16), strict=True)] == [True] * 4
