"""Two clusters tick the same schedules and are killed in turn: each tick of the time has exactly one job."""

import random
import sys
import time
from datetime import UTC, datetime, timedelta
from zoneinfo import ZoneInfo

import pytest

from jobs.schedules import cron
from tests.support.machine import eventually, wrong_clock
from tests.support.queues import clusters_of
from tests.support.scheduled_settings import STEPS
from tests.support.site import Site

TICKED = "SELECT split_part(job_id, ':', 2), substr(job_id, length('schedule:' || split_part(job_id, ':', 2)) + 2)"


def ticked(site: Site) -> dict[str, list[datetime]]:
    """The ticks that have a job, by schedule."""
    found: dict[str, list[datetime]] = {}
    for name, at in site.sql(f"{TICKED} FROM job_logs WHERE starts_with(job_id, 'schedule:every-') ORDER BY job_id"):
        found.setdefault(str(name), []).append(datetime.fromisoformat(str(at)).astimezone(UTC))
    return found


def expected(number: int, first: datetime, last: datetime) -> list[datetime]:
    expression = f"{STEPS[number % len(STEPS)]} * * * * *"
    return list(cron.ticks(expression, ZoneInfo("UTC"), first - timedelta(seconds=1), last))


def kill_in_turn(site: Site, *, schedules: int, kills: int, pause: float) -> int:
    """Kill one of two clusters after another, compare jobs and ticks, and return how many ticks there were."""
    with clusters_of(site) as start:
        running = [start(), start()]
        eventually(lambda: len(ticked(site)) == schedules, seconds=60)
        for turn in range(kills):
            time.sleep(pause)
            dying = running[turn % 2]
            if turn % 5 == 4:
                dying.end()
            elif turn % 5 == 3:
                dying.kill("watchdog")
                continue
            else:
                dying.kill_everything()
            running[turn % 2] = start()
        before = site.sql("SELECT max(last_tick) FROM job_schedules")[0][0]
        eventually(lambda: site.sql("SELECT min(last_tick) FROM job_schedules")[0][0] > before, seconds=60)
        for cluster in running:
            cluster.end()
    ticks = ticked(site)
    for number in range(schedules):
        mine = ticks[f"every-{number}"]
        assert mine == expected(number, mine[0], mine[-1])
    return sum(map(len, ticks.values()))


@pytest.mark.timeout(300)
def test_two_clusters_that_are_killed_in_turn_miss_and_double_no_tick():
    with Site(DJANGO_SETTINGS_MODULE="tests.support.scheduled_settings", SCHEDULED="4") as site:
        assert kill_in_turn(site, schedules=4, kills=5, pause=random.uniform(1, 3)) > 20


@pytest.mark.timeout(300)
def test_two_hosts_with_clocks_an_hour_apart_miss_and_double_no_tick():
    with Site(DJANGO_SETTINGS_MODULE="tests.support.scheduled_settings", SCHEDULED="2") as site:
        with clusters_of(site) as start:
            clusters = [start()]
            site.environment |= wrong_clock("+3600s")
            clusters.append(start(manage=[sys.executable, "-m", "tests.support.wrong_clock"]))
            del site.environment["LD_PRELOAD"]
            eventually(lambda: min(map(len, ticked(site).values()), default=0) >= 5, seconds=60)
            clusters[0].end()  # the other one, whose clock is wrong, goes on alone
            count = len(ticked(site)["every-0"])
            eventually(lambda: len(ticked(site)["every-0"]) >= count + 3, seconds=60)
            now = site.sql("SELECT now()")[0][0]
        for number in range(2):
            mine = ticked(site)[f"every-{number}"]
            assert mine == expected(number, mine[0], mine[-1])
            assert mine[-1] <= now


@pytest.mark.world
@pytest.mark.timeout(1800)
def test_ten_thousand_ticks_over_fifty_kills_are_complete():
    with Site(DJANGO_SETTINGS_MODULE="tests.support.scheduled_settings", SCHEDULED="24") as site:
        assert kill_in_turn(site, schedules=24, kills=50, pause=12) >= 10_000
