"""The broker: django-q2's ORM broker, with messages that become visible when due, and a NOTIFY for the clusters.

A message names a job and the attempt it is for, nothing else. It may be lost, repeated or late: the job's row is the
truth, and `JobLog.objects.claim` refuses a message whose attempt is over.
"""

import time
from collections import defaultdict
from datetime import datetime
from functools import cached_property

import structlog
from django.db import DatabaseError, InterfaceError, connection, models
from django_q.brokers.orm import ORM

from jobs.brokers import django_q, listener
from jobs.brokers.direct import Direct
from jobs.brokers.django_q import Receipt
from jobs.brokers.grouping import Fetched, Task, make_tasks, read_more, read_payloads
from jobs.brokers.lanes import QueueId, Turns
from jobs.brokers.messages import CHANNEL
from jobs.brokers.room import ALL_LANES, ROOM_SECONDS, URGENT_SECONDS, Room
from jobs.core.job import THIS_SITE
from jobs.core.pauses import Lane
from jobs.core.scoreboard import process_context
from jobs.core.sql import together

log = structlog.get_logger("jobs.brokers.orm")

POLL_SLICE_SECONDS = 0.5  # how soon the pusher sees that it should stop, or look
LEFT_SECONDS = 0.005  # from the bell to the look for what a worker left: meanwhile that worker begins its job


