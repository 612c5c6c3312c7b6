"""When a failed job is tried again, and when it is dead. Pure: no clock, no database, no chance of its own."""

from dataclasses import dataclass

from jobs.errors import ErrorClass

JITTER = 0.10  # of the wait, at most: jobs that failed together do not come back together
THROTTLE_WAIT = 15.0  # seconds, where a throttling server names none
THROTTLE_LONGEST = 3600.0


@dataclass(frozen=True)
class Retry:
    """Try again in `wait` seconds; `give_back`: this attempt does not count."""

    wait: float
    give_back: bool = False


@dataclass(frozen=True)
class Bury:
    """A dead letter, for the given reason (`JobLog.Reason`)."""

    reason: str


def decide(
    error_class: str,
    *,
    left: int,
    max_attempts: int,
    backoff: float,
    jitter: float,
    retry_after: float | None = None,
) -> Retry | Bury:
    """What follows from a failed attempt.

    error_class: an `ErrorClass`. left: attempts that remain after this one. max_attempts: of one round (5).
    backoff: seconds before the second attempt (2); it doubles each time: 2, 4, 8, 16.
    jitter: a number from 0 to 1 that the caller drew. retry_after: seconds the server asked for, if it did.
    """
    stretch = 1 + JITTER * jitter
    match error_class:
        case ErrorClass.PERMANENT:
            return Bury("permanent")
        case ErrorClass.CONFIGURATION:
            return Retry(0.0, give_back=True)
        case ErrorClass.THROTTLED:
            wait = THROTTLE_WAIT if retry_after is None else max(1.0, retry_after)
            return Retry(min(wait, THROTTLE_LONGEST) * stretch, give_back=True)
    if left <= 0:
        return Bury("exhausted")
    made = max(1, max_attempts - left)
    return Retry(backoff * 2 ** (made - 1) * stretch)
