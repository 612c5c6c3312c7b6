"""The broker over Amazon SQS (Q_BROKER=sqs; needs requirements-sqs.txt). boto3 reads AWS_* from the environment.

SQS keeps a receipt for each message and delivers it again when the worker that fetched it died. It does not know the
age of its oldest message, so while it holds any, the reconciler presumes that none is lost.
"""

import math
import os
import threading
import time
from collections import defaultdict
from datetime import datetime
from functools import cached_property
from typing import Any
from urllib.parse import quote

import boto3
import botocore.session
import structlog
from botocore.config import Config
from botocore.exceptions import BotoCoreError, ClientError
from django.db import transaction
from django_q.brokers.aws_sqs import Sqs

from jobs.brokers import django_q
from jobs.brokers.django_q import Receipt
from jobs.brokers.grouping import Fetched, Task, make_tasks, read_payloads
from jobs.brokers.lanes import QueueId, Turns
from jobs.brokers.messages import UNKNOWN_AGE
from jobs.brokers.room import ALL_LANES, Room
from jobs.core.job import THIS_SITE
from jobs.core.pauses import Lane
from jobs.core.scoreboard import process_context

log = structlog.get_logger("jobs.brokers.orm")

MAX_DELAY_SECONDS = 900  # SQS's limit; the reconciler sends the message of a job that is due later
WAITS = Config(connect_timeout=0.5, read_timeout=2, retries={"total_max_attempts": 1})  # seconds; a fetch waits for 1
MAX_ENTRIES = 10  # messages in one call: SQS's limit
COUNTS = ("ApproximateNumberOfMessages", "ApproximateNumberOfMessagesNotVisible")

connections_of_threads = threading.local()  # boto3's sessions and resources are not safe for threads


def _kept() -> dict[str, Any]:
    """Return what this thread of this process keeps; a forked process makes its own connections."""
    if getattr(connections_of_threads, "pid", None) != os.getpid():
        connections_of_threads.pid, connections_of_threads.kept = os.getpid(), {}
    return connections_of_threads.kept


