"""The backend that settings name: `TASKS = {"default": {"BACKEND": "jobs.tasks.Backend"}}`."""

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from django.core.checks import CheckMessage, Error
from django.utils import timezone

from jobs.core import job_types
from jobs.queue.enqueue import LONGEST_DELAY, Duplicate
from jobs.tasks import names, results
from jobs.tasks.compat import BaseTaskBackend, InvalidTask, Task, TaskResult
from jobs.tasks.enqueue import enqueue_with_result
from jobs.tasks.options import parameters


class Backend(BaseTaskBackend):
    """Runs tasks as jobs of the queue: durable, in the caller's transaction, with retries and dead letters."""

    supports_defer = True
    supports_async_task = True
    supports_get_result = True
    supports_priority = True

    def validate_task(self, task: Task) -> None:
        """Raise InvalidTask for a task that no worker could run."""
        super().validate_task(task)
        names.check_path(task)
        if task.run_after is None:
            return
        if timezone.is_naive(task.run_after):
            raise InvalidTask("run_after must be an aware datetime.")
        if task.run_after > timezone.now() + LONGEST_DELAY:
            raise InvalidTask(f"run_after must be at most {LONGEST_DELAY.days} days ahead.")

    def enqueue(self, task: Task, args: Sequence[Any], kwargs: Mapping[str, Any]) -> TaskResult:
        """Enqueue a task, in the caller's transaction.

        With the option `unique`, returns the result of an equal task that waits or runs. Raises as `enqueue_task`.
        """
        self.validate_task(task)
        try:
            _, result = enqueue_with_result(task, args, kwargs)
        except Duplicate as equal:
            return results.of_job(equal.job, task)
        return result

    def get_result(self, result_id: str) -> TaskResult:
        """Return the result with that id. Raises TaskResultDoesNotExist."""
        return results.load(result_id)

    def check(self, **_: Any) -> list[CheckMessage]:
        """Return what is wrong with this entry of TASKS, and with `unique` of tasks (jobs.E006, jobs.E007)."""
        return [*self._wrong_options(), *_wrong_keys()]

    def _wrong_options(self) -> Iterator[CheckMessage]:
        if self.options:
            yield Error(
                f"TASKS[{self.alias!r}] has OPTIONS, and jobs.tasks.Backend has none.",
                hint="Remove them; jobs.tasks.options sets those of a task.",
                id="jobs.E006",
            )


def _wrong_keys() -> Iterator[CheckMessage]:
    """Yield a fault for each parameter that `unique` names and its task does not have."""
    for kind in job_types.all_types():
        unique = kind.policy.unique
        for key in unique.key if unique and kind.name.startswith(names.PREFIX) else ():
            if key not in parameters(names.load(kind.name)):
                yield Error(
                    f"The task {kind.name.removeprefix(names.PREFIX)} has no parameter {key!r}, which its unique "
                    "option compares.",
                    hint="Change the key of Unique in its options.",
                    id="jobs.E007",
                )
