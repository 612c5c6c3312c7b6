"""The courier: django-q2's ORM broker, with messages that become visible at their moment and a cluster that is woken.

A message names a job and the attempt it is for, nothing else. It may be lost, doubled or late: the job's row is the
truth, and `JobLog.objects.claim` refuses a message whose attempt is over.
"""

import time
from collections.abc import Iterable
from datetime import UTC, datetime, timedelta
from typing import Any

import structlog
from django.conf import settings
from django.db import DatabaseError, InterfaceError, connection, models, transaction
from django.db.models.functions import Now
from django.utils import timezone
from django.utils.module_loading import import_string
from django_q.brokers.orm import ORM
from django_q.conf import Conf
from django_q.models import OrmQ
from django_q.signing import BadSignature, SignedPackage
from django_q.tasks import async_task

from jobs import board, listening
from jobs.models import from_now

log = structlog.get_logger("jobs.broker")

CHANNEL = "jobs"
SLICE = 0.5  # seconds: how soon the pusher sees that it should stop, or look
OVERDUE = timedelta(seconds=5)  # a message visible for longer has been told to nobody, or the queue is long
UNKNOWN_AGE = datetime(1970, 1, 1, tzinfo=UTC)  # of messages whose broker cannot tell: older than any job
TASK = 4  # times JOB_BATCH_SIZE jobs are a task at most: between two tasks a worker has no mail on its way
RUN, RUN_MANY = "jobs.worker.run", "jobs.worker.run_many"
PUT = """
INSERT INTO django_q_ormq (key, payload, lock) VALUES (%s, %s, statement_timestamp() + %s * interval '1 second')
RETURNING id
"""
# Not waited for until it is on the disk: should the server crash, the messages are visible again, and harmless.
TAKE = """
SET LOCAL synchronous_commit TO off;
UPDATE django_q_ormq SET lock = clock_timestamp() + %s * interval '1 second' WHERE id IN (
    SELECT id FROM django_q_ormq WHERE key = %s AND lock <= clock_timestamp()
    ORDER BY lock LIMIT %s FOR UPDATE SKIP LOCKED) RETURNING id, payload
"""
Receipt = int | str | None  # of a message, by which it is deleted; Redis gives none


def send(pk: int, attempt: int, delay: float = 0.0) -> None:
    """Puts a message for attempt `attempt` of job `pk`, visible after `delay` seconds; less than 0: before those that
    have been visible for less long.

    Inside a transaction it commits or rolls back with it; the cluster is woken after the commit.
    """
    send_many([(pk, attempt)], delay)


def send_many(attempts: list[tuple[int, int]], delay: float = 0.0) -> None:
    """`send` for many (pk, attempt) pairs, with one call to the clusters.

    A broker outside our database gets its messages after the commit; if that fails, the reconciler sends others.
    """
    if not attempts:
        return
    if Courier.in_charge():
        _put(attempts, delay)
        transaction.on_commit(wake, robust=True)
    else:
        transaction.on_commit(lambda: _put(attempts, delay), robust=True)


def _put(attempts: list[tuple[int, int]], delay: float) -> None:
    courier = _courier()
    courier.delay = delay
    for pk, attempt in attempts:
        async_task(RUN, pk, attempt, broker=courier)


def _courier() -> Any:
    """The broker that Q_CLUSTER names; each of ours has `delay`, `waiting_since` and `acknowledge`."""
    return import_string(Conf.BROKER_CLASS)()


def wake() -> None:
    """Tells listening clusters that there is something to look at. Outside a transaction only (TRAPS.md)."""
    listening.notify(CHANNEL)


def waiting_since() -> datetime | None:
    """Since when the oldest visible message has been waiting; None when none is, UNKNOWN_AGE when nobody knows.

    Messages are fetched in this order, so a job that was due before it has no message left.
    """
    return _courier().waiting_since()


def overdue() -> list[models.QuerySet[Any]]:
    """Messages that should have been fetched by now, as a queryset, if they are rows of our database.

    Who put one may have died before the call to the clusters, or the connection that listens.
    """
    if not Courier.in_charge():
        return []
    visible = OrmQ.objects.filter(key=Conf.CLUSTER_NAME, lock__lte=Now() - OVERDUE)
    return [visible.order_by("lock")]


def forget(messages: Iterable[Receipt]) -> None:
    """Deletes messages that have been dealt with, by the receipts that came with them."""
    if receipts := [message for message in messages if message is not None]:
        _courier().acknowledge(receipts)


def attempts_of(payload: str) -> list[tuple[int, int]]:
    """The (pk, attempt) pair that a message is for: none when it is not one of ours, which is told."""
    try:
        task = SignedPackage.loads(payload)
        if task["func"] == RUN:
            return [task["args"]]
    except (BadSignature, TypeError, KeyError, ValueError):
        pass
    log.error("message cannot be read, dropped")
    return []


