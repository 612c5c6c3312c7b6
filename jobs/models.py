"""A job, its attempts, and every move between its states. Nothing else in the project sets a status.

Each move is one conditional UPDATE: it names the state it starts from, and zero changed rows mean that somebody
else owns the job. `attempt_count` only ever grows, so it is the fencing token: a worker that lost its lease
names an attempt that is over, and can settle nothing. All times are the database's.
"""

from collections import defaultdict
from datetime import datetime, timedelta
from typing import Any, Self

from django.conf import settings
from django.core.validators import RegexValidator
from django.db import connection, models, transaction
from django.db.models import Exists, F, OuterRef, Q
from django.db.models.fields.json import KeyTextTransform
from django.db.models.functions import Left, Now
from django.utils.translation import gettext_lazy as _

from jobs import counters, pauses
from jobs.errors import Failure

JOB_ID = r"^[A-Za-z0-9._:-]{1,128}\Z"
LONGEST_ADDRESS = 254  # characters that are indexed: a longer one must not keep a job from being written
LOST_LIMIT = 5  # workers that may die over one job before it is poison


def from_now(seconds: float) -> Any:
    """The database's time, so many seconds from now, as an expression.

    No seconds is Now() itself: SQLite writes a sum with more digits, which sort after the same moment with fewer.
    """
    return Now() + timedelta(seconds=seconds) if seconds else Now()


class Status(models.TextChoices):
    ENQUEUED = "enqueued", _("waiting")
    PROCESSING = "processing", _("running")
    COMPLETED = "completed", _("completed")
    FAILED = "failed", _("failed, will be tried again")
    DLQ = "dlq", _("dead letter")
    DISCARDED = "discarded", _("discarded")


class Reason(models.TextChoices):
    EXHAUSTED = "exhausted", _("every attempt failed")
    PERMANENT = "permanent", _("refused for good")
    POISON = "poison", _("its workers died")
    EXPIRED = "expired", _("too old to send")
    SUPPRESSED = "suppressed", _("the address is undeliverable")


WAITING = (Status.ENQUEUED, Status.FAILED)
CLAIMABLE = (*WAITING, Status.PROCESSING)  # due, due again, or with a lease that has lapsed


class JobQuerySet(models.QuerySet["JobLog"]):
    def due(self) -> Self:
        """Waiting jobs whose time has come."""
        return self.filter(status__in=WAITING, run_at__lte=Now())

    def lapsed(self) -> Self:
        """Running jobs whose worker has not settled them within its lease."""
        return self.filter(status=Status.PROCESSING, lease_until__lt=Now())

    def dead(self) -> Self:
        return self.filter(status=Status.DLQ)

    def waited(self) -> float:
        """For how many seconds the first of them has been due; 0 when none is."""
        waited = self.aggregate(waited=Now() - models.Min("run_at"))["waited"]
        return max(0.0, waited.total_seconds()) if waited else 0.0

    def claim_many(self, attempts: list[tuple[int, int]], worker: str) -> list["JobLog"]:
        """Takes jobs for `attempts`, (key, number of the attempt); those that are due, there and nobody else's.

        First attempts are taken with one UPDATE where the database can tell which it changed.
        """
        if connection.vendor != "postgresql" or any(attempt != 1 for _, attempt in attempts):
            return [job for pk, attempt in attempts if (job := self.claim(pk, attempt, worker))]
        taken = self.raw(CLAIM_FIRST, [worker, settings.JOB_LEASE_SECONDS, [pk for pk, _ in attempts]])
        return sorted(taken, key=lambda job: job.pk)

    def claim(self, pk: int, attempt: int, worker: str) -> "JobLog | None":
        """Takes job `pk` for its attempt number `attempt`; None when that is not to be done.

        A job whose lease has lapsed is taken from the worker that held it: that attempt is written down as lost and
        given back, since a dying worker says nothing about the job; LOST_LIMIT of them do.
        """
        job = self.filter(pk=pk, attempt_count=attempt - 1, status__in=CLAIMABLE).annotate(now=Now()).first()
        if job is None:
            return None
        lost = int(job.status == Status.PROCESSING)
        ready = Q(lease_until__lt=Now()) if lost else Q(run_at__lte=Now())
        with transaction.atomic():
            free = ~Exists(pauses.held().filter(job_type=OuterRef("job_type")))
            won = self.filter(ready, free, pk=pk, status=job.status, attempt_count=attempt - 1).update(
                status=Status.PROCESSING,
                attempt_count=attempt,
                max_attempts=F("max_attempts") + lost,
                lost_count=F("lost_count") + lost,
                lease_until=from_now(settings.JOB_LEASE_SECONDS),
                worker=worker,
                processing_at=Now(),
            )
            if not won:
                return None
            if lost:
                job._write_down_lost()
        job.status, job.attempt_count, job.worker = Status.PROCESSING, attempt, worker
        job.max_attempts += lost
        job.lost_count += lost
        now: datetime = job.now  # type: ignore[attr-defined]
        job.waited = None if lost else (now - job.run_at).total_seconds()
        job.age = (now - job.created_at).total_seconds()
        return job

    def complete_many(self, jobs: list["JobLog"]) -> set[int]:
        """The work of `jobs` is done; the keys of those that were still ours, the others' leases were lost meanwhile.

        To be called in a transaction.
        """
        won: set[int] = set()
        by_attempt: dict[int, list[int]] = defaultdict(list)
        for job in jobs:
            by_attempt[job.attempt_count].append(job.pk)
        for attempt, pks in by_attempt.items():
            if connection.vendor == "postgresql":
                with connection.cursor() as cursor:
                    cursor.execute(COMPLETE, [pks, attempt])
                    won.update(pk for (pk,) in cursor.fetchall())
                continue
            mine = self.filter(pk__in=pks, attempt_count=attempt, status=Status.PROCESSING)
            if len(pks) > 1:
                pks = list(mine.select_for_update().values_list("pk", flat=True))
            if mine.filter(pk__in=pks).update(
                status=Status.COMPLETED,
                processed_at=Now(),
                lease_until=None,
                error="",
                stack_trace="",
                error_class="",
                fingerprint="",
            ):
                won.update(pks)
        for job in jobs:
            job.status = Status.COMPLETED if job.pk in won else job.status
        return won


