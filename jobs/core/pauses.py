"""Suspended job types and lanes: paused by an operator, or stopped by the breaker that a configuration error opened.

The state is one row for each, so that all hosts agree. `JobLog.objects.claim` refuses their jobs. The messages of these
are dropped, and the reconciler sends new ones when the type or the lane runs again. A pause may have an end.

Where several providers can do the same work, each has a breaker of its own: handlers use the first whose breaker is
closed, and no type is suspended while there is one.
"""

from datetime import datetime
from typing import Any

import structlog
from django.db import models
from django.db.models import Q
from django.db.models.functions import Coalesce, Now
from django.utils.translation import gettext_lazy as _

from jobs.core.errors import Failure
from jobs.core.sql import from_now

log = structlog.get_logger("jobs")

PROVIDER_LENGTH = 300
LANE_TARGET = "lane"  # operators name a lane "lane:NAME" where they may also name a job type


class Lane(models.TextChoices):
    """How urgent a job is, the most urgent lane first. Workers take it first and give every lane a share."""

    URGENT = "urgent", _("urgent")  # password reset, account recovery, dispute
    ALERT = "alert", _("alert")  # new device
    DEFAULT = "default", _("default")
    BULK = "bulk", _("bulk")  # events, digests


URGENT_LANES = frozenset({Lane.URGENT, Lane.ALERT})
"""The lanes that a worker of their own serves (jobs/brokers/task_queue.py)."""


class JobTypeState(models.Model):
    """Whether a job type is paused by an operator or suspended by its breaker."""

    job_type = models.CharField(_("type"), max_length=200, primary_key=True)
    paused_at = models.DateTimeField(_("paused"), null=True)
    paused_by = models.CharField(_("by"), max_length=150, blank=True)
    pause_reason = models.CharField(_("why"), max_length=200, blank=True)
    paused_until = models.DateTimeField(_("until"), null=True)
    breaker_opened_at = models.DateTimeField(_("breaker open since"), null=True)
    breaker_error = models.TextField(_("what the server said"), blank=True)
    probed_at = models.DateTimeField(_("last probe"), null=True)

    class Meta:
        verbose_name = _("job type")
        verbose_name_plural = _("job types")
        permissions = [("pause_jobtypestate", "Can pause and resume job types")]

    def __str__(self) -> str:
        return self.job_type


class LaneState(models.Model):
    """Whether a lane is paused by an operator."""

    lane = models.CharField(_("lane"), max_length=8, choices=Lane, primary_key=True)
    paused_at = models.DateTimeField(_("paused"), null=True)
    paused_by = models.CharField(_("by"), max_length=150, blank=True)
    pause_reason = models.CharField(_("why"), max_length=200, blank=True)
    paused_until = models.DateTimeField(_("until"), null=True)

    class Meta:
        verbose_name = _("lane")
        verbose_name_plural = _("lanes")
        default_permissions = ()

    def __str__(self) -> str:
        return f"{LANE_TARGET}:{self.lane}"


class ProviderState(models.Model):
    """A provider that was out of use at some time, and whether it is now."""

    provider = models.CharField(_("provider"), max_length=PROVIDER_LENGTH, primary_key=True)
    breaker_opened_at = models.DateTimeField(_("breaker open since"), null=True)
    breaker_error = models.TextField(_("what the server said"), blank=True)
    error_class = models.CharField(_("class of error"), max_length=16, blank=True)
    probe_at = models.DateTimeField(_("next probe"), null=True)

    class Meta:
        verbose_name = _("provider")
        verbose_name_plural = _("providers")
        default_permissions = ()

    def __str__(self) -> str:
        return self.provider


PAUSED = Q(paused_at__isnull=False) & (Q(paused_until=None) | Q(paused_until__gt=Now()))
NOT_PAUSED = {"paused_at": None, "paused_by": "", "pause_reason": "", "paused_until": None}


def suspended() -> models.QuerySet[JobTypeState]:
    """Return the types that are paused or whose breaker is open."""
    return JobTypeState.objects.filter(PAUSED | Q(breaker_opened_at__isnull=False))


def paused_types() -> models.QuerySet[JobTypeState]:
    """Return the types that an operator paused; a pause ends automatically at its time."""
    return JobTypeState.objects.filter(PAUSED)


def paused_lanes() -> models.QuerySet[LaneState]:
    """Return the lanes that an operator paused."""
    return LaneState.objects.filter(PAUSED)