class Courier(ORM):
    """The broker named in Q_CLUSTER["broker_class"].

    enqueue: a row visible after `delay` seconds. dequeue: tasks made of up to `bulk` visible messages, oldest first,
    hidden from others for `retry` seconds; waits at most SLICE seconds for one. A database that is away is waited for.
    """

    delay = 0.0

    def __init__(self, list_key: str | None = None) -> None:
        super().__init__(list_key)
        self._look_at = 0.0  # time.monotonic() of the next look at the table
        self._calls = 0  # of the keeper, that have been answered by a look
        self._ear = listening.Ear(CHANNEL)

    def __setstate__(self, state: Any) -> None:
        super().__setstate__(state)
        self._look_at, self._calls, self._ear = 0.0, 0, listening.Ear(CHANNEL)

    def enqueue(self, task: str) -> int:
        if connection.vendor != "postgresql":
            return self.get_connection().create(key=self.list_key, payload=task, lock=from_now(self.delay)).pk
        with connection.cursor() as cursor:
            cursor.execute(PUT, [self.list_key, task, self.delay])
            return cursor.fetchone()[0]

    def acknowledge(self, task_id: list[int]) -> None:
        if connection.vendor == "postgresql":
            with connection.cursor() as cursor:
                cursor.execute("DELETE FROM django_q_ormq WHERE id = ANY(%s)", [task_id])
        else:
            self.get_connection().filter(pk__in=task_id).delete()

    def dequeue(self) -> list[tuple[list[int], str]]:
        tasks: list[tuple[list[int], str]] = []
        try:
            if not self._woken():
                return tasks
            self._ear.listen()
            tasks = self._fetch()
            self._look_at = 0.0 if tasks else self._next_look()
        except (DatabaseError, InterfaceError) as away:
            log.warning("database away, messages cannot be fetched", error=str(away))
            connection.close()
            self._look_at = time.monotonic() + 1.0
        finally:
            board.current.polled(len(tasks))
        return tasks

    def _woken(self) -> bool:
        """Waits SLICE seconds at most; whether it is time to look at the table."""
        wait = self._look_at - time.monotonic()
        woken = wait <= 0 or self._ear.woken(min(SLICE, wait)) or time.monotonic() >= self._look_at
        before, self._calls = self._calls, board.current.calls
        return woken or before != self._calls

    @staticmethod
    def get_connection(list_key: str | None = None) -> models.QuerySet[OrmQ]:
        """The messages. Asks nothing of the database yet: a cluster may start while it is away."""
        return OrmQ.objects.using(Conf.ORM)

    @staticmethod
    def in_charge() -> bool:
        """Whether messages are rows of our database, that commit with their jobs."""
        return Conf.BROKER_CLASS == "jobs.broker.Courier"

    def waiting_since(self) -> datetime | None:
        visible = OrmQ.objects.filter(key=self.list_key, lock__lte=Now())
        return visible.aggregate(oldest=models.Min("lock"))["oldest"]

    def _fetch(self) -> list[tuple[list[int], str]]:
        """What django-q2 is to hand to its workers: receipts, and the task they are for."""
        read = self._read()
        if settings.JOB_BATCH_SIZE == 1 or connection.vendor != "postgresql":
            return [([message], payload) for message, _, payload in read]
        for times in range(1, TASK):  # more of them, as long as nothing among them is to be done alone
            if len(read) < times * Conf.BULK or any(attempt != 1 for _, (_, attempt), _ in read):
                break
            read += self._read()
        firsts = [(message, attempt) for message, attempt, _ in read if attempt[1] == 1]
        if len(firsts) <= Conf.WORKERS:
            return [([message], payload) for message, _, payload in read]
        return [([message], payload) for message, attempt, payload in read if attempt[1] != 1] + _together(firsts)

    def _read(self) -> list[tuple[int, tuple[int, int], str]]:
        """Up to `bulk` visible messages, hidden from others now: receipt, attempt and payload. What is none goes."""
        rows = self._take_postgresql() if connection.vendor == "postgresql" else self._take_portably()
        read = [(message, attempts_of(payload), payload) for message, payload in rows]
        if rubbish := [message for message, attempts, _ in read if not attempts]:
            self.acknowledge(rubbish)
        return [(message, attempts[0], payload) for message, attempts, payload in read if attempts]

    def _take_postgresql(self) -> list[tuple[int, str]]:
        with connection.cursor() as cursor:
            cursor.execute(TAKE, [Conf.RETRY, self.list_key, Conf.BULK])
            cursor.nextset()
            return sorted(cursor.fetchall())  # RETURNING keeps no order

    def _take_portably(self) -> list[tuple[int, str]]:
        visible = self.get_connection().filter(key=self.list_key, lock__lte=Now()).order_by("lock")
        return [
            (row.pk, row.payload)
            for row in visible[: Conf.BULK]
            if visible.filter(pk=row.pk).update(lock=from_now(Conf.RETRY))
        ]

    def _next_look(self) -> float:
        """time.monotonic() of the next look: when the next hidden message becomes visible, or the poll is due."""
        hidden = self.get_connection().filter(key=self.list_key)
        soonest = hidden.aggregate(soonest=models.Min("lock"))["soonest"]
        wait = self._ear.poll_seconds
        if soonest is not None:
            wait = min(wait, max(0.0, (soonest - timezone.now()).total_seconds()))
        return time.monotonic() + wait


def _together(firsts: list[tuple[int, tuple[int, int]]]) -> list[tuple[list[int], str]]:
    """First attempts as few tasks, so that a worker claims and settles many jobs at once; every worker gets some."""
    size = min(TASK * settings.JOB_BATCH_SIZE, -(-len(firsts) // Conf.WORKERS))
    tasks = []
    for batch in (firsts[at : at + size] for at in range(0, len(firsts), size)):
        task = {"id": str(batch[0][0]), "name": f"{len(batch)} jobs", "func": RUN_MANY, "kwargs": {}}
        attempts = [attempt for _, attempt in batch]
        payload = SignedPackage.dumps({**task, "args": (attempts,), "started": timezone.now()})
        tasks.append(([message for message, _ in batch], payload))
    return tasks
