"""The one file that touches django-q2's internals. The brokers here use its documented interface for brokers.

tests/unit/test_django_q_is_as_we_rely_on.py fails when a new django-q2 changes one of these:

1. `Conf`: a class whose attributes come from the setting Q_CLUSTER, and are read when the cluster starts.
2. `OrmQ`: the table of messages, `django_q_ormq` (id, key, payload, lock). It is named here only, for `MessageTable`.
3. `SignedPackage` and `async_task`: the payload of a message, a signed dict with `func` and `args`. Its `loads` is
   replaced by one that accepts SECRET_KEY_FALLBACKS.
4. The pusher: calls `broker.dequeue()` again and again, and adds each message's receipt to its task as `ack_id`.
5. The worker: sends `pre_execute` and `post_execute_in_worker` with the task, and reads its arguments between the two.
6. The worker's timeout: SIGALRM raises `TimeoutException`, a SystemExit; the process ends after it. The sentinel kills
   a worker some seconds later by the process's own `timer`, which counts down while it is above 0.
7. The monitor: acknowledges no task without `ack_id`, and stores no success with `save_limit` below 0.
8. `Cluster().start()`: forks a sentinel, which forks the workers, the pusher and the monitor.
9. `Sentinel`: `task_queue`, of which it uses `put`, `empty`, `qsize`, `close` and `join_thread`, and hands each worker
   the object whose `get` the worker calls; `pool`, `pool_size`, `spawn_worker`, `reincarnate`; `status`, called in each
   round of its guard.
"""

import multiprocessing
import signal
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from typing import Any

from django import db
from django.conf import settings
from django.utils import timezone
from django.utils.module_loading import import_string
from django_q import cluster, core_signing
from django_q.cluster import Cluster
from django_q.conf import Conf
from django_q.exceptions import TimeoutException
from django_q.models import OrmQ
from django_q.signals import post_execute_in_worker, pre_execute
from django_q.signing import BadSignature, PickleSerializer, SignedPackage
from django_q.timeout import TimeoutHandler
from django_q.worker import worker

from jobs.brokers.task_queue import Reader, TaskQueue
from jobs.core.pauses import URGENT_LANES
from jobs.core.scoreboard import process_context
from jobs.core.sql.message_table import MessageTable

Receipt = int | str | None  # of a message, by which it is deleted; Redis gives none
Message = OrmQ
TaskTimeout = TimeoutException  # what a worker's alarm raises, a SystemExit

RELIEF_AFTER = 1.0  # seconds for which the only worker has been busy with one task
RELIEF_SECONDS = 30.0  # without an urgent task, after which a relief ends
UNGUARDED = -1.0  # a worker's `timer`: idle, as the sentinel reads it
SENTINEL_SLACK = 3  # seconds after a worker's alarm when the sentinel kills it, as in django-q2
OURS = "jobs.worker."  # the beginning of the functions that our tasks name
DIRECT = "direct"  # the key in a task whose worker claims the job itself: begun with the claim
OTHER_PROCESSES = 4  # of a cluster, in addition to its workers: main, sentinel, pusher, monitor

MESSAGES = MessageTable(OrmQ)


def run_cluster() -> None:
    """Start a cluster whose main process this is.

    Returns when it has started. SIGTERM ends it in order; this process ends after all others of the cluster.
    """
    Cluster().start()


def set_workers(workers: int, batch_size: int) -> None:
    """Set how many workers the next cluster has, and how much it fetches for each."""
    Conf.WORKERS, Conf.QUEUE_LIMIT, Conf.BULK = workers, workers, workers * batch_size


def workers() -> int:
    """Return how many workers a cluster has."""
    return Conf.WORKERS


def urgent_workers() -> int:
    """Return how many more workers a cluster has for the lanes urgent and alert only: one beside two or more."""
    return 1 if Conf.WORKERS > 1 else 0


def fetch_size() -> int:
    """Return how many messages to fetch with one statement."""
    return Conf.BULK


def visibility_timeout() -> int:
    """Return for how many seconds a fetched message is hidden from other clusters."""
    return Conf.RETRY


def queue_name() -> str:
    """Return the name of the queue, which all clusters of the site share."""
    return Conf.CLUSTER_NAME


def database() -> str:
    """Return the alias of the database that holds the messages."""
    return Conf.ORM


def redis_url() -> str:
    """Return the address of the Redis that holds the messages."""
    return Conf.REDIS


def broker_path() -> str:
    """Return the path of the broker class that Q_CLUSTER names."""
    return Conf.BROKER_CLASS


def make_broker() -> Any:
    """Return a new broker; each of ours has `delay`, `waiting_since`, `acknowledge` and `direct`."""
    return import_string(Conf.BROKER_CLASS)()


def pack_task(function: str, *args: Any, id: str, name: str, lane: str) -> str:
    """Return the payload of a task, as django-q2's `async_task` makes it. lane: of the task."""
    return SignedPackage.dumps(_task(function, args, id=id, name=name, lane=lane))


def direct_task(function: str, *args: Any, lane: str = "") -> dict[str, Any]:
    """Return a task as a worker reads it from its queue, which this worker made itself."""
    return {
        **_task(function, args, id="direct", name="a job", lane=lane),
        "func": import_string(function),
        DIRECT: True,
    }


def _task(function: str, args: tuple[Any, ...], *, id: str, name: str, lane: str) -> dict[str, Any]:
    task = {"id": id, "name": name, "func": function, "args": args, "kwargs": {}, "started": timezone.now()}
    return {**task, "group": str(lane)}  # a plain text: version 0.9 has no Lane


