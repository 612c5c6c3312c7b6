"""The job, and every move between its statuses. No other module sets a status.

Each move is one conditional UPDATE that names the status it starts from. When it changes no row, another process owns
the job. `attempt_count` only grows, so it is the fencing token: a worker that lost its lease names an attempt that has
ended, and settles nothing. All times come from the database's clock.
"""

import json
from datetime import datetime, timedelta
from typing import Any

from django.core.validators import RegexValidator
from django.db import models, transaction
from django.db.models import F, Q
from django.db.models.functions import Lower, Now
from django.utils.translation import gettext_lazy as _

from jobs.conf import conf
from jobs.core import attempts, job_types, pauses, sql
from jobs.core.errors import ErrorClass, Failure
from jobs.core.errors import Reason as Reason  # others import it and these from here
from jobs.core.job_reads import CLAIMABLE as CLAIMABLE
from jobs.core.job_reads import WAITING as WAITING
from jobs.core.job_reads import JobReads
from jobs.core.job_reads import Status as Status
from jobs.core.pauses import Lane
from jobs.core.sql import from_now, statements, together

JOB_ID = r"^[A-Za-z0-9._:-]{1,128}\Z"
STORED_ID = r"^[A-Za-z0-9._:-]{1,200}\Z"  # another site's: its source, a colon, and its own id
THIS_SITE = "signal"  # the source of this site's own jobs
OF_OTHERS = ~Q(source=THIS_SITE)
LOST_LIMIT = 5  # workers that one job may kill before it is poison
DEAD_GROUP = ("fingerprint", "error_class", "dlq_reason", "processed_at")


