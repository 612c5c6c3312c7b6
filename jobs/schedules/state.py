"""The state of each schedule: a row that every cluster sees. Who holds its lock ticks it."""

from __future__ import annotations

from datetime import datetime, timedelta
from typing import Any
from zoneinfo import ZoneInfo

from django.db import models, transaction
from django.db.models import Q
from django.db.models.functions import Now
from django.utils.translation import gettext_lazy as _

from jobs.core.job import JobLog
from jobs.schedules import cron
from jobs.schedules.registry import Schedule
from jobs.stats.gauges import NEXT_TICK

LATE_SECONDS = 60
"""Ticks that are late by at most this are all run: a restart takes less. After a longer interruption, the latest is."""


class ScheduleState(models.Model):
    """When a schedule was due last, and is due next. A row of a schedule that was removed has no next tick."""

    name = models.CharField(_("schedule"), max_length=64, primary_key=True)
    spec = models.CharField(max_length=255, blank=True)
    """The expression and zone that `next_tick` follows from; "" for a schedule that is no longer in the settings."""
    loaded_at = models.DateTimeField()
    """When the process that wrote `spec` had read its settings, by the database's clock: newer settings win."""
    last_tick = models.DateTimeField(_("last tick"), null=True)
    next_tick = models.DateTimeField(_("next tick"), null=True, db_index=True)
    last_job_id = models.CharField(_("last job"), max_length=128, blank=True)
    """Of the last tick, or of "run now"."""
    error = models.CharField(_("error"), max_length=255, blank=True)
    """Why the last attempt to enqueue its job failed: a type of error, without personal data."""
    failed_at = models.DateTimeField(_("failed"), null=True)
    paused_at = models.DateTimeField(_("paused"), null=True)
    paused_by = models.CharField(_("paused by"), max_length=150, blank=True)
    pause_reason = models.CharField(_("reason"), max_length=200, blank=True)
    created_at = models.DateTimeField(_("created"), db_default=Now())

    class Meta:
        db_table = "job_schedules"
        verbose_name = _("schedule")
        verbose_name_plural = _("schedules")
        ordering = ["name"]
        default_permissions = ("view",)
        permissions = [("operate_schedulestate", "Can run, pause and resume schedules")]

    def __str__(self) -> str:
        return self.name

    @property
    def is_known(self) -> bool:
        """Return whether the newest settings contain it."""
        return bool(self.spec)

    def last_job(self) -> JobLog | None:
        """Return the last job; None when there was none, or retention deleted it."""
        return JobLog.objects.filter(job_id=self.last_job_id).first() if self.last_job_id else None

    def resume(self, now: datetime) -> None:
        """End the pause of the row, which is locked: its next tick is later than `now`."""
        self.paused_at, self.paused_by, self.pause_reason = None, "", ""
        if self.is_known:
            expression, _, zone = self.spec.rpartition(" ")
            self.next_tick = cron.next_tick(expression, ZoneInfo(zone), now)
        self.save(update_fields=["paused_at", "paused_by", "pause_reason", "next_tick"])

    def follow(self, schedule: Schedule, loaded_at: datetime, now: datetime) -> None:
        """Count the ticks of the row, which is locked, by this schedule from now on."""
        self.spec, self.loaded_at = schedule.spec, loaded_at
        self.next_tick = schedule.next_tick(now)
        self.save(update_fields=["spec", "loaded_at", "next_tick"])


def due(within: float = 0.0) -> models.QuerySet[ScheduleState]:
    """Return the schedules whose next tick has come, or comes within so many seconds."""
    return waiting().filter(next_tick__lte=Now() + timedelta(seconds=within)).order_by("next_tick")


def waiting() -> models.QuerySet[ScheduleState]:
    """Return the schedules that have a next tick and are not paused."""
    return ScheduleState.objects.filter(next_tick__isnull=False, paused_at=None)


def read_next_ticks() -> dict[tuple[str, str], float]:
    """Return when each schedule is due next, for the alert rules: by the metric and the name of the schedule."""
    rows = ((row.name, row.next_tick) for row in waiting())
    return {(NEXT_TICK, name): next_tick.timestamp() for name, next_tick in rows if next_tick}


def adopt(schedules: dict[str, Schedule], loaded_at: datetime, now: datetime) -> None:
    """Write what the settings of this process say into the rows, unless those of a newer process are there.

    New and changed schedules are due from now on; one that is no longer in the settings is due no more.
    """
    for name, schedule in schedules.items():
        ScheduleState.objects.get_or_create(
            name=name,
            defaults={"spec": schedule.spec, "loaded_at": loaded_at, "next_tick": schedule.next_tick(now)},
        )
    with transaction.atomic():
        _follow(schedules, loaded_at, now)


def _follow(schedules: dict[str, Schedule], loaded_at: datetime, now: datetime) -> None:
    for row in _older(loaded_at, now).select_for_update():
        schedule = schedules.get(row.name)
        if schedule is None and row.spec and row.loaded_at < loaded_at:
            ended = {"spec": "", "next_tick": None, "error": "", "failed_at": None}
            ScheduleState.objects.filter(pk=row.pk).update(**ended, loaded_at=loaded_at)
        elif schedule is not None and row.spec != schedule.spec:
            row.follow(schedule, loaded_at, now)
        elif row.loaded_at < loaded_at:
            ScheduleState.objects.filter(pk=row.pk).update(loaded_at=loaded_at)


def _older(loaded_at: datetime, now: datetime) -> Any:
    """Return the rows of older settings, and those that no process with newer settings has ticked for a while."""
    forgotten = Q(next_tick__lt=now - timedelta(seconds=LATE_SECONDS), paused_at=None)
    return ScheduleState.objects.filter(Q(loaded_at__lt=loaded_at) | forgotten)
