"""The judgement of a sign-in: whether its device is known, and what is unusual about it. Pure: no database, no user.

So it serves the users of this site and those of other sites. The texts of the signals are in `accounts.mail.content`.
"""

from dataclasses import dataclass
from datetime import datetime, timedelta
from enum import StrEnum

MANY_FAILURES = 5
LONG_ABSENCE = timedelta(days=90)
TRAVEL = timedelta(hours=2)  # a user who leaves one country takes longer to sign in from another

Signals = dict[str, str | int]  # a Signal and its detail


class Signal(StrEnum):
    """What is unusual about a sign-in, and the detail that explains it."""

    NEW_COUNTRY = "new_country"  # the country's code
    AFTER_FAILURES = "after_failures"  # how many wrong passwords
    LONG_ABSENCE = "long_absence"  # the date of the last sign-in, ISO 8601
    TWO_COUNTRIES = "two_countries"  # the other country's code


@dataclass(frozen=True)
class Attempt:
    """The sign-in that is judged."""

    at: datetime
    country: str = ""
    """The code of the country, "" when it is unknown."""
    failures: int = 0
    """Wrong passwords for the account before it."""


@dataclass(frozen=True)
class Past:
    """The user's earlier sign-ins, as far as they are kept and were not disputed."""

    seen: bool = False
    """Whether there was one, ever."""
    last_at: datetime | None = None
    """The time of the last one."""
    located: bool = False
    """Whether the country of any of them is known."""
    country_seen: bool = False
    """Whether one was from this country."""
    network_seen: bool = False
    """Whether one was from this network."""
    families_seen: bool = False
    """Whether a device of these families, both known, is remembered."""
    cookie_valid: bool = False
    """Whether the browser's cookie names a device that is remembered."""
    elsewhere: str = ""
    """The code of the country of the last one from another country."""
    elsewhere_at: datetime | None = None


def is_known(past: Past) -> bool:
    """Return whether the device has been used before: by its cookie, else by families at a known place.

    Families alone prove nothing: half of all strangers use the same ones.
    """
    return past.cookie_valid or (past.families_seen and (past.network_seen or past.country_seen))


def is_new_device(past: Past) -> bool:
    """Return whether the device is a new one; the first sign-in of all is not from a new device."""
    return past.seen and not is_known(past)


def find_signals(attempt: Attempt, past: Past) -> Signals:
    """Return the signals of a sign-in, each with its detail. Times in the future are wrong clocks and count as now."""
    signals: Signals = {}
    if attempt.country and past.located and not past.country_seen:
        signals[Signal.NEW_COUNTRY] = attempt.country
    if attempt.failures >= MANY_FAILURES:
        signals[Signal.AFTER_FAILURES] = attempt.failures
    if past.last_at and attempt.at - past.last_at >= LONG_ABSENCE:
        signals[Signal.LONG_ABSENCE] = past.last_at.date().isoformat()
    if attempt.country and past.elsewhere_at and attempt.at - past.elsewhere_at < TRAVEL:
        signals[Signal.TWO_COUNTRIES] = past.elsewhere
    return signals
