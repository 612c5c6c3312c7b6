"""Bulk replays of dead letters: rows that the clusters process in chunks, never inside a web request.

waiting -> canary (one job is replayed, and must complete) -> running (the rest, at a rate) -> done.
A canary that dies again halts the bulk replay; an operator may cancel it at any time. The dead letters that it has not
reached stay dead letters.
"""

import time
import uuid
from typing import Any

import structlog
from django.db import models, transaction
from django.db.models import F
from django.db.models.functions import Now
from django.utils.translation import gettext_lazy as _

from jobs.core import audit
from jobs.core.job import JobLog, JobQuerySet, Status
from jobs.core.sql import channels
from jobs.queue import actions
from jobs.queue.criteria import JobCriteria

log = structlog.get_logger("jobs")

BULK_CHANNEL = "bulk_replays"
RATE = 500  # jobs a second
REPLAY_CHUNK = 100  # jobs a transaction


class BulkReplay(models.Model):
    """The replay of many dead letters, the first one alone."""

    class State(models.TextChoices):
        WAITING = "waiting", _("waiting")
        CANARY = "canary", _("trying the first job")
        RUNNING = "running", _("running")
        DONE = "done", _("done")
        HALTED = "halted", _("halted: the first job failed again")
        CANCELLED = "cancelled", _("cancelled")

    id = models.UUIDField(primary_key=True, default=uuid.uuid4, editable=False)
    filter = models.JSONField(_("filter"), default=dict)
    who = models.CharField(_("who"), max_length=150)
    why = models.CharField(_("why"), max_length=200, blank=True)
    state = models.CharField(_("state"), max_length=16, choices=State, default=State.WAITING)
    rate = models.PositiveIntegerField(_("jobs a second"), default=RATE)
    matched = models.PositiveIntegerField(_("matched"), default=0)
    replayed = models.PositiveIntegerField(_("replayed"), default=0)
    canary = models.ForeignKey(JobLog, models.SET_NULL, null=True, related_name="+", verbose_name=_("first job"))
    reached = models.BigIntegerField(default=0, editable=False)
    created_at = models.DateTimeField(_("started"), db_default=Now())
    moved_at = models.DateTimeField(_("updated"), db_default=Now())
    finished_at = models.DateTimeField(_("finished"), null=True)

    class Meta:
        verbose_name = _("bulk replay")
        verbose_name_plural = _("bulk replays")
        ordering = ["-created_at"]

    def __str__(self) -> str:
        return str(self.id)

    @property
    def open(self) -> bool:
        return self.state in OPEN

    def rest(self) -> JobQuerySet:
        """Return the dead letters before its start that it has not reached."""
        dead = JobCriteria.from_json(self.filter).dead_letters()
        return dead.filter(pk__gt=self.reached, processed_at__lte=self.created_at).order_by("pk")

    def _move(self, *states: str, **values: Any) -> bool:
        moved = BulkReplay.objects.filter(pk=self.pk, state__in=states).update(moved_at=Now(), **values)
        return bool(moved)


OPEN = (BulkReplay.State.WAITING, BulkReplay.State.CANARY, BulkReplay.State.RUNNING)


def start(criteria: JobCriteria, *, who: str, why: str = "", rate: int = RATE) -> BulkReplay:
    """Start a bulk replay of matching dead letters; the clusters carry it out.

    rate: jobs a second. Raises ValueError for a rate below 1.
    """
    if rate < 1:
        raise ValueError("rate must be 1 or more jobs a second")
    chosen, why = criteria.as_json(), why[: actions.LONGEST_WHY]
    with transaction.atomic():
        matched = criteria.dead_letters().count()
        batch = BulkReplay.objects.create(filter=chosen, who=who[:150], why=why, rate=rate, matched=matched)
        audit.record(who, audit.AuditEntry.Act.BULK_REPLAY, str(batch.pk), filter=chosen, why=why, matched=matched)
        channels.notify_after_commit(BULK_CHANNEL)
    return batch


def cancel(batch: BulkReplay, *, who: str) -> bool:
    """Stop a bulk replay where it is; False when it had ended already."""
    with transaction.atomic():
        cancelled = batch._move(*OPEN, state=BulkReplay.State.CANCELLED, finished_at=Now())
        if cancelled:
            audit.record(who, audit.AuditEntry.Act.BULK_CANCEL, str(batch.pk))
    return cancelled


def open_replays() -> list[models.QuerySet[BulkReplay]]:
    """Return the bulk replays that have not ended."""
    return [BulkReplay.objects.filter(state__in=OPEN)]


def advance(seconds: float) -> int:
    """Continue every open bulk replay for `seconds` at its rate; return how many there are.

    Safe on several hosts.
    """
    batches = list(BulkReplay.objects.filter(state__in=OPEN).order_by("created_at"))
    for batch in batches:
        match batch.state:
            case BulkReplay.State.WAITING:
                _send_canary(batch)
            case BulkReplay.State.CANARY:
                _watch_canary(batch)
            case BulkReplay.State.RUNNING:
                _replay_some(batch, seconds)
    return len(batches)


def _send_canary(batch: BulkReplay) -> None:
    with transaction.atomic():
        first = batch.rest().first()
        if first is None:
            batch._move(BulkReplay.State.WAITING, state=BulkReplay.State.DONE, finished_at=Now())
            return
        moved = batch._move(
            BulkReplay.State.WAITING,
            state=BulkReplay.State.CANARY,
            canary=first,
            reached=first.pk,
            replayed=F("replayed") + 1,
        )
        if moved and not actions.replay(first, who=None):
            BulkReplay.objects.filter(pk=batch.pk).update(state=BulkReplay.State.WAITING, replayed=F("replayed") - 1)


def _watch_canary(batch: BulkReplay) -> None:
    status = batch.canary.status if batch.canary else Status.COMPLETED
    if status in (Status.COMPLETED, Status.DISCARDED):
        batch._move(BulkReplay.State.CANARY, state=BulkReplay.State.RUNNING)
    elif status == Status.DLQ:
        batch._move(BulkReplay.State.CANARY, state=BulkReplay.State.HALTED, finished_at=Now())
        log.warning("bulk replay halted: its first job failed again", batch=str(batch.pk))


def _replay_some(batch: BulkReplay, seconds: float) -> None:
    """Replay chunks until the jobs of `seconds` are replayed.

    Each chunk is a transaction of its own, so that a cancellation takes effect immediately.
    """
    share, until = max(1, int(batch.rate * seconds)), time.monotonic() + seconds
    while share > 0 and time.monotonic() < until:
        with transaction.atomic():
            mine = BulkReplay.objects.select_for_update().filter(pk=batch.pk, state=BulkReplay.State.RUNNING).first()
            if mine is None:
                return
            chunk = list(mine.rest()[: min(REPLAY_CHUNK, share)])
            if not chunk:
                mine._move(BulkReplay.State.RUNNING, state=BulkReplay.State.DONE, finished_at=Now())
                return
            done = actions.replay_many(chunk)
            mine._move(BulkReplay.State.RUNNING, reached=chunk[-1].pk, replayed=F("replayed") + done)
        share -= len(chunk)
