"""The ledger of the peers: one row for each job, written three times. Each write commits alone or with its caller."""

import json
from typing import Any

from django.db import connection

INSERT = "INSERT INTO bench_ledger (reference, payload, status) VALUES (%s, %s, 'enqueued') RETURNING id"
START = "UPDATE bench_ledger SET status = 'processing', started_at = now() WHERE id = %s"
END = "UPDATE bench_ledger SET status = 'completed', ended_at = now() WHERE id = %s"


def accepted(reference: str, payload: dict[str, Any]) -> int:
    """Insert a job and return its key."""
    with connection.cursor() as cursor:
        cursor.execute(INSERT, [reference, json.dumps(payload, ensure_ascii=False)])
        key: int = cursor.fetchone()[0]
    return key


def processing(key: int) -> None:
    """Record that a worker started the job."""
    with connection.cursor() as cursor:
        cursor.execute(START, [key])


def completed(key: int) -> None:
    """Record that the email is sent."""
    with connection.cursor() as cursor:
        cursor.execute(END, [key])
