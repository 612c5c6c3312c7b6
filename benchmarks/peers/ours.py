"""Notifier with its own `enqueue`, which includes the hourly limit, the job id and the ledger."""

from typing import Any

from accounts.notices.sign_in import SIGN_IN_JOB
from jobs.queue.enqueue import enqueue as enqueue_job


def enqueue(reference: str, payload: dict[str, Any]) -> None:
    """Enqueue one job for a new user: the limit is ten an hour."""
    enqueue_job(SIGN_IN_JOB, payload, job_id=reference, user_id=reference)
