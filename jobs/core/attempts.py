"""The attempts of jobs that did not succeed."""

from __future__ import annotations

from typing import TYPE_CHECKING

from django.db import models
from django.db.models.functions import Now
from django.utils.translation import gettext_lazy as _

from jobs.core import counters
from jobs.core.errors import Failure

if TYPE_CHECKING:
    from jobs.core.job import JobLog


PATH_LENGTH = 200  # characters kept of the path of an exception's class


class JobAttempt(models.Model):
    """An attempt that did not succeed. Rows are only added."""

    class Outcome(models.TextChoices):
        FAILED = "failed", _("failed")
        LOST = "lost", _("its worker was lost")

    job = models.ForeignKey("jobs.JobLog", models.CASCADE, related_name="attempts", verbose_name=_("job"))
    number = models.PositiveIntegerField(_("number"))
    worker = models.CharField(_("worker"), max_length=128)
    started_at = models.DateTimeField(_("started"), null=True)
    ended_at = models.DateTimeField(_("ended"), db_default=Now())
    outcome = models.CharField(_("outcome"), max_length=16, choices=Outcome)
    error_class = models.CharField(_("class of error"), max_length=16, blank=True)
    fingerprint = models.CharField(_("fingerprint"), max_length=100, blank=True)
    error_code = models.PositiveSmallIntegerField(_("error code"), null=True)
    error = models.TextField(_("error"), blank=True)
    trace = models.TextField(_("trace"), blank=True)
    exception_path = models.CharField(max_length=PATH_LENGTH, blank=True, default="", db_default="")

    class Meta:
        db_table = "job_attempts"
        verbose_name = _("attempt")
        verbose_name_plural = _("attempts")
        ordering = ["number"]
        constraints = [models.UniqueConstraint(fields=["job", "number"], name="one_row_an_attempt")]
        indexes = [models.Index(fields=["ended_at"], name="attempt_ended")]

    def __str__(self) -> str:
        return f"{self.job_id} #{self.number}"


def record_failed(job: JobLog, failure: Failure) -> None:
    """Record the attempt of a running job that failed."""
    started = models.Subquery(type(job).objects.filter(pk=job.pk).values("processing_at")[:1])
    made = {"number": job.attempt_count, "worker": job.worker, "started_at": started}
    failed = {"outcome": JobAttempt.Outcome.FAILED, "error_code": failure.code, "trace": failure.trace}
    failed["exception_path"] = failure.path[:PATH_LENGTH]
    job.attempts.create(**made, **failed, **failure.columns)


def record_lost(job: JobLog) -> None:
    """Record and count the attempt of a worker that died."""
    lost = JobAttempt.Outcome.LOST
    job.attempts.create(number=job.attempt_count, worker=job.worker, started_at=job.processing_at, outcome=lost)
    counters.add({counters.Count("attempts", (job.job_type, lost, "")): (1, 0.0)})
