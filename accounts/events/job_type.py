"""The job type of events: its waits, its lane, and how its handler is called."""

from accounts.events import sender
from accounts.events.emit import JOB_TYPE
from jobs.core.job_types import Execution, JobType, Policy, register
from jobs.core.pauses import Lane

MINUTE, HOUR = 60.0, 3600.0
WAITS = (5.0, 5 * MINUTE, 30 * MINUTE, 2 * HOUR, 5 * HOUR, 10 * HOUR, 14 * HOUR, 20 * HOUR, 24 * HOUR)
LIFETIME = 120 * HOUR  # the waits take up to 84 h; an event that is held back while its receiver fails waits longer


def register_event_type() -> None:
    """Register the job type of events."""
    register(
        JobType(
            name=JOB_TYPE,
            handler=sender.deliver,
            lane=Lane.BULK,
            policy=Policy(backoff=WAITS, expires=LIFETIME),
            execution=Execution(precheck=sender.check_events, threads=True, exchange=sender.exchange),
        )
    )