class SqsBroker(Sqs):
    """One queue for each lane; that of the default lane has the cluster's name.

    The source of a job is its message group, by which SQS lets the sources of a queue take turns ("fair queues").
    """

    # of a message that is enqueued: seconds until it becomes visible, and its queue
    delay, lane, source = 0.0, str(Lane.DEFAULT), THIS_SITE

    @cached_property
    def _turns(self) -> Turns:
        return Turns()

    @cached_property
    def _room(self) -> Room:
        return Room()

    @staticmethod
    def get_connection(list_key: str | None = None) -> boto3.Session:
        """Return this thread's session, with short waits and no second try: a silent SQS delays no request."""
        kept = _kept()
        if "session" not in kept:
            session = botocore.session.get_session()
            session.set_default_client_config(WAITS)
            kept["session"] = boto3.Session(botocore_session=session)
        return kept["session"]

    def get_queue(self) -> Any:
        """Return this thread's queue of the default lane. Those of the others are found when they are first used."""
        return self._queue_of(Lane.DEFAULT)

    def _queue_of(self, lane: str) -> Any:
        """Return this thread's queue of a lane: finding it costs as much as sending a message."""
        kept, name = _kept(), QueueId(lane).key(self.list_key)
        if name not in kept:
            sqs = self.connection.resource("sqs")
            try:
                kept[name] = sqs.get_queue_by_name(QueueName=name)
            except sqs.meta.client.exceptions.QueueDoesNotExist:
                kept[name] = sqs.create_queue(QueueName=name)
        return kept[name]

    def enqueue(self, task: str) -> str:
        return self._queue_of(self.lane).send_message(MessageBody=task, **self._options)["MessageId"]

    def enqueue_many(self, tasks: list[str]) -> None:
        """Send messages, a call for each MAX_ENTRIES; those that SQS refuses within a call are sent alone, or raise."""
        for at in range(0, len(tasks), MAX_ENTRIES):
            chunk = tasks[at : at + MAX_ENTRIES]
            entries = [{"Id": str(number), "MessageBody": task, **self._options} for number, task in enumerate(chunk)]
            for failed in self._queue_of(self.lane).send_messages(Entries=entries).get("Failed", []):
                self.enqueue(chunk[int(failed["Id"])])

    @property
    def _options(self) -> dict[str, Any]:
        delay = max(0, min(MAX_DELAY_SECONDS, math.ceil(self.delay)))
        return {"DelaySeconds": delay, "MessageGroupId": quote(self.source, safe="")}

    def dequeue(self) -> list[tuple[list[Receipt], str]]:
        """Return tasks made of visible messages of one lane; hide these from other clusters.

        Waits for one for up to a second. Leaves messages where they are while enough tasks of their kind wait for a
        worker.
        """
        tasks: list[Task] = []
        try:
            if lanes := self._room.wait():
                with process_context().scoreboard.asking_broker():
                    tasks = make_tasks(self._read(lanes))
        except (BotoCoreError, ClientError) as away:
            log.warning("SQS away, messages cannot be fetched", error=type(away).__name__)
            time.sleep(1.0)
        self._room.note_fetch(tasks)
        return [(task.receipts, task.payload) for task in tasks]

    def _read(self, lanes: frozenset[str]) -> list[Fetched]:
        """Receive messages of the lane whose turn it is, or of the most urgent one that has any.

        If none has any and all have room, waits for one of the default lane for a second.
        """
        for queue in self._turns.order(map(QueueId, ALL_LANES)):
            if queue.lane in lanes and (read := self._read_lane(queue.lane, wait=0)):
                return read
        return self._read_lane(Lane.DEFAULT, wait=1) if lanes == ALL_LANES else []

    def _read_lane(self, lane: str, wait: int) -> list[Fetched]:
        """Receive messages until there are enough or no more; delete those that are not ours. wait: for the first."""
        read: list[Fetched] = []
        missing = django_q.fetch_size()
        while missing > 0:
            taken = self._queue_of(lane).receive_messages(
                MaxNumberOfMessages=min(MAX_ENTRIES, missing),
                VisibilityTimeout=django_q.visibility_timeout(),
                WaitTimeSeconds=wait,
            )
            ours, unreadable = read_payloads(
                [(f"{lane} {message.receipt_handle}", message.body, lane) for message in taken]
            )
            read += ours
            self.acknowledge(unreadable)
            missing, wait = missing - len(taken) if len(taken) == MAX_ENTRIES else 0, 0
        return read

    @staticmethod
    def direct() -> None:
        """Return None: no NOTIFY announces these messages, so no worker fetches them itself."""

    def acknowledge(self, task_id: list[Receipt]) -> None:
        """Delete messages after the commit. One that stays is delivered again, and finds nothing to do."""
        if task_id:
            transaction.on_commit(lambda: self._delete(task_id), robust=True)

    def _delete(self, task_id: list[Receipt]) -> None:
        """Delete messages, a call for each MAX_ENTRIES of a lane. A receipt names its lane before the handle."""
        handles: dict[str, list[str]] = defaultdict(list)
        for lane, _, handle in (str(receipt).partition(" ") for receipt in task_id):
            handles[lane].append(handle)
        for lane, given in handles.items():
            for at in range(0, len(given), MAX_ENTRIES):
                chunk = enumerate(given[at : at + MAX_ENTRIES])
                entries = [{"Id": str(number), "ReceiptHandle": handle} for number, handle in chunk]
                self._queue_of(lane).delete_messages(Entries=entries)

    def waiting_since(self) -> dict[str, dict[str | None, datetime]]:
        queues = {lane: self._queue_of(lane) for lane in Lane.values}
        for queue in queues.values():
            queue.load()
        filled = [lane for lane, queue in queues.items() if any(int(queue.attributes[n]) for n in COUNTS)]
        return {lane: {None: UNKNOWN_AGE} for lane in filled}
