"""What follows when all processes of a queue are killed while they work, and are started again immediately.

All contenders are tried at the same time: they wait for most of it.
"""

import sys
import time
import traceback
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from dataclasses import dataclass

import psutil

from benchmarks.processes import Programs, tree
from benchmarks.services import Services, eventually
from benchmarks.tasks.calls import BEGAN, ENDED, Calls
from benchmarks.tasks.contenders import Contender
from benchmarks.tasks.testbed import Testbed

FIRST, TASKS = 100_000, 100  # of 0.1 s
KILLED_AFTER = 20  # tasks that have ended
POLL_SECONDS = 0.1


@dataclass
class Recovery:
    """The outcome of TASKS tasks."""

    running: int
    """How many ran when their workers were killed."""
    seconds: float | None
    """From the kill until all had ended; None when not all had."""
    lost: int
    """How many had not ended when the time was up."""
    twice: int
    """How many ended twice."""


def measure(contenders: list[Contender], services: Services, limit: float) -> dict[str, Recovery]:
    """Return the recovery of each contender; limit: seconds to wait for it."""
    print(f"kill -9, up to {limit:.0f} s ...", file=sys.stderr, flush=True)
    services.redis.flushall()
    testbeds = [Testbed(contender, services) for contender in contenders]
    found: dict[str, Recovery] = {}
    for testbed in testbeds:
        testbed.fresh()
        testbed.enqueue("bulk", "busy", FIRST, TASKS)
    with ThreadPoolExecutor(len(testbeds)) as threads:
        waited = {testbed: threads.submit(_recover, testbed, limit) for testbed in testbeds}
    for testbed, future in waited.items():
        testbed.close()
        try:
            found[testbed.contender.name] = future.result()
        except Exception:  # the others are measured anyway
            traceback.print_exc()
    return found


def _recover(testbed: Testbed, limit: float) -> Recovery:
    with testbed.workers() as programs:
        eventually(lambda: len(Calls.read(testbed.calls, ENDED).at) >= KILLED_AFTER, 60)
        killed = time.monotonic()
        _kill(programs)
    wanted = set(range(FIRST, FIRST + TASKS))
    running = Calls.read(testbed.calls, BEGAN).at.keys() - Calls.read(testbed.calls, ENDED).at.keys()
    with testbed.workers():
        while wanted - (ended := Calls.read(testbed.calls, ENDED)).at.keys() and time.monotonic() < killed + limit:
            time.sleep(POLL_SECONDS)
    lost = len(wanted - ended.at.keys())
    twice = sum(ended.times[number] > 1 for number in wanted)
    seconds = None if lost else max(ended.at[number] for number in wanted) - killed
    return Recovery(len(running), seconds, lost, twice)


def _kill(programs: Programs) -> None:
    for process in tree(programs.pids):
        with suppress(psutil.NoSuchProcess):
            process.kill()
