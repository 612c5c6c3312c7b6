"""The ticks of cron expressions, above all at a change between standard and summer time."""

from datetime import UTC, datetime, timedelta
from itertools import pairwise
from zoneinfo import ZoneInfo

import pytest

from jobs.schedules import cron

NEW_YORK, LONDON, LORD_HOWE = "America/New_York", "Europe/London", "Australia/Lord_Howe"
ULAANBAATAR, APIA = "Asia/Ulaanbaatar", "Pacific/Apia"


def following(expression: str, zone: str, after: str, count: int) -> list[str]:
    """The next ticks in the zone, each with its offset."""
    place = ZoneInfo(zone)
    time = datetime.fromisoformat(after).replace(tzinfo=place)
    found = []
    for _ in range(count):
        time = cron.next_tick(expression, place, time)
        found.append(f"{time.astimezone(place):%m-%d %H:%M:%S%z}"[:-2])
    return found


@pytest.mark.parametrize(
    ("expression", "zone", "after", "expected"),
    [
        # no summer time
        ("0 9 * * 1", ULAANBAATAR, "2026-11-27T12:00", ["11-30 09:00:00+08", "12-07 09:00:00+08"]),
        ("*/30 * * * * *", ULAANBAATAR, "2026-11-27T12:00:10", ["11-27 12:00:30+08", "11-27 12:01:00+08"]),
        ("0 0 L * *", ULAANBAATAR, "2026-02-01T00:00", ["02-28 00:00:00+08", "03-31 00:00:00+08"]),
        # the gap: a given time is due once, at its end
        ("30 2 * * *", NEW_YORK, "2026-03-07T12:00", ["03-08 03:00:00-04", "03-09 02:30:00-04"]),
        ("0,30 2 * * *", NEW_YORK, "2026-03-07T12:00", ["03-08 03:00:00-04", "03-09 02:00:00-04"]),
        ("30 2,3 * * *", NEW_YORK, "2026-03-07T12:00", ["03-08 03:00:00-04", "03-08 03:30:00-04"]),
        ("15 30 2 * * *", NEW_YORK, "2026-03-07T12:00", ["03-08 03:00:00-04", "03-09 02:30:15-04"]),
        ("30 1 * * *", LONDON, "2026-03-28T12:00", ["03-29 02:00:00+01", "03-30 01:30:00+01"]),
        ("15 2 * * *", LORD_HOWE, "2026-10-03T12:00", ["10-04 02:30:00+11", "10-05 02:15:00+11"]),
        ("0 9 * * *", APIA, "2011-12-29T12:00", ["12-31 00:00:00+14", "12-31 09:00:00+14"]),
        # the gap: an expression that follows the clock leaves it out
        ("*/30 2 * * *", NEW_YORK, "2026-03-07T12:00", ["03-09 02:00:00-04", "03-09 02:30:00-04"]),
        ("0 * * * *", NEW_YORK, "2026-03-08T00:30", ["03-08 01:00:00-05", "03-08 03:00:00-04"]),
        ("* * * * * *", LONDON, "2026-03-29T00:59:58", ["03-29 00:59:59+00", "03-29 02:00:00+01"]),
        ("*/20 2 * * *", LORD_HOWE, "2026-10-03T12:00", ["10-04 02:40:00+11", "10-05 02:00:00+11"]),
        # the repeated hour: a given time is due once, the first time
        ("30 1 * * *", NEW_YORK, "2026-10-31T12:00", ["11-01 01:30:00-04", "11-02 01:30:00-05"]),
        ("30 1 * * *", LONDON, "2026-10-24T12:00", ["10-25 01:30:00+01", "10-26 01:30:00+00"]),
        ("45 1 * * *", LORD_HOWE, "2026-04-04T12:00", ["04-05 01:45:00+11", "04-06 01:45:00+10"]),
        ("0 2 * * *", NEW_YORK, "2026-10-31T12:00", ["11-01 02:00:00-05", "11-02 02:00:00-05"]),
        # the repeated hour: an expression that follows the clock is due both times
        (
            "*/30 1 * * *",
            NEW_YORK,
            "2026-10-31T12:00",
            ["11-01 01:00:00-04", "11-01 01:30:00-04", "11-01 01:00:00-05", "11-01 01:30:00-05", "11-02 01:00:00-05"],
        ),
        ("0 * * * *", LONDON, "2026-10-25T00:30", ["10-25 01:00:00+01", "10-25 01:00:00+00", "10-25 02:00:00+00"]),
        (
            "*/10 2 * * *",
            LORD_HOWE,
            "2026-04-04T12:00",
            ["04-05 02:00:00+10", "04-05 02:10:00+10", "04-05 02:20:00+10", "04-05 02:30:00+10"],
        ),
        (
            "*/15 1 * * *",
            LORD_HOWE,
            "2026-04-05T01:20",
            ["04-05 01:30:00+11", "04-05 01:45:00+11", "04-05 01:30:00+10"],
        ),
        ("* 1 1 11 *", NEW_YORK, "2026-03-01T00:00", ["11-01 01:00:00-04", "11-01 01:01:00-04"]),
    ],
)
def test_the_ticks_at_a_change_of_the_clock(expression, zone, after, expected):
    assert following(expression, zone, after, len(expected)) == expected


@pytest.mark.parametrize("zone", [NEW_YORK, LONDON, LORD_HOWE])
def test_every_minute_has_one_tick_in_a_year_with_its_changes(zone):
    place, first = ZoneInfo(zone), datetime(2026, 1, 1, tzinfo=UTC)
    for change in (datetime(2026, month, day, tzinfo=UTC) for month in (3, 4, 10, 11) for day in (1, 4, 5, 8, 25, 29)):
        found = list(cron.ticks("* * * * *", place, change - timedelta(hours=2), change + timedelta(hours=12)))
        assert [later - earlier for earlier, later in pairwise(found)] == [cron.MINUTE] * 839
        assert (found[0] - first).total_seconds() % 60 == 0


@pytest.mark.parametrize("expression", ["* * * * * *", "* * * 1 * *", "30 2 * * *", "0 9 * * 1", "0 0 29 2 *"])
@pytest.mark.parametrize("zone", [NEW_YORK, LORD_HOWE, ULAANBAATAR])
def test_the_latest_tick_is_the_one_before_the_next(expression, zone):
    place, now = ZoneInfo(zone), datetime(2030, 8, 1, 16, 0, 5, tzinfo=UTC)
    first = cron.next_tick(expression, place, datetime(2025, 1, 1, tzinfo=UTC))
    latest = cron.latest_tick(expression, place, first, now)
    assert latest <= now < cron.next_tick(expression, place, latest)
    assert cron.latest_tick(expression, place, first, latest) == latest
    assert cron.latest_tick(expression, place, first, first) == first


@pytest.mark.parametrize(
    "expression", ["", "* *", "61 * * * *", "0 0 30 2 *", "0 0 30 2 1#6", "often", "* * * * * * *", "@daily"]
)
def test_an_expression_without_a_time_is_refused(expression):
    with pytest.raises(cron.NoTick):
        cron.check(expression)