def unpack_task(payload: str) -> tuple[str, tuple[Any, ...]]:
    """Return the function that a payload names, and its arguments.

    Raises ValueError when it is not a payload of a task.
    """
    try:
        task = SignedPackage.loads(payload)
        return task["func"], task["args"]
    except (BadSignature, TypeError, KeyError) as unreadable:
        raise ValueError("not a payload of a task") from unreadable


def _load(payload: str) -> Any:
    """Return what was signed with SECRET_KEY or one of SECRET_KEY_FALLBACKS. Raise BadSignature for any other."""
    for key in (Conf.SECRET_KEY, *settings.SECRET_KEY_FALLBACKS):
        with suppress(BadSignature):
            return core_signing.loads(payload, key=key, salt=Conf.PREFIX, serializer=PickleSerializer)
    raise BadSignature("signed with another key")


@contextmanager
def timeout_postponed() -> Iterator[None]:
    """Postpone a worker's timeout to the end of the block: its alarm, and the sentinel's SIGTERM that follows.

    A worker that waits for a silent database must not be killed between its emails and their settlement.
    """
    timer = getattr(multiprocessing.current_process(), "timer", None)
    seconds, guarded = signal.alarm(0), timer.value if timer else 0.0
    if timer:
        timer.value = UNGUARDED
    try:
        yield
    finally:
        if timer:
            timer.value = guarded
        signal.alarm(seconds)


@contextmanager
def time_limit(seconds: int) -> Iterator[None]:
    """Give the block so many seconds instead of what is left of its task's; raises TimeoutException when they end."""
    timer = getattr(multiprocessing.current_process(), "timer", None)
    with timeout_postponed():
        former = signal.getsignal(signal.SIGALRM)
        try:
            with TimeoutHandler(seconds):
                if timer:
                    timer.value = float(seconds + SENTINEL_SLACK)
                yield
        finally:
            signal.signal(signal.SIGALRM, former)


def _begin_task(task: dict[str, Any], **_: Any) -> None:
    """Pass the receipts to the task's function, which drops the messages; the monitor must not.

    A task that is not one of ours runs as in django-q2.
    """
    if not _is_ours(task):
        return
    receipts = task.pop("ack_id", None)
    receipts = receipts if isinstance(receipts, list) else [receipts]
    task["kwargs"] = {**task["kwargs"], "receipts": receipts}
    context = process_context()
    if DIRECT not in task:
        context.scoreboard.started(urgent=_is_urgent(task), reserved=context.reserved)


def _end_task(task: dict[str, Any], **_: Any) -> None:
    if _is_ours(task):
        task["kwargs"].pop("receipts", None)
        process_context().scoreboard.done()


def _is_ours(task: dict[str, Any]) -> bool:
    """Return whether a task runs our jobs. Its group says nothing: another program may have a group `default` too."""
    return DIRECT in task or str(task["func"]).startswith(OURS)


def _is_urgent(task: dict[str, Any]) -> bool:
    return task.get("group") in URGENT_LANES


class LaneSentinel(cluster.Sentinel):
    """A sentinel whose workers are of two kinds: most serve every lane, reserved ones only urgent and alert.

    Beside two or more workers one is reserved. A single worker is relieved by a reserved one when a task has occupied
    it for RELIEF_AFTER and an urgent one waits.
    """

    def __init__(self, *arguments: Any, start: bool = True, **options: Any) -> None:
        super().__init__(*arguments, start=False, **options)
        self.task_queue = TaskQueue(_is_urgent)
        self.pool_size += urgent_workers()
        if start:
            self.start()

    def spawn_worker(self) -> None:
        """Start a worker, a reserved one when that is missing; the others may fetch messages themselves."""
        reserved = self._reserved() < urgent_workers()
        self.add_worker(self.task_queue.reader(reserved=reserved, direct=None if reserved else make_broker().direct()))

    def reincarnate(self, process: Any) -> None:
        """Replace a process that ended; nothing replaces a relief."""
        if process in self.pool and process.reader.is_relief:
            self.pool.remove(process)
            process.terminate()  # one that is out of time; else it has ended
        else:
            super().reincarnate(process)

    def status(self) -> str:
        """Return what django-q2 shows; called in each round, so here a relief is started."""
        if self.start_event.is_set() and not self.stop_event.is_set() and self._needs_relief():
            db.connections.close_all()
            self.add_worker(self.task_queue.reader(reserved=True, idle_seconds=RELIEF_SECONDS))
        return super().status()

    def _needs_relief(self) -> bool:
        if urgent_workers() or self._reserved():
            return False
        now = process_context().scoreboard.read()
        return now.pending_urgent > 0 and now.busy > 0 and now.quiet > RELIEF_AFTER

    def _reserved(self) -> int:
        return sum(process.reader.reserved for process in self.pool)

    def add_worker(self, reader: Reader) -> None:
        """Start a worker that reads this end of the queue."""
        timer = multiprocessing.Value("f", UNGUARDED)
        process = self.spawn_process(worker, reader, self.result_queue, timer, self.timeout)
        process.reader = reader


SignedPackage.loads = staticmethod(_load)  # its own knows SECRET_KEY alone, and rejects all messages after a rotation
cluster.Sentinel = LaneSentinel  # which `Cluster.start` starts
pre_execute.connect(_begin_task)
post_execute_in_worker.connect(_end_task)