def active_pauses() -> list[JobTypeState | LaneState]:
    """Return the types and lanes that operators paused."""
    return [*paused_types().order_by("job_type"), *paused_lanes().order_by("lane")]


def find_hold(job_type: str, lane: str) -> JobTypeState | LaneState | None:
    """Return what holds jobs of that type and lane: the state of the suspended type or of the paused lane."""
    return suspended().filter(job_type=job_type).first() or paused_lanes().filter(lane=lane).first()


def held() -> Q:
    """Match the jobs of suspended types and paused lanes: no worker claims them."""
    return Q(job_type__in=suspended().values("job_type")) | Q(lane__in=paused_lanes().values("lane"))


def _rows(target: str) -> models.QuerySet[Any]:
    """Return the row of a target, a job type or "lane:NAME"; write it when it is missing."""
    kind, _, lane = target.partition(":")
    if kind == LANE_TARGET and lane in Lane.values:
        LaneState.objects.get_or_create(lane=lane)
        return LaneState.objects.filter(lane=lane)
    JobTypeState.objects.get_or_create(job_type=target)
    return JobTypeState.objects.filter(job_type=target)


def pause(target: str, *, who: str, why: str, until: datetime | None = None) -> bool:
    """Suspend a job type, or a lane ("lane:NAME"), or extend its pause; False when it was paused for as long already.

    until: when the pause ends automatically; None: when an operator resumes it.
    Operators pause by `jobs.queue.actions`, with an audit row.
    """
    shorter = Q(paused_until__isnull=False) if until is None else Q(paused_until__lt=until)
    mine = _rows(target).filter(~PAUSED | shorter)
    return bool(mine.update(paused_at=Now(), paused_by=who[:150], pause_reason=why[:200], paused_until=until))


def resume(target: str) -> bool:
    """Let a paused type or lane run again; False when it was not paused.

    An open breaker stays open.
    """
    return bool(_rows(target).filter(PAUSED).update(**NOT_PAUSED))


def ended_pauses() -> list[models.QuerySet[Any]]:
    """Return the types and the lanes whose pause has come to its end."""
    return [model.objects.filter(paused_until__lte=Now()) for model in (JobTypeState, LaneState)]


def end_pauses() -> None:
    """Forget the pauses that have come to their end; their jobs run since then."""
    for rows in ended_pauses():
        for state in rows:
            if rows.filter(pk=state.pk).update(**NOT_PAUSED):
                log.info("pause ended", target=str(state))


def open_breaker(job_type: str, failure: Failure) -> None:
    """Suspend a type whose configuration is wrong, until a probe succeeds."""
    JobTypeState.objects.get_or_create(job_type=job_type)
    JobTypeState.objects.filter(job_type=job_type).update(
        breaker_opened_at=Coalesce("breaker_opened_at", Now()), breaker_error=failure.error
    )
    log.error("breaker opened", job_type=job_type, error=failure.fingerprint)


def close_breaker(job_type: str) -> bool:
    """Let a type run again whose probe succeeded; False when the breaker was closed already."""
    closed = JobTypeState.objects.filter(job_type=job_type, breaker_opened_at__isnull=False).update(
        breaker_opened_at=None, breaker_error="", probed_at=Now()
    )
    if closed:
        log.info("breaker closed", job_type=job_type)
    return bool(closed)


def open_providers() -> models.QuerySet[ProviderState]:
    """Return the providers whose breaker is open."""
    return ProviderState.objects.filter(breaker_opened_at__isnull=False)


def open_provider(provider: str, error_class: str, error: str, hold: float) -> None:
    """Put a provider out of use until its probe succeeds; the first probe is `hold` seconds from now."""
    ProviderState.objects.get_or_create(provider=provider)
    row = ProviderState.objects.filter(provider=provider)
    opened = row.filter(breaker_opened_at=None).update(
        breaker_opened_at=Now(), breaker_error=error, error_class=error_class, probe_at=from_now(hold)
    )
    if opened:
        log.error("breaker of a provider opened", provider=provider, error_class=error_class)


def close_provider(provider: str) -> bool:
    """Use a provider again whose probe succeeded; False when its breaker was closed already."""
    closed = open_providers().filter(provider=provider).update(breaker_opened_at=None, breaker_error="", probe_at=None)
    if closed:
        log.info("breaker of a provider closed", provider=provider)
    return bool(closed)