class JobQuerySet(JobReads["JobLog"]):
    """Jobs, and every move of many jobs."""

    def expire_leases(self) -> int:
        """End the leases of these running jobs now; return how many. The attempt number still fences their workers."""
        return self.filter(status=Status.PROCESSING).update(lease_until=Now())

    def claim_many(self, attempts: list[tuple[int, int]], worker: str) -> list["JobLog"]:
        """Claim jobs for `attempts`, (key, number of the attempt) pairs; return those that were claimed.

        The lease of a type that was unknown until now is corrected afterwards.
        """
        if not together.is_possible() or any(attempt != 1 for _, attempt in attempts):
            return [job for pk, attempt in attempts if (job := self.claim(pk, attempt, worker))]
        leases = job_types.leases()
        values = [*self._claim_values(worker), [pk for pk, _ in attempts]]
        claimed = sorted(self.raw(statements.CLAIM_FIRST, values), key=lambda job: job.pk)
        self._correct_leases(claimed, leases)
        return claimed

    def claim_oldest(self, key: str, worker: str) -> "JobLog | None":
        """Claim the first attempt of the job of the oldest visible message in a queue, and delete that message.

        On PostgreSQL, outside a transaction. key: of the queue. Returns None, and changes nothing, when no message is
        visible, the oldest is not of a first attempt, or its job cannot be claimed.
        """
        leases = job_types.leases()
        values = [key, *self._claim_values(worker)]
        columns, rows = together.fetch_with_columns(statements.CLAIM_OLDEST, values)
        claimed = [self.from_row(columns, row) for row in rows]
        self._correct_leases(claimed, leases)
        return claimed[0] if claimed else None

    def _claim_values(self, worker: str) -> list[Any]:
        return [worker, json.dumps(job_types.leases()), conf.JOB_LEASE_SECONDS]

    def _correct_leases(self, claimed: list["JobLog"], leases: dict[str, int]) -> None:
        """Correct the leases of claimed jobs whose types were unknown; leases: of the types that were known."""
        for job in claimed:
            if (lease := job.policy.lease) != leases.get(job.job_type, conf.JOB_LEASE_SECONDS):
                self.filter(pk=job.pk, attempt_count=1, worker=job.worker).update(lease_until=from_now(lease))

    def claim(self, pk: int, attempt: int, worker: str) -> "JobLog | None":
        """Claim job `pk` for its attempt number `attempt`; None when it cannot be claimed.

        The claim of an expired lease records the attempt as lost and gives it back. LOST_LIMIT of them make it poison.
        """
        job = self.filter(pk=pk, attempt_count=attempt - 1, status__in=CLAIMABLE).annotate(now=Now()).first()
        if job is None:
            return None
        ready = Q(lease_until__lt=Now()) if (lost := int(job.status == Status.PROCESSING)) else Q(run_at__lte=Now())
        with transaction.atomic():
            won = self.filter(ready, ~pauses.held(), pk=pk, status=job.status, attempt_count=attempt - 1).update(
                status=Status.PROCESSING,
                attempt_count=attempt,
                max_attempts=F("max_attempts") + lost,
                lost_count=F("lost_count") + lost,
                lease_until=from_now(job_types.policy_of(job.job_type).lease),
                worker=worker,
                processing_at=Now(),
            )
            if not won:
                return None
            if lost:
                attempts.record_lost(job)
        job.status, job.attempt_count, job.worker = Status.PROCESSING, attempt, worker
        job.max_attempts, job.lost_count = job.max_attempts + lost, job.lost_count + lost
        now: datetime = job.now  # type: ignore[attr-defined]
        job.waited = None if lost else (now - job.run_at).total_seconds()
        job.age = (now - job.created_at).total_seconds()
        job.expired = job.expires_at < now
        return job

    def complete_many(self, jobs: list["JobLog"], others: tuple[sql.Other, ...] = ()) -> set[int]:
        """Move `jobs` to completed, in a transaction; return those whose lease was not lost; see `_complete`."""
        won: dict[int, datetime | None] = {}
        for attempt in {job.attempt_count for job in jobs}:
            won |= self._complete([job.pk for job in jobs if job.attempt_count == attempt], attempt, others)
        return _note_completed(jobs, won)

    def _complete(self, pks: list[int], attempt: int, others: tuple[sql.Other, ...]) -> dict[int, datetime | None]:
        """Return the keys of the completed jobs, and when. others: PostgreSQL executes them in the same statement."""
        if together.is_possible():
            return dict(sql.fetch_all(*together.combine(statements.COMPLETE, [pks, attempt], others)))
        mine = self.filter(pk__in=pks, attempt_count=attempt, status=Status.PROCESSING)
        won = dict.fromkeys(mine.select_for_update().values_list("pk", flat=True))
        settled = {"status": Status.COMPLETED, "processed_at": Now(), "lease_until": None}
        mine.filter(pk__in=won).update(**settled, error="", stack_trace="", error_class="", fingerprint="")
        return won

    def complete_and_claim(
        self, jobs: list["JobLog"], others: tuple[sql.Other, ...], following: list[int], worker: str
    ) -> tuple[set[int], list["JobLog"]]:
        """Do as `complete_many` with jobs of one attempt number and as `claim_many` with first attempts of others.

        Outside a transaction. A job whose row is locked is not claimed.
        """
        completing = together.combine(statements.COMPLETE, [[job.pk for job in jobs], jobs[0].attempt_count], others)
        claiming = statements.CLAIM_FREE, [*self._claim_values(worker), following]
        rows, columns, claimed = together.fetch_both(completing, claiming)
        won = _note_completed(jobs, dict(rows))
        return won, sorted((self.from_row(columns, row) for row in claimed), key=lambda job: job.pk)


def _note_completed(jobs: list["JobLog"], won: dict[int, datetime | None]) -> set[int]:
    """Note in `jobs` those that were completed, and when, by their keys; return the keys."""
    for job in (job for job in jobs if job.pk in won):
        job.status, job.processed_at = Status.COMPLETED, won[job.pk]
    return set(won)


