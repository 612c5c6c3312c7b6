"""What a task with `takes_context` gets."""

import time
from dataclasses import dataclass, field

from jobs.tasks import stored
from jobs.tasks.compat import TaskContext

EVERY_SECONDS = 0.5  # between two writes of the progress


@dataclass(frozen=True, kw_only=True)
class Context(TaskContext):
    """Django's TaskContext, and the progress that operators see."""

    job_key: int
    """The primary key of the job."""
    written: list[float] = field(default_factory=list, repr=False)
    """When the progress was last written, by time.monotonic(); empty before that."""

    def progress(self, done: int, total: int) -> None:
        """Report that `done` of `total` parts are done. Written at most twice a second, and always the last.

        Within a transaction of the task, operators see it after the commit.
        Raises ValueError unless both are whole numbers and 0 <= done <= total.
        """
        stored.check_progress(done, total)
        now = time.monotonic()
        if done == total or not self.written or now - self.written[0] >= EVERY_SECONDS:
            self.written[:] = [now]
            stored.store_progress(self.job_key, done, total)
