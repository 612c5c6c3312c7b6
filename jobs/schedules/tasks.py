"""The maintenance that is a schedule: the deletion of old data, in parts, so that a worker is soon free again."""

from typing import Any

from jobs.core import leases
from jobs.core.job import JobLog
from jobs.maintenance import retention
from jobs.schedules.state import ScheduleState
from jobs.tasks import options
from jobs.tasks.compat import task
from jobs.tasks.enqueue import enqueue_task

PART_SECONDS = 10.0
MOST_PARTS = 1_000
TIMEOUT = 1_800  # one step of a pruner may take longer than a part


@options(timeout=TIMEOUT)
@task(priority=-10, takes_context=True)
def prune(context: Any, part: int = 1) -> dict[str, int]:
    """Delete old data for PART_SECONDS, and enqueue the next part unless all is done; return the counts of this part.

    Raises RuntimeError after MOST_PARTS. Then, and whenever this task did not end for a day, a cluster deletes old data
    without it (jobs/cluster/maintenance.py).
    """
    counts, complete = retention.prune_for(PART_SECONDS)
    if complete:
        leases.renew(retention.LEASE)
        return counts
    if part >= MOST_PARTS:
        raise RuntimeError(f"old data are left after {part} parts")
    _enqueue_next(context.task_result.id, part + 1)
    return counts


def _enqueue_next(job_id: str, part: int) -> None:
    """Enqueue the next part, with the id of this one and its number; an attempt that is repeated adds none."""
    first = job_id.partition(".part-")[0]
    following = f"{first}.part-{part}"
    if JobLog.objects.filter(job_id=following).exists():
        return
    enqueue_task(prune, kwargs={"part": part}, job_id=following)
    ScheduleState.objects.filter(last_job_id=job_id).update(last_job_id=following)
