"""Notifier: its own way into the queue; the hourly limit, the job id and the ledger are part of it."""

from typing import Any

from accounts.notices import JOB_TYPE
from jobs import queue


def enqueue(reference: str, payload: dict[str, Any]) -> None:
    """One job, of a user of its own: the limit is ten an hour."""
    queue.enqueue(JOB_TYPE, payload, job_id=reference, user_id=reference)
