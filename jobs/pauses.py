"""Job types that are held: by an operator who paused them, or by the breaker that a configuration error opened.

The state is one row for each type, so that every host agrees. `JobLog.objects.claim` refuses jobs of a held type;
their messages are dropped, and the reconciler puts new ones when the type runs again.
"""

import structlog
from django.db import models
from django.db.models import Q
from django.db.models.functions import Coalesce, Now
from django.utils.translation import gettext_lazy as _

from jobs import audit
from jobs.errors import Failure

log = structlog.get_logger("jobs")


class JobTypeState(models.Model):
    job_type = models.CharField(_("type"), max_length=64, primary_key=True)
    paused_at = models.DateTimeField(_("paused"), null=True)
    paused_by = models.CharField(_("by"), max_length=150, blank=True)
    pause_reason = models.CharField(_("why"), max_length=200, blank=True)
    breaker_opened_at = models.DateTimeField(_("breaker open since"), null=True)
    breaker_error = models.TextField(_("what the server said"), blank=True)
    probed_at = models.DateTimeField(_("last probe"), null=True)

    class Meta:
        verbose_name = _("job type")
        verbose_name_plural = _("job types")
        permissions = [("pause_jobtypestate", "Can pause and resume job types")]

    def __str__(self) -> str:
        return self.job_type


def held() -> models.QuerySet[JobTypeState]:
    """The types that are paused or whose breaker is open."""
    return JobTypeState.objects.filter(Q(paused_at__isnull=False) | Q(breaker_opened_at__isnull=False))


def pause(job_type: str, *, who: str, why: str) -> bool:
    """Holds a type until somebody resumes it; False when it was paused already."""
    JobTypeState.objects.get_or_create(job_type=job_type)
    paused = JobTypeState.objects.filter(job_type=job_type, paused_at=None).update(
        paused_at=Now(), paused_by=who[:150], pause_reason=why[:200]
    )
    if paused:
        audit.record(who, audit.AuditEntry.Act.PAUSE, job_type, why=why[:200])
    return bool(paused)


def resume(job_type: str, *, who: str) -> bool:
    """Lets a paused type run again; False when it was not paused. An open breaker stays open."""
    resumed = JobTypeState.objects.filter(job_type=job_type, paused_at__isnull=False).update(
        paused_at=None, paused_by="", pause_reason=""
    )
    if resumed:
        audit.record(who, audit.AuditEntry.Act.RESUME, job_type)
    return bool(resumed)


def open_breaker(job_type: str, failure: Failure) -> None:
    """The configuration is wrong: no job of this type is tried until a probe succeeds."""
    JobTypeState.objects.get_or_create(job_type=job_type)
    JobTypeState.objects.filter(job_type=job_type).update(
        breaker_opened_at=Coalesce("breaker_opened_at", Now()), breaker_error=failure.error
    )
    log.error("breaker opened", job_type=job_type, error=failure.fingerprint)


def close_breaker(job_type: str) -> bool:
    """A probe succeeded; False when the breaker was closed already."""
    closed = JobTypeState.objects.filter(job_type=job_type, breaker_opened_at__isnull=False).update(
        breaker_opened_at=None, breaker_error="", probed_at=Now()
    )
    if closed:
        log.info("breaker closed", job_type=job_type)
    return bool(closed)
