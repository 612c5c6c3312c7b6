"""The retry policy: when a failed job is tried again, and when it is dead. Pure: no clock, database or randomness."""

from collections.abc import Sequence
from dataclasses import dataclass, replace

from jobs.core.errors import ErrorClass, Failure

JITTER = 0.10  # share of the wait, at most: jobs that failed together are not tried again together
THROTTLE_WAIT = 15.0  # seconds, when a throttling server names none
THROTTLE_LONGEST = 3600.0
BEFORE_THE_ATTEMPT = (ErrorClass.POISON, ErrorClass.EXPIRED, ErrorClass.SUPPRESSED)  # no attempt: nothing to retry
SLOW_WAITS = {
    ErrorClass.THROTTLED: 300.0,
    ErrorClass.CONFIGURATION: 60.0,
    ErrorClass.TEMPORARY: 60.0,
    ErrorClass.UNREACHABLE: 60.0,
}
"""Seconds that a quota, a refusal or an outage that lasts waits at least; otherwise as long as the job is old."""
SLOW_LONGEST = 7200.0


@dataclass(frozen=True)
class Retry:
    """The job is tried again."""

    wait: float  # seconds
    give_back: bool = False  # whether this attempt does not count


@dataclass(frozen=True)
class Bury:
    """The job becomes a dead letter."""

    reason: str  # a `jobs.core.job.Reason`


@dataclass(frozen=True)
class Discard:
    """The job ends: nothing was left to do."""


def decide(
    error_class: str,
    *,
    left: int,
    waits: Sequence[float],
    jitter: float,
    retry_after: float | None = None,
    slow: bool = False,
    age: float = 0.0,
) -> Retry | Bury | Discard:
    """Decide what follows from a failed attempt.

    error_class: an `ErrorClass`.
    left: attempts that remain after this one, of those of a round: one more than there are waits.
    waits: seconds before the second attempt, the third and so on (2, 4, 8, 16); one or more.
    jitter: a random number from 0 to 1, drawn by the caller.
    retry_after: seconds that the server asked for.
    slow: whether the cause lasts (`Failure.slow`).
    age: seconds since the job was enqueued; slow waits grow with it.
    """
    stretch = 1 + JITTER * jitter
    if error_class in BEFORE_THE_ATTEMPT:
        return Bury(error_class)
    if slow and retry_after is None and error_class in SLOW_WAITS:
        return Retry(min(max(SLOW_WAITS[ErrorClass(error_class)], age), SLOW_LONGEST) * stretch, give_back=True)
    match error_class:
        case ErrorClass.PERMANENT:
            return Bury("permanent")
        case ErrorClass.OBSOLETE:
            return Discard()
        case ErrorClass.CONFIGURATION:
            return Retry(0.0, give_back=True)
        case ErrorClass.THROTTLED:
            wait = THROTTLE_WAIT if retry_after is None else max(1.0, retry_after)
            return Retry(min(wait, THROTTLE_LONGEST) * stretch, give_back=True)
    if left <= 0:
        return Bury("exhausted")
    made = min(max(1, len(waits) + 1 - left), len(waits))
    return Retry(waits[made - 1] * stretch)


def judge_alone(failure: Failure, *, last_class: str, automatic: bool) -> Failure:
    """Return the failure as it counts for a job that was suspended or replayed before: a probe has succeeded since.

    last_class: the class of the job's last failure. automatic: whether the job was replayed automatically.
    """
    if failure.outage and automatic:  # no second round of five attempts, and no second death of the same outage
        return replace(failure, slow=True)
    suspended = last_class == ErrorClass.CONFIGURATION or (automatic and last_class == ErrorClass.PERMANENT)
    if failure.alone is None or not suspended:
        return failure
    return replace(failure, error_class=failure.alone, slow=failure.alone == ErrorClass.CONFIGURATION)


def concerns_all(failure: Failure) -> bool:
    """Return whether the error concerns all jobs: the type is suspended until a probe succeeds."""
    return failure.error_class == ErrorClass.CONFIGURATION and not failure.slow


def count_outage_as_unreachable(failure: Failure) -> Failure:
    """Return the failure of a dead letter: one of an outage counts as unreachable, so that it is replayed."""
    return replace(failure, error_class=ErrorClass.UNREACHABLE) if failure.outage else failure
