"""The courier over Amazon SQS (Q_BROKER=sqs; needs requirements-sqs.txt). boto3 reads AWS_* from the environment.

SQS keeps a receipt for each message and delivers it again when the worker that took it died. It cannot say how old its
oldest message is, so while it holds any, the reconciler presumes none of them lost.
"""

import math
import time
from datetime import datetime

import structlog
from botocore.exceptions import BotoCoreError, ClientError
from django_q.brokers.aws_sqs import Sqs
from django_q.conf import Conf

from jobs import board
from jobs.broker import UNKNOWN_AGE, attempts_of

log = structlog.get_logger("jobs.broker")

LONGEST_DELAY = 900  # seconds: SQS's limit; a job due later is woken by the reconciler
TEN = 10  # messages in one receive: SQS's limit


class SqsCourier(Sqs):
    """One queue, named as the cluster."""

    delay = 0.0

    def enqueue(self, task: str) -> str:
        seconds = max(0, min(LONGEST_DELAY, math.ceil(self.delay)))
        return self.queue.send_message(MessageBody=task, DelaySeconds=seconds)["MessageId"]

    def dequeue(self) -> list[tuple[str, str]]:
        try:
            taken = self.queue.receive_messages(
                MaxNumberOfMessages=min(TEN, Conf.BULK), VisibilityTimeout=Conf.RETRY, WaitTimeSeconds=1
            )
        except (BotoCoreError, ClientError) as away:
            log.warning("SQS away, messages cannot be fetched", error=type(away).__name__)
            time.sleep(1.0)
            board.current.polled(0)
            return []
        good = [message for message in taken if attempts_of(message.body)]
        for message in taken:
            if message not in good:
                message.delete()
        board.current.polled(len(good))
        return [(message.receipt_handle, message.body) for message in good]

    def acknowledge(self, task_id: list[str]) -> None:
        for receipt in task_id:
            super().acknowledge(receipt)

    def waiting_since(self) -> datetime | None:
        self.queue.load()
        return UNKNOWN_AGE if self.queue_size() or self.lock_size() else None
