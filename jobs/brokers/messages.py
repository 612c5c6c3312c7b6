"""Messages: each names a job and the attempt it is for, nothing else.

A message may be lost, repeated or late: the job's row is the truth, and `JobLog.objects.claim` refuses a message whose
attempt is over. The broker that Q_CLUSTER names carries them.
"""

import re
import uuid
from collections import defaultdict
from collections.abc import Iterable
from datetime import UTC, datetime, timedelta
from typing import Any, NamedTuple

import structlog
from django.db import models, transaction
from django.db.models.functions import Now

from jobs.brokers import django_q
from jobs.brokers.lanes import QueueId
from jobs.core.job import THIS_SITE, JobLog
from jobs.core.pauses import Lane
from jobs.core.sql import channels

log = structlog.get_logger("jobs.brokers.orm")

CHANNEL = "jobs"
ORM_BROKER = "jobs.brokers.orm.OrmBroker"  # the broker whose messages are rows of our database
OVERDUE = timedelta(seconds=5)  # visible for longer, a message had no NOTIFY, or the queue is long
UNKNOWN_AGE = datetime(1970, 1, 1, tzinfo=UTC)  # of messages whose broker does not know their age: older than any job
PLAIN = re.compile(r"job:(\d+)\Z")  # of the first attempt of a job; workers of version 0.9 leave it to the reconciler
RUN, RUN_MANY = "jobs.worker.entry.run", "jobs.worker.entry.run_many"
RELEASE = "jobs.worker.entry.release"


def in_our_database() -> bool:
    """Return whether messages are rows of our database, which commit with their jobs."""
    return django_q.broker_path() == ORM_BROKER


class Message(NamedTuple):
    """An attempt of a job, and the queue that its message goes to."""

    pk: int
    attempt: int
    lane: str = str(Lane.DEFAULT)
    source: str = THIS_SITE


def to(job: JobLog, attempt: int) -> Message:
    """Return the message for attempt number `attempt` of a job."""
    return Message(job.pk, attempt, job.lane, job.source)


def queue_key(job: JobLog) -> str:
    """Return the key of a job's queue, with which the statement that writes the job also stores its first message.

    That message is a plain text: what only our database could have written needs no signature.
    """
    return QueueId(job.lane, job.source).key(django_q.queue_name())


def send(message: Message, delay: float = 0.0) -> None:
    """Send a message that becomes visible after `delay` seconds.

    delay: if negative, the message goes before those that have been visible for less long. Inside a transaction the
    message commits or rolls back with it; the clusters are notified after the commit.
    """
    send_many([message], delay)


def send_many(attempts: list[Message], delay: float = 0.0) -> None:
    """Send messages, and notify the clusters once.

    A broker outside our database gets its messages after the commit; if that fails, the reconciler sends others.
    """
    if not attempts:
        return
    if in_our_database():
        _store(attempts, delay)
        notify_clusters()
    else:
        transaction.on_commit(lambda: _store(attempts, delay), robust=True)


def word_for(keys: Iterable[str]) -> str:
    """Return the word of the notification of messages in these queues: the key of the only queue, else ""."""
    found = set(keys)
    return found.pop() if len(found) == 1 else ""


def notify_clusters(keys: Iterable[str] = ()) -> None:
    """Notify the clusters of messages that were stored, after the commit; keys: of their queues, if known."""
    channels.notify_after_commit(CHANNEL, word_for(keys))


def send_next(job: JobLog) -> None:
    """Send the message for the next attempt of a waiting job, visible when it is due; none for any other job."""
    if following := JobLog.objects.next_attempt(job.pk):
        attempt, seconds = following
        send(to(job, attempt), delay=max(0.0, seconds))


def _store(attempts: list[Message], delay: float) -> None:
    tasks: dict[tuple[str, str], list[str]] = defaultdict(list)
    for pk, attempt, lane, source in attempts:
        named = {"id": uuid.uuid4().hex, "name": "a job", "lane": lane}
        tasks[lane, source].append(django_q.pack_task(RUN, pk, attempt, **named))
    broker = django_q.make_broker()
    broker.delay = delay
    for (broker.lane, broker.source), queued in tasks.items():
        broker.enqueue_many(queued)


def waiting_since() -> dict[str, dict[str | None, datetime]]:
    """Return since when the oldest visible message of each lane and source has been waiting.

    Those without a visible message are left out; the source None stands for all that are not listed, UNKNOWN_AGE for
    an age that the broker does not know. A job that was due before the oldest message of its lane and source has no
    message left.
    """
    return django_q.make_broker().waiting_since()


def overdue() -> list[models.QuerySet[Any]]:
    """Return querysets of messages that should have been fetched by now.

    None if messages are not rows of our database. Their sender may have died before the NOTIFY, or the connection
    that listens may be dead.
    """
    if not in_our_database():
        return []
    return [django_q.Message.objects.filter(lock__lte=Now() - OVERDUE).order_by("key", "lock")]


def attempts_of(payload: str) -> list[tuple[int, int]]:
    """Return the (pk, attempt) pair that a message is for.

    Returns nothing, and logs an error, when the message is not ours.
    """
    if plain := PLAIN.match(payload):
        return [(int(plain[1]), 1)]
    try:
        function, attempt = django_q.unpack_task(payload)
        if function == RUN:
            return [attempt]
    except ValueError:
        pass
    log.error("message cannot be read, dropped")
    return []