class OrmBroker(ORM):
    """The broker that Q_CLUSTER["broker_class"] names."""

    # of a message that is enqueued: seconds until it becomes visible, and its queue
    delay, lane, source = 0.0, str(Lane.DEFAULT), THIS_SITE
    # of the process that fetches messages
    _look_at = 0.0  # time.monotonic() of the next look at the table, without a NOTIFY
    _looks = 0  # requested by the watchdog and done
    _looked_at = ALL_LANES  # the lanes of that look: those with room for tasks

    @cached_property
    def _listener(self) -> listener.Listener:
        return listener.Listener(CHANNEL)

    @cached_property
    def _turns(self) -> Turns:
        return Turns()

    @cached_property
    def _room(self) -> Room:
        return Room()

    def enqueue(self, task: str) -> None:
        self.enqueue_many([task])

    def enqueue_many(self, tasks: list[str]) -> None:
        """Store messages that become visible after `delay` seconds."""
        key = QueueId(self.lane, self.source).key(self.list_key)
        for task in tasks:
            django_q.MESSAGES.insert(key, task, self.delay)

    @staticmethod
    def direct() -> Direct:
        """Return how a worker fetches messages itself."""
        return Direct()

    def acknowledge(self, task_id: list[Receipt]) -> None:
        """Delete messages by their ids."""
        django_q.MESSAGES.delete(task_id)

    def dequeue(self) -> list[tuple[list[Receipt], str]]:
        """Return tasks made of visible messages, the most urgent first; hide these from other clusters.

        Waits for a message for at most POLL_SLICE_SECONDS. Leaves messages where they are while enough tasks of their
        kind wait for a worker. Returns nothing while the database is away.
        """
        tasks: list[Task] = []
        try:
            if not self._wait(lanes := self._room.lanes()):
                return []
            with process_context().scoreboard.asking_broker():
                self._listener.listen()
                process_context().scoreboard.hears = self._listener.hears
                tasks = self._fetch(lanes)
        except (DatabaseError, InterfaceError) as away:
            log.warning("database away, messages cannot be fetched", error=str(away))
            connection.close()
            process_context().scoreboard.hears = False
            self._look_at, self._looked_at = time.monotonic() + 1.0, ALL_LANES
        finally:
            self._room.note_fetch(tasks)
        return [(task.receipts, task.payload) for task in tasks]

    def _wait(self, lanes: frozenset[str]) -> bool:
        """Wait for at most POLL_SLICE_SECONDS; return whether it is time to look at the table.

        lanes: those with room. It is time as soon as one has room that had none.
        """
        if lanes - self._looked_at:
            return True
        wait = self._look_at - time.monotonic()
        if lanes != ALL_LANES:
            time.sleep(ROOM_SECONDS)
            return bool(lanes) and wait <= ROOM_SECONDS
        if wait > 0 and self._hear(min(POLL_SLICE_SECONDS, wait)):
            return True
        before, self._looks = self._looks, process_context().scoreboard.look_requests
        return time.monotonic() >= self._look_at or before != self._looks

    def _hear(self, seconds: float) -> bool:
        """Wait for a NOTIFY; return whether to look now.

        A worker that listens (jobs/brokers/direct.py) rings the bell when it has heard one; this process then looks a
        moment later for what it left. A worker that has heard nothing of what came while this process waited for
        POLL_SLICE_SECONDS hangs or is dead.
        """
        scoreboard, sockets = process_context().scoreboard, self._listener.sockets
        with connection.wrap_database_errors:  # the listener waits on psycopg's connection
            if not sockets:
                return self._listener.wait(seconds)
            early = self._listener.wait(0.0)  # with the answer to a statement: no socket is readable then
            rung = scoreboard.wait_for_bell(0.0 if early else seconds, [] if scoreboard.has_listener else sockets)
            called = self._listener.wait(0.0) or early
        if called and rung:
            self._look_at = min(self._look_at, time.monotonic() + LEFT_SECONDS)
        elif called and not early and seconds == POLL_SLICE_SECONDS:
            scoreboard.forget_listener()
        return called and not rung

    @staticmethod
    def get_connection(list_key: str | None = None) -> models.QuerySet[django_q.Message]:
        """Return the messages as a queryset.

        It sends no query yet: a cluster may start while the database is away.
        """
        return django_q.Message.objects.using(django_q.database())

    def waiting_since(self) -> dict[str, dict[str | None, datetime]]:
        """Return since when the oldest visible message of each lane and source has been visible."""
        since: dict[str, dict[str | None, datetime]] = defaultdict(dict)
        for queue, (visible, oldest, _) in self._look(1).items():
            if visible:
                since[queue.lane][queue.source] = oldest
        return dict(since)

    def _fetch(self, lanes: frozenset[str] = ALL_LANES) -> list[Task]:
        """Return tasks for the workers, and note when to look again."""
        read, self._looked_at = self._read(lanes), lanes
        many = together.is_possible()
        tasks = make_tasks(read_more(read, lambda: self._read(lanes)) if many else read, together=many)
        if tasks:
            self._look_at = 0.0
        return tasks

    def _read(self, lanes: frozenset[str]) -> list[Fetched]:
        """Fetch visible messages of these lanes, each lane's share; delete those that are not ours."""
        queues = self._look(django_q.fetch_size())
        waiting = {queue: visible for queue, (visible, _, _) in queues.items() if visible and queue.lane in lanes}
        self._look_at = time.monotonic() + self._next_look([left for *_, left in queues.values()], lanes)
        allotted = self._turns.allot(django_q.fetch_size(), waiting)
        if not allotted:
            return []
        asked = {queue.key(self.list_key): most for queue, most in allotted.items()}
        lane_of = {queue.key(self.list_key): queue.lane for queue in allotted}
        rows = django_q.MESSAGES.fetch(asked, django_q.visibility_timeout())
        ours, unreadable = read_payloads([(message, payload, lane_of[key]) for message, key, payload in rows])
        if unreadable:
            self.acknowledge(unreadable)
        return ours

    def _next_look(self, left: list[float], lanes: frozenset[str]) -> float:
        """Return the seconds until the next look: when a message becomes visible, or the next poll.

        left: seconds until the first message of each queue is visible.
        """
        poll = self._listener.poll_seconds if lanes == ALL_LANES else URGENT_SECONDS
        return min([poll, *(max(0.0, seconds) for seconds in left if seconds > 0)])

    def _look(self, most: int) -> dict[QueueId, tuple[int, datetime, float]]:
        """Return of each queue how many messages are visible, up to `most`, since when, and the seconds until then."""
        found = [(QueueId.parse(key, self.list_key), tuple(look)) for key, *look in django_q.MESSAGES.look(most)]
        return {queue: look for queue, look in found if queue}
