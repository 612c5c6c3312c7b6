"""The short way from a NOTIFY to a worker: one idle worker of a cluster listens, and claims a message's job itself.

Otherwise a message goes through the pusher and a queue of tasks, and its job is claimed after that. While a worker
listens, the pusher leaves the notifications to it, and a moment later looks for what it left. Nothing depends on that
worker: it may be killed or stopped at any time. Several jobs in a row are left to the pusher, since they are cheaper
together.
"""

import time
from typing import Any

import structlog
from django.db import DatabaseError, InterfaceError, close_old_connections, connection

from jobs.brokers import django_q
from jobs.brokers.lanes import ORDER, QueueId
from jobs.brokers.messages import CHANNEL, RELEASE, RUN
from jobs.conf import conf
from jobs.core.job import JobLog
from jobs.core.scoreboard import process_context
from jobs.core.sql import channels

log = structlog.get_logger("jobs.brokers.direct")

IDLE_SECONDS = 0.01  # without a task, before a worker listens
RETRY_SECONDS = 1.0  # between two tries to become the worker that listens


class Direct:
    """The direct way of one worker."""

    def __init__(self) -> None:
        self._connection: Any = None  # the psycopg connection that listens
        self._waits = False  # whether this is the worker that listens, and it waits
        self._next_try = 0.0  # time.monotonic()

    @property
    def sockets(self) -> list[Any]:
        """What becomes readable when a notification arrives."""
        return [self._connection] if self._waits else []

    def is_called(self, ready: list[Any]) -> bool:
        """Return whether the connection is among what is readable."""
        return self._waits and self._connection in ready

    def seconds_to_wait(self) -> float | None:
        """Return the seconds for which to wait for a task before `listen`; None for any time."""
        return None if self._waits else max(IDLE_SECONDS, self._next_try - time.monotonic())

    def listen(self) -> None:
        """Become the worker that listens, if no other one does and notifications reach this cluster."""
        scoreboard = process_context().scoreboard
        self._next_try = time.monotonic() + RETRY_SECONDS
        if not scoreboard.hears or not scoreboard.take_listening():
            self._unlisten()
            return
        try:
            close_old_connections()
            connection.ensure_connection()
            if self._connection is not connection.connection:
                channels.listen(CHANNEL)
                self._connection = connection.connection
            with connection.wrap_database_errors:
                list(self._connection.notifies(timeout=0))  # dropped: the pusher has heard them too
            self._waits, self._next_try = True, 0.0
            scoreboard.ring_bell()  # or the pusher would leave what was dropped to this worker
        except (DatabaseError, InterfaceError) as away:
            self._give_up(away)

    def stop(self) -> None:
        """Stop listening: there is a task in the queue, so there may be many."""
        if self._waits:
            self._stop_waiting()
            self._unlisten()

    def task(self) -> dict[str, Any] | None:
        """Return the task of a job whose message a notification announced; it is claimed. None when there is none."""
        scoreboard = process_context().scoreboard
        try:
            queues = self._read()
            return self._begin(queues) if queues and not scoreboard.draining else None
        except (DatabaseError, InterfaceError) as away:
            self._give_up(away)
            return None
        finally:
            scoreboard.ring_bell()  # the pusher fetches what this worker leaves

    def _begin(self, queues: list[QueueId]) -> dict[str, Any] | None:
        """Claim a job of the most urgent queue; this worker counts as busy from now on, unless it gets none."""
        self._stop_waiting()
        scoreboard = process_context().scoreboard
        scoreboard.started(direct=True)
        task = self._claim(min(queues, key=lambda queue: ORDER.index(queue.lane)))
        if task is None:
            scoreboard.done()
        return task

    def _claim(self, queue: QueueId) -> dict[str, Any] | None:
        context, now = process_context(), time.monotonic()
        try:
            job = JobLog.objects.claim_oldest(queue.key(django_q.queue_name()), context.worker)
            if job and job.policy.time_limit > conf.JOB_TIMEOUT_SECONDS:
                self._unlisten()  # or the server would keep the notifications of all that time for it
        except Exception as error:  # a type's module may raise anything, and this worker must live
            self._give_up(error)
            return django_q.direct_task(RELEASE)  # the job may be claimed nevertheless
        context.claimed = (job, now) if job else None
        return django_q.direct_task(RUN, job.pk, 1, lane=queue.lane) if job else None

    def _read(self) -> list[QueueId]:
        """Return the queues that the notifications name which have arrived."""
        with connection.wrap_database_errors:
            words = channels.read_arrived(self._connection)
        return [queue for word in words if (queue := QueueId.parse(word, django_q.queue_name()))]

    def _stop_waiting(self) -> None:
        self._waits = False
        process_context().scoreboard.stop_listening()

    def _unlisten(self) -> None:
        """Let the server send this worker no more notifications."""
        listened, self._connection = self._connection, None
        if listened is None or listened is not connection.connection:
            return
        try:
            channels.unlisten(CHANNEL)
        except (DatabaseError, InterfaceError) as away:
            self._give_up(away)

    def _give_up(self, error: Exception) -> None:
        log.warning("this worker stops listening for now", error=str(error))
        self._stop_waiting()
        self._connection = None
        connection.close()
