"""Replaying many dead letters: a row that the clusters work off in chunks, never inside a web request.

waiting -> canary (one job is replayed, and must complete) -> running (the rest, at a rate) -> done.
A canary that dies again halts it; an operator may cancel it at any time. What it has not reached stays dead.
"""

import time
import uuid
from typing import Any

import structlog
from django.db import models, transaction
from django.db.models import F, Q
from django.db.models.functions import Now
from django.utils.dateparse import parse_datetime
from django.utils.translation import gettext_lazy as _

from jobs import audit, listening, queue
from jobs.models import JobLog, JobQuerySet, Status

log = structlog.get_logger("jobs")

CHANNEL = "bulk_replays"
RATE = 500  # jobs a second
CHUNK = 100
FILTERS = {
    "reason": "dlq_reason",
    "errorClass": "error_class",
    "fingerprint": "fingerprint",
    "jobType": "job_type",
    "source": "source",
    "userId": "user_id",
    "jobIds": "job_id__in",
    "worker": "worker",
    "attempts": "attempt_count__gte",
    "createdAfter": "created_at__gte",
    "createdBefore": "created_at__lt",
    "diedAfter": "processed_at__gte",
    "diedBefore": "processed_at__lt",
}
MOMENTS = {"createdAfter", "createdBefore", "diedAfter", "diedBefore"}  # RFC 3339, with an offset


class BulkReplay(models.Model):
    class State(models.TextChoices):
        WAITING = "waiting", _("waiting")
        CANARY = "canary", _("the first one is tried")
        RUNNING = "running", _("running")
        DONE = "done", _("done")
        HALTED = "halted", _("halted: the first one failed again")
        CANCELLED = "cancelled", _("cancelled")

    id = models.UUIDField(primary_key=True, default=uuid.uuid4, editable=False)
    filter = models.JSONField(_("filter"), default=dict)
    who = models.CharField(_("who"), max_length=150)
    why = models.CharField(_("why"), max_length=200, blank=True)
    state = models.CharField(_("state"), max_length=16, choices=State, default=State.WAITING)
    rate = models.PositiveIntegerField(_("jobs a second"), default=RATE)
    matched = models.PositiveIntegerField(_("matched"), default=0)
    replayed = models.PositiveIntegerField(_("replayed"), default=0)
    canary = models.ForeignKey(JobLog, models.SET_NULL, null=True, related_name="+", verbose_name=_("the first one"))
    reached = models.BigIntegerField(default=0, editable=False)
    created_at = models.DateTimeField(_("started"), db_default=Now())
    moved_at = models.DateTimeField(_("moved"), db_default=Now())
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
        """The dead letters it has not reached; those that died after it was made are not its business."""
        return matching(self.filter).filter(pk__gt=self.reached, processed_at__lte=self.created_at).order_by("pk")

    def _move(self, *states: str, **values: Any) -> bool:
        moved = BulkReplay.objects.filter(pk=self.pk, state__in=states).update(moved_at=Now(), **values)
        return bool(moved)


OPEN = (BulkReplay.State.WAITING, BulkReplay.State.CANARY, BulkReplay.State.RUNNING)


def matching(chosen: dict[str, Any]) -> JobQuerySet:
    """The dead letters that a filter means. Keys: FILTERS. Raises ValueError for any other key or a wrong value."""
    where = Q()
    for key, value in chosen.items():
        if key not in FILTERS:
            raise ValueError(f"unknown filter {key!r}: one of {', '.join(FILTERS)}")
        texts = value if key == "jobIds" and isinstance(value, list) else [value]
        if not all(isinstance(text, str) for text in texts) or (key == "jobIds") != isinstance(value, list):
            raise ValueError(f"filter {key!r} takes {'a list of texts' if key == 'jobIds' else 'a text'}")
        where &= Q(**{FILTERS[key]: _read(key, value)})
    return JobLog.objects.dead().filter(where)


def _read(key: str, value: Any) -> Any:
    """A filter's text as what its column holds. Raises ValueError."""
    if key in MOMENTS:
        moment = parse_datetime(value)
        if moment is None or moment.tzinfo is None:
            raise ValueError(f"filter {key!r} takes a moment such as 2026-01-31T08:00:00Z")
        return moment
    if key == "attempts" and not (value.isascii() and value.isdigit() and len(value) < 9):
        raise ValueError("filter 'attempts' takes a whole number: so many or more")
    return int(value) if key == "attempts" else value


def count(chosen: dict[str, Any]) -> int:
    """How many dead letters a filter means now."""
    return matching(chosen).count()


def start(chosen: dict[str, Any], *, who: str, why: str = "", rate: int = RATE) -> BulkReplay:
    """Makes a bulk replay; the clusters do it. Raises ValueError for a bad filter or rate."""
    if rate < 1:
        raise ValueError("rate must be 1 or more jobs a second")
    with transaction.atomic():
        batch = BulkReplay.objects.create(filter=chosen, who=who[:150], why=why[:200], rate=rate, matched=count(chosen))
        audit.record(
            who, audit.AuditEntry.Act.BULK_REPLAY, str(batch.pk), filter=chosen, why=why[:200], matched=batch.matched
        )
        transaction.on_commit(lambda: listening.notify(CHANNEL), robust=True)
    return batch


def cancel(batch: BulkReplay, *, who: str) -> bool:
    """Stops a bulk replay where it is; False when it had ended already."""
    cancelled = batch._move(*OPEN, state=BulkReplay.State.CANCELLED, finished_at=Now())
    if cancelled:
        audit.record(who, audit.AuditEntry.Act.BULK_CANCEL, str(batch.pk))
    return cancelled


def due() -> list[models.QuerySet[BulkReplay]]:
    """Those that are open."""
    return [BulkReplay.objects.filter(state__in=OPEN)]


def advance(seconds: float) -> int:
    """Moves every open bulk replay on by `seconds` of work at its rate; how many there were. Safe on several hosts."""
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
        if moved and not queue.replay(first):
            BulkReplay.objects.filter(pk=batch.pk).update(state=BulkReplay.State.WAITING, replayed=F("replayed") - 1)


def _watch_canary(batch: BulkReplay) -> None:
    status = batch.canary.status if batch.canary else Status.COMPLETED
    if status in (Status.COMPLETED, Status.DISCARDED):
        batch._move(BulkReplay.State.CANARY, state=BulkReplay.State.RUNNING)
    elif status == Status.DLQ:
        batch._move(BulkReplay.State.CANARY, state=BulkReplay.State.HALTED, finished_at=Now())
        log.warning("bulk replay halted, its first job died again", batch=str(batch.pk))


def _replay_some(batch: BulkReplay, seconds: float) -> None:
    """Chunk by chunk until the time's share is done; each chunk commits alone, so cancelling stops it at once."""
    share, until = max(1, int(batch.rate * seconds)), time.monotonic() + seconds
    while share > 0 and time.monotonic() < until:
        with transaction.atomic():
            mine = BulkReplay.objects.select_for_update().filter(pk=batch.pk, state=BulkReplay.State.RUNNING).first()
            if mine is None:
                return
            chunk = list(mine.rest()[: min(CHUNK, share)])
            if not chunk:
                mine._move(BulkReplay.State.RUNNING, state=BulkReplay.State.DONE, finished_at=Now())
                return
            done = queue.replay_many(chunk)
            mine._move(BulkReplay.State.RUNNING, reached=chunk[-1].pk, replayed=F("replayed") + done)
        share -= len(chunk)
