"""What tests need of the machine in addition to Python: a browser, Redis. Missing: skipped, but a failure in CI."""

import os
import shutil
import subprocess
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import NoReturn, TypeVar

import pytest
import redis

from tests.support.ports import free_port
from tests.support.postgres import die_with_parent

HERE = "127.0.0.1"
T = TypeVar("T")


def missing(what: str, package: str) -> NoReturn:
    """Ends the test: skipped on a developer's machine, failed in CI, where nothing may go untested."""
    advice = f"{what} is missing: apt-get install {package}"
    if os.environ.get("CI"):
        pytest.fail(advice)
    pytest.skip(advice)


def wrong_clock(offset: str) -> dict[str, str]:
    """Return the environment of a process whose wall clock is off, for tests.support.wrong_clock. offset: "+90s"."""
    found = sorted(Path("/usr/lib").glob("*/faketime/libfaketime.so.1"))
    library = str(found[0]) if found else missing("faketime", "faketime")
    return {"LD_PRELOAD": library, "FAKETIME": offset, "FAKETIME_DONT_FAKE_MONOTONIC": "1"}


def chromium() -> str:
    """The path of a Chromium or Chrome."""
    names = ("chromium", "chromium-browser", "google-chrome")
    return next(filter(None, map(shutil.which, names)), None) or missing("Chromium", "chromium")


@contextmanager
def redis_server() -> Iterator[str]:
    """The URL of a Redis: one of our own where there is the program, else database 15 of the machine's."""
    program = shutil.which("redis-server")
    if program is None:
        shared = f"redis://{HERE}:6379/15"
        if not answers(shared):
            missing("Redis", "redis-server")
        yield shared
        return
    port = free_port()
    command = [program, "--bind", HERE, "--port", str(port), "--save", "", "--appendonly", "no", "--dir", "/tmp"]
    process = subprocess.Popen(
        command, stdout=subprocess.DEVNULL, start_new_session=True, preexec_fn=lambda: die_with_parent()
    )
    try:
        eventually(lambda: answers(f"redis://{HERE}:{port}/0"))
        yield f"redis://{HERE}:{port}/0"
    finally:
        process.terminate()
        process.wait(10)


def answers(url: str) -> bool:
    """Whether a Redis answers there."""
    try:
        with redis.Redis.from_url(url) as client:
            return bool(client.ping())
    except redis.RedisError:
        return False


def eventually(found: Callable[[], T], seconds: float = 30, pause: float = 0.1) -> T:
    """What `found` returns, as soon as that is true; fails when it is not in `seconds`. pause: between two looks."""
    until = time.monotonic() + seconds
    while not (value := found()):
        if time.monotonic() > until:
            pytest.fail(f"still {value!r} after {seconds} s")
        time.sleep(pause)
    return value
