"""A job type of the tests' own, registered for as long as a test needs it."""

from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any

from django_q.models import OrmQ

from jobs.brokers import messages
from jobs.core import job_types
from jobs.core.job import THIS_SITE, JobLog
from jobs.core.job_types import Policy
from jobs.queue.enqueue import enqueue as enqueue_job
from jobs.worker import entry

NAME = "test-job"
DEFAULT_POLICY = Policy()


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
def registered(
    per_hour: int | None = None, per_address: int | None = None, policy: Policy = DEFAULT_POLICY, lane: str = "default"
) -> Iterator[Recorder]:
    """Registers NAME with a Recorder as its handler."""
    recorder = Recorder()
    kind = job_types.JobType(
        NAME,
        handler=recorder.handler,
        per_hour=per_hour,
        per_address=per_address,
        policy=policy,
        lane=lane,
        execution=job_types.Execution(probe=lambda: recorder.probe()),
        presentation=job_types.Presentation(recipient="email" if per_address else ""),
    )
    job_types.register(kind)
    try:
        yield recorder
    finally:
        job_types.unregister(NAME)


def enqueue(job_id: str, user_id: str = "1", lane: str = "", source: str = THIS_SITE, **payload: Any) -> JobLog:
    """A job of type NAME, as the database has it."""
    job = enqueue_job(NAME, payload, job_id=job_id, user_id=user_id, lane=lane, source=source)
    job.refresh_from_db()
    return job


def run_all(jobs: Iterable[JobLog]) -> None:
    """Run the first attempts of jobs as the jobs of one task."""
    receipts = {messages.attempts_of(row.payload)[0][0]: row.pk for row in OrmQ.objects.all()}
    entry.run_many([(job.pk, 1) for job in jobs], [receipts.get(job.pk) for job in jobs])
