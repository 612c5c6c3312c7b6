"""Tasks of the tests' own, by the names that workers import."""

import asyncio
import ctypes
import os
import signal
import sys
import time
from typing import Any

from django.contrib.auth import get_user_model
from django.db import connection, transaction
from django.utils import timezone, translation

from jobs.core import errors
from jobs.core.audit import AuditEntry
from jobs.core.job import JobLog
from jobs.tasks import Unique, options
from jobs.tasks.compat import task

calls: list[Any] = []


def note(word: str) -> None:
    """Leave a mark that another process can see."""
    AuditEntry.objects.create(who="task", act="replay", target=word)


@task
def add(left: int, right: int) -> int:
    calls.append((left, right))
    return left + right


@task
def echo(value: Any = None) -> Any:
    return value


@task
def mark(word: str) -> str:
    note(word)
    return word


@task
async def add_async(left: int, right: int) -> int:
    await asyncio.sleep(0)
    return left + right


@task
async def count_users() -> int:
    return await get_user_model().objects.acount()


@task(takes_context=True)
def attempt_of(context: Any) -> int:
    calls.append(context.attempt)
    if context.attempt < 3:
        raise ValueError(f"attempt {context.attempt}")
    return context.attempt


@task(takes_context=True)
def advance(context: Any, parts: int) -> str:
    for part in range(1, parts + 1):
        context.progress(part, parts)
    return "done"


@task
def fail(text: str = "wrong") -> None:
    raise ValueError(text)


@options(max_attempts=1)
@task
def fail_once(text: str = "wrong") -> None:
    raise ValueError(text)


@task
def refuse() -> None:
    raise errors.Permanent("never")


@options(max_attempts=1)
@task
def end(how: str) -> None:
    raise {"exit": SystemExit(3), "interrupt": KeyboardInterrupt(), "cancel": asyncio.CancelledError()}[how]


class Unprintable(Exception):
    code = 10**9
    error_class = "x" * 500
    retry_after = "soon"

    def __str__(self) -> str:
        raise RuntimeError("no text")


@options(max_attempts=1)
@task
def raise_unprintable() -> None:
    raise Unprintable


@task
def return_object() -> Any:
    note("worked")
    return object()


@task
def return_much() -> str:
    return "x" * 300_000


@task
def leave_atomic_open() -> None:
    transaction.atomic().__enter__()
    note("left in atomic")


@task
def leave_autocommit_off() -> None:
    transaction.set_autocommit(False)
    note("left without autocommit")


@task
def leave_begin() -> None:
    with connection.cursor() as cursor:
        cursor.execute("BEGIN")
    note("left in BEGIN")


@options(max_attempts=1)
@task
def fail_in_atomic() -> None:
    transaction.atomic().__enter__()
    note("left by an error")
    raise ValueError("in atomic")


@task
def leave_language() -> None:
    translation.activate("mn")
    timezone.activate("Asia/Ulaanbaatar")


@options(unique=True)
@task
def only_one(user: int, page: int = 1) -> int:
    return user


@task
@options(unique=Unique(period=60.0, key=("user",)))
def one_a_minute(user: int, page: int = 1) -> int:
    return user


@options(max_attempts=2, backoff=0.1, timeout=7, expires=600.0)
@task(priority=60)
def patient() -> None:
    pass


@options(timeout=1, max_attempts=1)
@task
def sleep(seconds: float) -> None:
    time.sleep(seconds)


@options(timeout=1, max_attempts=1)
@task
async def block(seconds: float) -> None:
    time.sleep(seconds)


@task
def kill_worker() -> None:
    os.kill(os.getpid(), signal.SIGKILL)


@task
def kill_worker_once(word: str) -> str:
    if not AuditEntry.objects.filter(target=word).exists():
        note(word)
        os.kill(os.getpid(), signal.SIGKILL)
    return word


@task
def kill_worker_at(number: int, fatal: int) -> None:
    """Kill the worker in the first call with the number `fatal`."""
    if number == fatal and not AuditEntry.objects.filter(target="fatal").exists():
        note("fatal")
        os.kill(os.getpid(), signal.SIGKILL)


@task
def fail_until(word: str) -> str:
    """Fail until there is a mark."""
    if not AuditEntry.objects.filter(target=word).exists():
        raise ValueError("not yet")
    return word


@task
def crash() -> None:
    ctypes.string_at(0)


@task(takes_context=True)
def stop(context: Any) -> None:
    sys.exit("enough")


def plain() -> None:
    pass


class Holder:
    @staticmethod
    def method() -> None:
        pass


nameless = lambda: None  # noqa: E731


@task(takes_context=True)
def take_lease(context: Any, number: int) -> None:
    """At the call of that number of this process, let another worker have taken the job over."""
    calls.append("take_lease")
    if calls.count("take_lease") == number:
        JobLog.objects.filter(pk=context.job_key).update(attempt_count=2)
