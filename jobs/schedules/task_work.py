"""The work of a schedule: a call of a task of Django's Tasks interface."""

from dataclasses import dataclass, field
from typing import Any

from jobs.core.job import JobLog
from jobs.tasks import names
from jobs.tasks.compat import Task
from jobs.tasks.enqueue import enqueue_task
from jobs.tasks.json_values import as_stored


@dataclass(frozen=True)
class TaskWork:
    """A call of the task at a dotted path."""

    path: str
    args: tuple[Any, ...] = ()
    kwargs: dict[str, Any] = field(default_factory=dict)

    def enqueue(self, job_id: str, lane: str) -> JobLog:
        """Enqueue the call in the caller's transaction; lane: "" for that of the task's priority.

        Raises what `enqueue_task` raises, and LookupError when the task cannot be imported.
        """
        return enqueue_task(self._task(), self.args, self.kwargs, job_id=job_id, lane=lane)

    def fault(self) -> str:
        """Return why the call cannot be enqueued; "" when it can."""
        if not isinstance(self.path, str) or "." not in self.path:
            return f"the task {self.path!r} is not a dotted path"
        try:
            self._task()
            as_stored([list(self.args), self.kwargs], "the arguments")
        except (LookupError, TypeError, ValueError) as wrong:
            return str(wrong)
        return ""

    def _task(self) -> Task:
        return names.load(f"{names.PREFIX}{self.path}")
