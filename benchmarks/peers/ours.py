"""Notifier with its own `enqueue`, which includes the hourly limit, the job id and the ledger."""

import os
from typing import Any

from accounts.notices.sign_in import SIGN_IN_JOB
from jobs.core.job import THIS_SITE
from jobs.queue.enqueue import enqueue as enqueue_job

LANE, SOURCE = os.environ.get("BENCH_LANE", ""), os.environ.get("BENCH_SOURCE") or THIS_SITE


def enqueue(reference: str, payload: dict[str, Any]) -> None:
    """Enqueue one job for a new user: the limit is ten an hour."""
    enqueue_job(SIGN_IN_JOB, payload, job_id=reference, user_id=reference, lane=LANE, source=SOURCE)
