"""What django-q2's workers call: the functions that messages name, and what they are told around each call."""

import os
import socket
from typing import Any

import structlog
from django.conf import settings
from django.db import InterfaceError, OperationalError, connection
from django_q.signals import post_execute_in_worker, pre_execute

from jobs import board, broker
from jobs.batch import Attempt, Batch
from jobs.senders import Senders

log = structlog.get_logger("jobs.worker")

cluster = f"{socket.gethostname()}:{os.getpid()}"  # the qcluster command names its own before it forks
senders = Senders(settings.JOB_BATCH_SIZE)
_receipts: list[broker.Receipt] = []  # of the messages this process works on, once it has told us


def run(pk: int, attempt: int) -> None:
    """The function of every message: does attempt `attempt` of job `pk`, or nothing when that is not to be done."""
    run_many([(pk, attempt)])


def run_many(attempts: list[Attempt]) -> None:
    """The function of messages that the courier put together: `run` for each of `attempts`.

    Never raises but for a timeout, which must end this process (django-q2 starts another).
    """
    receipts = dict(zip((pk for pk, _ in attempts), _receipts, strict=False))
    try:
        Batch(attempts, receipts, senders, worker=f"{cluster}/{os.getpid()}").work()
    except (OperationalError, InterfaceError) as away:
        log.warning("database away, messages left for later", error=str(away))
        connection.close()


def _remember(task: dict[str, Any], **_: Any) -> None:
    """Takes the receipts of the messages out of django-q2's hands: they are dropped with the settlement, not later."""
    global _receipts
    receipts = task.pop("ack_id", None)
    _receipts = receipts if isinstance(receipts, list) else [receipts]
    board.current.started(jobs=len(_receipts))


def _through(**_: Any) -> None:
    board.current.done()


pre_execute.connect(_remember)
post_execute_in_worker.connect(_through)
