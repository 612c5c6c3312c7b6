"""The schedules of the setting SCHEDULES, and what is wrong with its entries."""

import re
import time
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import datetime
from functools import cache
from typing import Any
from zoneinfo import ZoneInfo, available_timezones

from django.conf import settings

from jobs.core.pauses import Lane
from jobs.schedules import cron
from jobs.schedules.task_work import TaskWork

LOADED = time.monotonic()  # in the supervisor, which its watchdogs are forked from
NAME = re.compile(r"[a-z0-9][a-z0-9_.-]{0,63}")
KEYS = ("task", "cron", "timezone", "args", "kwargs", "lane")
REQUIRED = KEYS[:3]


@dataclass(frozen=True)
class Schedule:
    """One schedule; its expression and zone are valid."""

    name: str
    work: TaskWork
    cron: str
    zone: ZoneInfo
    lane: str = ""

    @property
    def spec(self) -> str:
        """Return what decides about its ticks; when it changes, they are counted again."""
        return f"{self.cron} {self.zone.key}"

    def next_tick(self, after: datetime) -> datetime:
        """Return its first tick later than `after`, in UTC."""
        return cron.next_tick(self.cron, self.zone, after)


@dataclass(frozen=True)
class Fault:
    """What is wrong with an entry of SCHEDULES."""

    name: str
    what: str
    do: str


def all_schedules() -> dict[str, Schedule]:
    """Return the schedules without a fault, by name."""
    return {name: _schedule(name, entry) for name, entry in _entries().items() if not any(_faults(name, entry))}


def faults() -> list[Fault]:
    """Return what is wrong with SCHEDULES, and what to write instead."""
    if not isinstance(getattr(settings, "SCHEDULES", {}), dict):
        example = '{"weekly-digest": {"task": "app.tasks.digest", "cron": "0 9 * * 1", "timezone": "UTC"}}'
        return [Fault("SCHEDULES", "it is not a dictionary", f"Write SCHEDULES = {example}.")]
    return [fault for name, entry in _entries().items() for fault in _faults(name, entry)]


def _entries() -> dict[Any, Any]:
    found = getattr(settings, "SCHEDULES", {})
    return found if isinstance(found, dict) else {}


def _schedule(name: str, entry: dict[str, Any]) -> Schedule:
    work = TaskWork(entry["task"], tuple(entry.get("args", ())), entry.get("kwargs", {}))
    return Schedule(name, work, entry["cron"], ZoneInfo(entry["timezone"]), entry.get("lane", ""))


@cache
def _zones() -> set[str]:
    return available_timezones()


def _faults(name: Any, entry: Any) -> Iterator[Fault]:
    if not (isinstance(name, str) and NAME.fullmatch(name)):
        yield Fault(str(name), "the name is not valid", "Use 1 to 64 of a-z, 0-9, `.`, `_` and `-`.")
        return
    if not isinstance(entry, dict):
        yield Fault(name, "it is not a dictionary", f"Write a dictionary with {', '.join(REQUIRED)}.")
        return
    if unknown := [str(key) for key in entry if key not in KEYS]:
        yield Fault(name, f"unknown keys: {', '.join(unknown)}", f"The keys are {', '.join(KEYS)}.")
    if missing := [key for key in REQUIRED if key not in entry]:
        yield Fault(name, f"missing keys: {', '.join(missing)}", f"Each schedule needs {', '.join(REQUIRED)}.")
        return
    for what, do in _value_faults(entry):
        yield Fault(name, what, do)


def _value_faults(entry: dict[str, Any]) -> Iterator[tuple[str, str]]:
    """Yield what is wrong with the values of an entry, and what to write."""
    try:
        cron.check(str(entry["cron"]))
    except cron.NoTick as wrong:
        yield (
            f"the cron expression {entry['cron']!r} is not valid ({wrong})",
            'Write minute, hour, day of the month, month and day of the week: "0 9 * * 1" is Monday, 9:00. A sixth '
            "field, before the others, is the second.",
        )
    if not (isinstance(entry["timezone"], str) and entry["timezone"] in _zones()):
        yield (
            f"there is no time zone {entry['timezone']!r}",
            'Write an IANA name such as "Asia/Ulaanbaatar" or "UTC".',
        )
    args, kwargs, lane = entry.get("args", ()), entry.get("kwargs", {}), entry.get("lane", "")
    if not isinstance(args, list | tuple):
        yield "args is not a list", 'Write "args": [1, "two"].'
    if not (isinstance(kwargs, dict) and all(isinstance(key, str) for key in kwargs)):
        yield "kwargs is not a dictionary of names", 'Write "kwargs": {"name": "value"}.'
    if lane not in ("", *Lane.values):
        yield f"there is no lane {lane!r}", f"Write one of {', '.join(Lane.values)}, or leave it out."
    if not (isinstance(args, list | tuple) and isinstance(kwargs, dict)):
        return
    if why := TaskWork(entry["task"], tuple(args), kwargs).fault():
        yield why, "Write the dotted path of a function with @task, such as app.tasks.digest."
