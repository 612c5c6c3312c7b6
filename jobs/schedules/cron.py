"""Ticks: the times at which a cron expression in a time zone is due. Pure, and in UTC outside of this module.

The library cronsim parses an expression and lists its wall times. Which instants those are is decided here, by the rule
of Debian's cron, at a change between standard and summer time:

1. The minute and the hour are given (neither field starts with `*`): a wall time that does not exist is due once, at
   the end of the gap; one that exists twice is due the first time alone.
2. Otherwise the expression follows the clock: a wall time that does not exist is left out, one that exists twice is due
   both times.
"""

from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from zoneinfo import ZoneInfo

from cronsim import CronSim, CronSimError

SECOND, MINUTE = timedelta(seconds=1), timedelta(minutes=1)
SAMPLE = timedelta(hours=6)  # no zone changes its offset twice within it


class NoTick(ValueError):
    """The expression is not valid, or names a time that never comes."""


def check(expression: str) -> None:
    """Raise NoTick, which says why, unless cron ever reaches a time of this expression (5 or 6 fields)."""
    next(_wall_times(expression, datetime(2024, 1, 1, tzinfo=UTC).replace(tzinfo=None)))


def next_tick(expression: str, zone: ZoneInfo, after: datetime) -> datetime:
    """Return the first tick later than `after`, which has a time zone; the result is in UTC. Raises NoTick."""
    after = after.astimezone(UTC).replace(microsecond=0)
    if _names_hours(expression):
        return _next_fixed(expression, zone, after)
    return _next_running(expression, zone, after)


def ticks(expression: str, zone: ZoneInfo, after: datetime, until: datetime) -> Iterator[datetime]:
    """Yield the ticks later than `after` and not later than `until`, in order. Raises NoTick."""
    tick = next_tick(expression, zone, after)
    while tick <= until:
        yield tick
        tick = next_tick(expression, zone, tick)


def latest_tick(expression: str, zone: ZoneInfo, first: datetime, until: datetime) -> datetime:
    """Return the last tick not later than `until`. first: a tick not later than that. Raises NoTick.

    It halves the time between them, so that a year of seconds takes thirty steps.
    """
    low, high = first - SECOND, until  # the next tick after `low` is not later than `until`
    while high - low > SECOND:
        middle = (low + (high - low) / 2).replace(microsecond=0)
        if middle <= low:
            break
        if next_tick(expression, zone, middle) <= until:
            low = middle
        else:
            high = middle
    return next_tick(expression, zone, low)


def _names_hours(expression: str) -> bool:
    """Return whether rule 1 applies."""
    minute, hour = expression.split()[-5:-3]
    return not minute.startswith("*") and not hour.startswith("*")


def _wall_times(expression: str, after: datetime) -> Iterator[datetime]:
    """Yield the wall times later than `after`, without a time zone. Raises NoTick."""
    try:
        found = CronSim(expression, after)
    except CronSimError as wrong:
        raise NoTick(str(wrong)) from None
    first = next(found, None)
    if first is None:
        raise NoTick("no date matches it")
    yield first
    yield from found


def _next_fixed(expression: str, zone: ZoneInfo, after: datetime) -> datetime:
    """Rule 1. Two wall times in one gap are one tick."""
    for wall in _wall_times(expression, after.astimezone(zone).replace(tzinfo=None)):
        tick = _first_instant(wall, zone)
        if tick > after:
            return tick
    raise NoTick("no date matches it")


def _first_instant(wall: datetime, zone: ZoneInfo) -> datetime:
    """Return the first time at which clocks show `wall`, or the end of the gap that it is in."""
    if _exists(wall, zone):
        return wall.replace(tzinfo=zone).astimezone(UTC)
    wall = wall.replace(second=0)
    while not _exists(wall, zone):
        wall += MINUTE
    return wall.replace(tzinfo=zone).astimezone(UTC)


def _exists(wall: datetime, zone: ZoneInfo) -> bool:
    return wall.replace(tzinfo=zone).astimezone(UTC).astimezone(zone).replace(tzinfo=None, fold=0) == wall


def _next_running(expression: str, zone: ZoneInfo, after: datetime) -> datetime:
    """Rule 2: walk through the periods in which the zone's offset is the same."""
    while True:
        offset = _offset(after, zone)
        tick = (next(_wall_times(expression, (after + offset).replace(tzinfo=None))) - offset).replace(tzinfo=UTC)
        change = _next_change(zone, after, tick)
        if change is None:
            return tick
        if _is_tick(expression, zone, change):
            return change
        after = change


def _is_tick(expression: str, zone: ZoneInfo, instant: datetime) -> bool:
    """Return whether `instant` is due by the clock of its own time."""
    wall = (instant + _offset(instant, zone)).replace(tzinfo=None)
    return next(_wall_times(expression, wall - SECOND)) == wall


def _next_change(zone: ZoneInfo, after: datetime, until: datetime) -> datetime | None:
    """Return the first second with another offset than `after`, not later than `until`; None without one."""
    offset, low = _offset(after, zone), after
    while low < until:
        high = min(low + SAMPLE, until)
        if _offset(high, zone) != offset:
            while high - low > SECOND:
                middle = (low + (high - low) / 2).replace(microsecond=0)
                low, high = (middle, high) if _offset(middle, zone) == offset else (low, middle)
            return high
        low = high
    return None


def _offset(instant: datetime, zone: ZoneInfo) -> timedelta:
    return instant.astimezone(zone).utcoffset() or timedelta(0)