# The columns are the model's own; what is held is what `pauses.held` says.
CLAIM_FIRST = """
UPDATE job_logs SET status = 'processing', attempt_count = 1, worker = %s, processing_at = statement_timestamp(),
    lease_until = statement_timestamp() + %s * interval '1 second'
WHERE id = ANY(%s) AND attempt_count = 0 AND status = 'enqueued' AND run_at <= statement_timestamp()
    AND job_type NOT IN (SELECT job_type FROM jobs_jobtypestate
                         WHERE paused_at IS NOT NULL OR breaker_opened_at IS NOT NULL)
RETURNING *, EXTRACT(EPOCH FROM statement_timestamp() - run_at)::float8 AS waited,
    EXTRACT(EPOCH FROM statement_timestamp() - created_at)::float8 AS age
"""

COMPLETE = """
UPDATE job_logs SET status = 'completed', processed_at = statement_timestamp(), lease_until = NULL,
    error = '', stack_trace = '', error_class = '', fingerprint = ''
WHERE id = ANY(%s) AND attempt_count = %s AND status = 'processing' RETURNING id
"""


class JobLog(models.Model):
    job_id = models.CharField(_("job id"), max_length=128, unique=True, validators=[RegexValidator(JOB_ID)])
    job_type = models.CharField(_("type"), max_length=64)
    user_id = models.CharField(_("user"), max_length=128)
    source = models.CharField(_("source"), max_length=64, default="signal")
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
    request_id = models.CharField(_("request"), max_length=32, blank=True, default="", db_default="")
    auto_replayed = models.BooleanField(_("replayed by itself"), default=False)
    created_at = models.DateTimeField(_("enqueued"), db_default=Now())
    run_at = models.DateTimeField(_("due"), db_default=Now())
    expires_at = models.DateTimeField(_("expires"))
    lease_until = models.DateTimeField(_("leased until"), null=True)
    worker = models.CharField(_("worker"), max_length=128, blank=True)
    processing_at = models.DateTimeField(_("started"), null=True)
    processed_at = models.DateTimeField(_("settled"), null=True)

    # Of a claimed job, in seconds: how long it had been due (None: taken from a lost worker), and how old it was.
    waited: float | None = None
    age: float = 0.0

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
            models.Index(fields=["run_at"], name="job_waiting", condition=Q(status__in=["enqueued", "failed"])),
            models.Index(fields=["lease_until"], name="job_processing", condition=Q(status="processing")),
            models.Index(fields=["processed_at"], name="job_completed", condition=Q(status="completed")),
            models.Index(fields=["processed_at", "id"], name="job_dlq", condition=Q(status="dlq")),
            # The operators' lists, each newest first: few rows, and none of them is written while all goes well.
            models.Index(fields=["id"], name="job_wrong", condition=Q(status__in=["failed", "dlq"])),
            models.Index(fields=["id"], name="job_discarded", condition=Q(status="discarded")),
            models.Index(
                fields=["fingerprint", "error_class", "dlq_reason", "processed_at"],
                name="job_dead_groups",
                condition=Q(status="dlq"),
            ),
            models.Index(fields=["fingerprint", "id"], name="job_dead_of_error", condition=Q(status="dlq")),
            models.Index(Left(KeyTextTransform("email", "payload"), LONGEST_ADDRESS), name="job_sent_to"),
        ]

    def __str__(self) -> str:
        return self.job_id

    @property
    def attempts_left(self) -> int:
        return max(0, self.max_attempts - self.attempt_count)

    def _move(self, where: Q, **values: Any) -> bool:
        """The conditional UPDATE behind every move; True when this call made it."""
        moved = JobLog.objects.filter(where, pk=self.pk).update(**values)
        if moved:
            self.status = values["status"]
            self.dlq_reason = values.get("dlq_reason", self.dlq_reason)
        return bool(moved)

    def _mine(self) -> Q:
        return Q(status=Status.PROCESSING, attempt_count=self.attempt_count)

    def complete(self) -> bool:
        """The work is done; False when the lease was lost meanwhile."""
        return bool(JobLog.objects.complete_many([self]))

    def retry(self, failure: Failure, wait: float, give_back: bool = False) -> bool:
        """This attempt failed, the next is due in `wait` seconds. `give_back`: it does not count."""
        with transaction.atomic():
            return self._move(
                self._mine(),
                status=Status.FAILED,
                run_at=from_now(wait),
                max_attempts=F("max_attempts") + int(give_back),
                lease_until=None,
                **self._error_fields(failure),
            ) and self._write_down(failure)

    def bury(self, failure: Failure, reason: str) -> bool:
        """This attempt failed and was the last: a dead letter, for an operator to replay or discard."""
        with transaction.atomic():
            return self._move(
                self._mine(),
                status=Status.DLQ,
                dlq_reason=reason,
                processed_at=Now(),
                lease_until=None,
                **self._error_fields(failure),
            ) and self._write_down(failure)

    def replay(self, *, by_itself: bool = False) -> bool:
        """A dead letter gets a fresh round of attempts: the same id, payload and history."""
        return self._move(
            Q(status=Status.DLQ),
            status=Status.ENQUEUED,
            dlq_reason="",
            max_attempts=F("attempt_count") + settings.JOB_MAX_ATTEMPTS,
            lost_count=0,
            auto_replayed=by_itself,
            run_at=Now(),
            expires_at=from_now(settings.JOB_EXPIRES_HOURS * 3600),
            processed_at=None,
        )

    def discard(self) -> bool:
        """Nobody wants this job done any more. A running one cannot be called back."""
        return self._move(
            Q(status__in=[Status.DLQ, *WAITING]), status=Status.DISCARDED, processed_at=Now(), lease_until=None
        )

    def _error_fields(self, failure: Failure) -> dict[str, Any]:
        return {
            "error": failure.error,
            "stack_trace": failure.trace,
            "error_class": failure.error_class,
            "fingerprint": failure.fingerprint,
        }

    def _write_down_lost(self) -> None:
        lost = JobAttempt.Outcome.LOST
        self.attempts.create(number=self.attempt_count, worker=self.worker, started_at=self.processing_at, outcome=lost)
        counters.add({counters.Count("attempts", (self.job_type, lost, "")): (1, 0.0)})

    def _write_down(self, failure: Failure) -> bool:
        started = JobLog.objects.filter(pk=self.pk).values("processing_at")[:1]
        self.attempts.create(
            number=self.attempt_count,
            worker=self.worker,
            started_at=models.Subquery(started),
            outcome=JobAttempt.Outcome.FAILED,
            error_class=failure.error_class,
            fingerprint=failure.fingerprint,
            smtp_code=failure.code,
            error=failure.error,
            trace=failure.trace,
        )
        return True


