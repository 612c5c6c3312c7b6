"""What a task returned, and its progress: one row for each job that has either."""

from typing import Any

from django.db import models
from django.db.models.functions import Now

from jobs.core.job import JobLog
from jobs.core.sql.keys import LARGEST


class TaskResultRow(models.Model):
    """The return value and the progress of a job. Retention deletes it by its age."""

    job = models.OneToOneField(
        "jobs.JobLog",
        models.CASCADE,
        primary_key=True,
        related_name="task_result",
        db_constraint=False,
    )
    value = models.JSONField(null=True)
    done = models.BigIntegerField(null=True)
    total = models.BigIntegerField(null=True)
    written_at = models.DateTimeField(db_default=Now())

    class Meta:
        db_table = "job_task_results"
        default_permissions = ()
        indexes = [models.Index(fields=["written_at"], name="task_result_written")]

    def __str__(self) -> str:
        return str(self.job_id)


def store_values(values: dict[int, Any]) -> None:
    """Store what tasks returned, by the primary keys of their jobs."""
    rows = [TaskResultRow(job_id=pk, value=value, written_at=Now()) for pk, value in values.items()]
    _upsert(rows, ["value", "written_at"])


def check_progress(done: int, total: int) -> None:
    """Raise ValueError unless both are whole numbers and 0 <= done <= total."""
    if not all(isinstance(part, int) and not isinstance(part, bool) for part in (done, total)):
        raise ValueError("progress: done and total must be whole numbers")
    if not 0 <= done <= total <= LARGEST:
        raise ValueError(f"progress: done ({done}) must be 0 to total ({total})")


def store_progress(pk: int, done: int, total: int) -> None:
    """Store the progress of a job (`check_progress`)."""
    _upsert([TaskResultRow(job_id=pk, done=done, total=total, written_at=Now())], ["done", "total", "written_at"])


def _upsert(rows: list[TaskResultRow], columns: list[str]) -> None:
    TaskResultRow.objects.bulk_create(rows, update_conflicts=True, unique_fields=["job"], update_fields=columns)


def find(job: JobLog) -> TaskResultRow | None:
    """Return the row of a job; None when it has none."""
    return TaskResultRow.objects.filter(pk=job.pk).first()
