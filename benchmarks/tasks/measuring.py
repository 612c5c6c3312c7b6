"""The measurements of one contender in one round. docs/performance.md describes the method."""

from dataclasses import dataclass, field

from benchmarks.processes import cpu_seconds
from benchmarks.services import Services
from benchmarks.tasks.contenders import Contender
from benchmarks.tasks.testbed import Testbed

WARM_UP, PACED, EMPTY, ROW = 1_000, 10_000, 100_000, 200_000  # the first numbers of the tasks of each part
WARM_UP_TASKS = 4


@dataclass
class Measurement:
    """One round: tasks a second, and the milliseconds from the return of `enqueue` to the call of the task."""

    enqueue: float = 0.0
    empty: float = 0.0
    row: float = 0.0
    cpu: float = 0.0
    """CPU-ms a task of the drain, of the workers and the servers."""
    pickups: list[float] = field(default_factory=list)


def measure(contender: Contender, services: Services, jobs: int, pickups: int) -> Measurement:
    """Measure one contender in one round."""
    testbed, measured = Testbed(contender, services), Measurement()
    try:
        testbed.fresh()
        services.redis.flushall()
        measured.pickups = _pick_up(testbed, pickups)
        _drain(testbed, measured, jobs)
    finally:
        testbed.close()
    return measured


def _pick_up(testbed: Testbed, count: int) -> list[float]:
    """Enqueue single tasks with idle workers."""
    with testbed.workers():
        testbed.enqueue("paced", "empty", WARM_UP, WARM_UP_TASKS)
        testbed.wait(range(WARM_UP, WARM_UP + WARM_UP_TASKS))
        returned = testbed.enqueue("paced", "empty", PACED, count)
        called = testbed.wait(range(PACED, PACED + count))
    return [(called.at[int(number)] - at) * 1000 for number, at in returned.items()]


def _drain(testbed: Testbed, measured: Measurement, jobs: int) -> None:
    """Enqueue empty tasks and then tasks that write a row, and start the workers."""
    measured.enqueue = jobs / testbed.enqueue("bulk", "empty", EMPTY, jobs)
    testbed.enqueue("bulk", "row", ROW, jobs)
    empty, row = range(EMPTY, EMPTY + jobs), range(ROW, ROW + jobs)
    with testbed.workers() as programs:
        began = len(testbed.wait([EMPTY]).at)
        cpu = cpu_seconds([*programs.pids, *testbed.services.pids])
        called = testbed.wait([*empty, *row])
        cpu = cpu_seconds([*programs.pids, *testbed.services.pids]) - cpu
    measured.cpu = cpu * 1000 / (len(called.at) - began)
    measured.empty, measured.row = called.rate(empty), called.rate(row)
    if twice := sum(times > 1 for times in called.times.values()):
        raise RuntimeError(f"{twice} tasks ran twice, and no worker was killed")
