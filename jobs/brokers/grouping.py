"""Fetched messages as tasks for the workers: many first attempts are few tasks, whatever broker carried them.

So a worker claims and settles many jobs with few statements. All jobs of a task are of one lane.
"""

from collections.abc import Callable
from typing import NamedTuple

from jobs.brokers import django_q
from jobs.brokers.django_q import Receipt
from jobs.brokers.lanes import ORDER
from jobs.brokers.messages import PLAIN, RUN, RUN_MANY, attempts_of
from jobs.conf import conf

MAX_TASK_BATCHES = 4  # times JOB_BATCH_SIZE jobs are a task at most: between two tasks a worker sends nothing


class Fetched(NamedTuple):
    """A message that was fetched."""

    receipt: Receipt
    attempt: tuple[int, int]  # key of the job, number of the attempt
    payload: str
    lane: str


class Task(NamedTuple):
    """A task for a worker."""

    receipts: list[Receipt]
    payload: str
    lane: str


def read_payloads(rows: list[tuple[Receipt, str, str]]) -> tuple[list[Fetched], list[Receipt]]:
    """Return the messages that are ours, and the receipts of the others; rows: (receipt, payload, lane)."""
    read = [(receipt, attempts_of(payload), payload, lane) for receipt, payload, lane in rows]
    ours = [Fetched(receipt, attempts[0], payload, lane) for receipt, attempts, payload, lane in read if attempts]
    return ours, [receipt for receipt, attempts, _, _ in read if not attempts]


def read_more(read: list[Fetched], fetch: Callable[[], list[Fetched]]) -> list[Fetched]:
    """Return `read` and more of the messages that wait, unless it was not a full fetch or holds a later attempt."""
    for times in range(1, MAX_TASK_BATCHES if conf.JOB_BATCH_SIZE > 1 else 1):
        if len(read) < times * django_q.fetch_size() or any(message.attempt[1] != 1 for message in read):
            break
        read += fetch()
    return read


def make_tasks(read: list[Fetched], *, together: bool = True) -> list[Task]:
    """Return the tasks of these messages, those of the most urgent lane first.

    A later attempt is a task of its own, and so are a few first ones. together: whether first attempts may share one.
    """
    together = together and conf.JOB_BATCH_SIZE > 1
    return [task for lane in ORDER for task in _make_tasks([each for each in read if each.lane == lane], together)]


def _make_tasks(read: list[Fetched], together: bool) -> list[Task]:
    """Return the tasks of the messages of one lane."""
    firsts = [message for message in read if together and message.attempt[1] == 1]
    if len(firsts) <= django_q.workers():
        return [Task([message.receipt], _pack(message), message.lane) for message in read]
    alone = [message for message in read if message.attempt[1] != 1]
    return [Task([message.receipt], _pack(message), message.lane) for message in alone] + _combine(firsts)


def _pack(message: Fetched) -> str:
    """Return the payload of a task of one message: its own, unless that is a plain text."""
    if not PLAIN.match(message.payload):
        return message.payload
    named = {"id": str(message.attempt[0]), "name": "a job", "lane": message.lane}
    return django_q.pack_task(RUN, *message.attempt, **named)


def _combine(firsts: list[Fetched]) -> list[Task]:
    """Combine first attempts into few tasks, at least one for each worker."""
    size = min(MAX_TASK_BATCHES * conf.JOB_BATCH_SIZE, -(-len(firsts) // django_q.workers()))
    tasks: list[Task] = []
    for batch in (firsts[at : at + size] for at in range(0, len(firsts), size)):
        attempts, lane = [message.attempt for message in batch], batch[0].lane
        named = {"id": str(attempts[0][0]), "name": f"{len(batch)} jobs", "lane": lane}
        tasks.append(
            Task([message.receipt for message in batch], django_q.pack_task(RUN_MANY, attempts, **named), lane)
        )
    return tasks
