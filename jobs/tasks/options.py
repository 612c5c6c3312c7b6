"""`options`: the policy of a task, as a decorator next to `@task`."""

from collections.abc import Callable
from typing import Any, TypeVar

from jobs import checks
from jobs.core.job_types import Policy, Unique
from jobs.tasks.compat import Task

ATTRIBUTE = "job_policy"  # of the task's function
Decorated = TypeVar("Decorated", bound=Callable[..., Any] | Task)

__all__ = ["Unique", "options", "policy_of"]


def options(
    *,
    max_attempts: int | None = None,
    backoff: float | tuple[float, ...] | None = None,
    timeout: int | None = None,
    unique: Unique | bool = False,
    expires: float | None = None,
) -> Callable[[Decorated], Decorated]:
    """Set how long and how often the queue tries a task; above or below `@task`.

    max_attempts: of a round; None: one more than `backoff` lists, otherwise JOB_MAX_ATTEMPTS.
    backoff: seconds before the second attempt, doubled each time; or a tuple of each wait. None: JOB_BACKOFF_SECONDS.
    timeout: seconds that one attempt may take. None: JOB_TIMEOUT_SECONDS.
    unique: True: an enqueue with equal arguments returns the first one's result while that waits or runs.
    Unique(period, key): also for `period` seconds after its enqueue; and compares only the parameters in `key`.
    expires: seconds after its due time in which the task is tried. None: 24 hours.
    Raises TypeError when it decorates no function and no task, and ValueError for an impossible value.
    """
    policy = Policy(max_attempts, backoff, expires, timeout, Unique() if unique is True else unique or None)
    if faults := [fault for fault, _ in checks.policy_faults(policy)]:
        raise ValueError(f"options: {'; '.join(faults)}")

    def decorate(decorated: Decorated) -> Decorated:
        function = decorated.func if isinstance(decorated, Task) else decorated
        if not hasattr(function, "__code__"):
            raise TypeError(f"options: decorate a function or a task, not {decorated!r}")
        if hasattr(function, ATTRIBUTE):
            raise TypeError(f"options: {function.__qualname__} has options already; write them in one decorator")
        setattr(function, ATTRIBUTE, policy)
        return decorated

    return decorate


def policy_of(task: Task) -> Policy:
    """Return the policy of a task: that of its `options`, else the default one."""
    found: Policy = getattr(task.func, ATTRIBUTE, Policy())
    return found
