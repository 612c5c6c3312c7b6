"""The work of a schedule that runs a task of Django's Tasks interface."""

import json
from dataclasses import dataclass, field
from typing import Any

from django.utils.module_loading import import_string

from jobs.core.job import JobLog


@dataclass(frozen=True)
class TaskWork:
    """A call of a task."""

    path: str
    args: tuple[Any, ...] = ()
    kwargs: dict[str, Any] = field(default_factory=dict)

    def enqueue(self, job_id: str, lane: str) -> JobLog:
        """Enqueue the call."""
        enqueue_task = import_string("jobs.tasks.enqueue.enqueue_task")
        job: JobLog = enqueue_task(import_string(self.path), self.args, self.kwargs, job_id=job_id, lane=lane)
        return job

    def describe(self) -> str:
        """Return the path of the task."""
        return self.path

    def fault(self) -> str:
        """Return why the call cannot be enqueued; "" when it can."""
        if not isinstance(self.path, str) or "." not in self.path:
            return f"the task {self.path!r} is not a dotted path"
        try:
            found = import_string(self.path)
            json.dumps([self.args, self.kwargs])
        except ImportError as missing:
            return f"the task {self.path!r} cannot be imported ({missing})"
        except (TypeError, ValueError) as wrong:
            return f"args and kwargs are not JSON values ({wrong})"
        return "" if hasattr(found, "enqueue") else f"{self.path!r} is not a task"