class JobLog(models.Model):
    """One job. The only module that changes its status is this one."""

    job_id = models.CharField(_("job id"), max_length=200, unique=True, validators=[RegexValidator(STORED_ID)])
    job_type = models.CharField(_("type"), max_length=job_types.MAX_NAME)
    user_id = models.CharField(_("user"), max_length=128)
    source = models.CharField(_("source"), max_length=64, default=THIS_SITE)
    lane = models.CharField(_("lane"), max_length=8, choices=Lane, default=Lane.DEFAULT, db_default=Lane.DEFAULT)
    status = models.CharField(_("status"), max_length=16, choices=Status, default=Status.ENQUEUED)
    payload = models.JSONField(_("payload"), default=dict)
    error = models.TextField(_("error"), blank=True)
    stack_trace = models.TextField(_("stack trace"), blank=True)
    error_class = models.CharField(_("class of error"), max_length=16, blank=True)
    fingerprint = models.CharField(_("fingerprint"), max_length=100, blank=True)
    dlq_reason = models.CharField(_("reason"), max_length=16, choices=Reason, blank=True)
    attempt_count = models.PositiveIntegerField(_("attempts"), default=0)
    max_attempts = models.PositiveIntegerField(_("attempts at most"))
    lost_count = models.PositiveSmallIntegerField(_("workers lost"), default=0)
    unique_key = models.UUIDField(null=True, editable=False)  # hash of what equal jobs share; None: no `Unique` policy
    request_id = models.CharField(_("request"), max_length=32, blank=True, default="", db_default="")
    traceparent = models.CharField(max_length=55, blank=True, default="", db_default="", editable=False)
    bound_to = models.CharField(max_length=pauses.PROVIDER_LENGTH, blank=True, default="", db_default="")
    """The provider that may have done the work already; the next attempt may use no other."""
    replayed_automatically = models.BooleanField(_("replayed automatically"), default=False)
    created_at = models.DateTimeField(_("enqueued"), db_default=Now())
    run_at = models.DateTimeField(_("due"), db_default=Now())
    expires_at = models.DateTimeField(_("expires"))
    lease_until = models.DateTimeField(_("leased until"), null=True)
    worker = models.CharField(_("worker"), max_length=128, blank=True)
    processing_at = models.DateTimeField(_("started"), null=True)
    processed_at = models.DateTimeField(_("settled"), null=True)
    waited: float | None = None  # by a claim: seconds that the job had been due; None when its worker was lost
    age: float = 0.0  # seconds since it was enqueued
    expired: bool = False  # whether it is too old to be tried
    returned: Any = None  # by its handler, for the receivers of its settlement

    objects = JobQuerySet.as_manager()

    class Meta:
        db_table = "job_logs"
        verbose_name = _("job")
        verbose_name_plural = _("jobs")
        ordering = ["-id"]
        permissions = [
            ("replay_joblog", "Can replay jobs"),
            ("discard_joblog", "Can discard jobs"),
            ("reveal_joblog", "Can see personal data in jobs"),
        ]
        indexes = [
            models.Index(fields=["user_id", "job_type", "created_at"], name="job_user_type_created"),
            models.Index(fields=["unique_key"], name="job_unique", condition=Q(unique_key__isnull=False)),
            models.Index(fields=["lane", "run_at"], name="job_waiting_lane", condition=Q(status__in=WAITING)),
            models.Index(fields=["lease_until"], name="job_processing", condition=Q(status="processing")),
            models.Index(fields=["processed_at"], name="job_completed", condition=Q(status="completed")),
            models.Index(fields=["processed_at", "id"], name="job_dlq", condition=Q(status="dlq")),
            # The operators' lists, newest first. They hold few rows, and no write while everything works.
            models.Index(fields=["id"], name="job_wrong", condition=Q(status__in=["failed", "dlq"])),
            models.Index(fields=["id"], name="job_discarded", condition=Q(status="discarded")),
            models.Index(fields=DEAD_GROUP, name="job_dead_groups", condition=Q(status="dlq")),
            models.Index(fields=["fingerprint", "id"], name="job_dead_of_error", condition=Q(status="dlq")),
            # Another site's jobs, by lower(source): an index of `source` itself would mislead the admission.
            models.Index(Lower("source"), F("id").desc(), name="job_of_a_site", condition=OF_OTHERS),
            models.Index(Lower("source"), "job_type", "status", "id", name="job_site", condition=OF_OTHERS),
        ]

    def __str__(self) -> str:
        return self.job_id

    @property
    def attempts_left(self) -> int:
        return max(0, self.max_attempts - self.attempt_count)

    @property
    def policy(self) -> job_types.Policy:
        return job_types.policy_of(self.job_type)

    def _move(self, where: Q, **values: Any) -> bool:
        """Make a move with one conditional UPDATE; True when this call made it."""
        if moved := JobLog.objects.filter(where, pk=self.pk).update(**values):
            self.status = values.get("status", self.status)
            self.dlq_reason = values.get("dlq_reason", self.dlq_reason)
        return bool(moved)

    def complete(self) -> bool:
        """Move to completed; False when the lease was lost."""
        return bool(JobLog.objects.complete_many([self]))

    def retry(self, failure: Failure, wait: float, give_back: bool = False) -> bool:
        """Move to failed, due again in `wait` seconds; `give_back`: the attempt does not count. False: lease lost."""
        values = {"run_at": from_now(wait), "max_attempts": F("max_attempts") + int(give_back)}
        return self._fail(failure, status=Status.FAILED, **values)

    def bury(self, failure: Failure, reason: str) -> bool:
        """Make the job a dead letter; False when the lease was lost."""
        return self._fail(failure, status=Status.DLQ, dlq_reason=reason, processed_at=Now())

    def _fail(self, failure: Failure, **values: Any) -> bool:
        ours = Q(status=Status.PROCESSING, attempt_count=self.attempt_count)
        with transaction.atomic():
            columns = {**failure.columns, "stack_trace": failure.trace, "bound_to": self.bound_to}
            if moved := self._move(ours, lease_until=None, **columns, **values):
                attempts.record_failed(self, failure)
        return moved

    def replay(self, *, automatic: bool = False) -> bool:
        """Give a dead letter fresh attempts, with the same id, payload and history."""
        fresh = {"dlq_reason": "", "lost_count": 0, "replayed_automatically": automatic, "processed_at": None}
        return self._move(
            Q(status=Status.DLQ),
            status=Status.ENQUEUED,
            max_attempts=F("attempt_count") + self.policy.attempts,
            run_at=Now(),
            expires_at=from_now(self.policy.lifetime),
            **fresh,
        )

    def discard(self) -> bool:
        """Discard the job; False when it is running or settled."""
        return self._move(Q(status__in=[Status.DLQ, *WAITING]), status=Status.DISCARDED, processed_at=Now())

    def insert_discarded(self, why: str) -> None:
        """Insert a new job as discarded, with the reason as its error."""
        self.status, self.error, self.error_class = Status.DISCARDED, why, ErrorClass.OBSOLETE
        self.processed_at, self.expires_at = Now(), from_now(self.policy.lifetime)
        self.save(force_insert=True)

    def cancel(self, why: str) -> bool:
        """Discard the job before it runs, with a reason; False when it is running or settled."""
        given = {"error": why, "stack_trace": "", "error_class": "", "fingerprint": "", "dlq_reason": Reason.CANCELLED}
        return self._move(Q(status__in=WAITING), status=Status.DISCARDED, processed_at=Now(), **given)

    def reschedule(self, run_at: datetime) -> bool:
        """Change when a waiting job is due, and renew its lifetime; False when it is running or settled."""
        due = sql.not_past(run_at)
        return self._move(Q(status__in=WAITING), run_at=due, expires_at=due + timedelta(seconds=self.policy.lifetime))

    def drop(self, failure: Failure) -> bool:
        """Discard a running job that has nothing left to do; False when the lease was lost."""
        return self._fail(failure, status=Status.DISCARDED, processed_at=Now())
