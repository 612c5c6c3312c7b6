"""A job type of the tests' own, registered for as long as a test needs it."""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any

from jobs import queue, registry
from jobs.models import JobLog

NAME = "test-job"


@dataclass
class Recorder:
    """What the handler saw. `behave` may be set to a function that raises."""

    called: list[str] = field(default_factory=list)
    behave: Callable[[JobLog], None] = lambda job: None
    probe: Callable[[], None] = lambda: None

    def handler(self, job: JobLog) -> None:
        self.called.append(job.job_id)
        self.behave(job)


@contextmanager
def registered(per_hour: int | None = None) -> Iterator[Recorder]:
    """Registers NAME with a Recorder as its handler."""
    recorder = Recorder()
    kind = registry.JobType(NAME, handler=recorder.handler, per_hour=per_hour, probe=lambda: recorder.probe())
    registry.register(kind)
    try:
        yield recorder
    finally:
        registry._types.pop(NAME)


def enqueue(job_id: str, user_id: str = "1", **payload: Any) -> JobLog:
    """A job of type NAME, as the database has it."""
    job = queue.enqueue(NAME, payload, job_id=job_id, user_id=user_id)
    job.refresh_from_db()
    return job