class JobAttempt(models.Model):
    """One try that did not succeed; only ever added."""

    class Outcome(models.TextChoices):
        FAILED = "failed", _("failed")
        LOST = "lost", _("its worker was lost")

    job = models.ForeignKey(JobLog, models.CASCADE, related_name="attempts", verbose_name=_("job"))
    number = models.PositiveIntegerField(_("number"))
    worker = models.CharField(_("worker"), max_length=128)
    started_at = models.DateTimeField(_("started"), null=True)
    ended_at = models.DateTimeField(_("ended"), db_default=Now())
    outcome = models.CharField(_("outcome"), max_length=16, choices=Outcome)
    error_class = models.CharField(_("class of error"), max_length=16, blank=True)
    fingerprint = models.CharField(_("fingerprint"), max_length=100, blank=True)
    smtp_code = models.PositiveSmallIntegerField(_("SMTP code"), null=True)
    error = models.TextField(_("error"), blank=True)
    trace = models.TextField(_("trace"), blank=True)

    class Meta:
        db_table = "job_attempts"
        verbose_name = _("attempt")
        verbose_name_plural = _("attempts")
        ordering = ["number"]
        constraints = [models.UniqueConstraint(fields=["job", "number"], name="one_row_an_attempt")]
        indexes = [models.Index(fields=["ended_at"], name="attempt_ended")]

    def __str__(self) -> str:
        return f"{self.job_id} #{self.number}"
