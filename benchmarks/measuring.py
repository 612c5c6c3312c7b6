"""The measurements of one contender in one round. docs/performance.md describes the method."""

import time
from dataclasses import dataclass, field

from benchmarks.contenders import Contender
from benchmarks.processes import cpu_seconds, pss_mb
from benchmarks.services import Services
from benchmarks.testbed import Testbed

WARM_UP_EMAILS = 4  # before anything is measured at rest
STARTING_SECONDS = 8.0  # until workers run and have finished their checks at the start
SETTLING_SECONDS = 0.5  # for the work after the last email
SLOW_MS = 50


@dataclass(frozen=True)
class Sizes:
    """The sizes of a round."""

    jobs: int  # of a drain, multiplied by the contender's share
    pickups: int  # single jobs at rest
    idle: float  # seconds of idle observation, only in the first round


@dataclass
class Measurement:
    """One round. None: not measured. Memory in MB, times in ms, counts for each job or minute."""

    enqueue: float | None = None
    rate: float | None = None
    rate_slow: float | None = None
    cpu: float | None = None
    pss_idle: float | None = None
    pss_after: float | None = None
    statements: float | None = None
    commits: float | None = None
    commands: float | None = None
    idle: float | None = None
    twice: float | None = None
    pickups: list[float] = field(default_factory=list)


def measure(contender: Contender, services: Services, sizes: Sizes, first: bool) -> Measurement:
    """Measure one contender in one round."""
    testbed, measured = Testbed(contender, services), Measurement()
    try:
        testbed.fresh()
        measure_at_rest(testbed, measured, sizes.pickups, sizes.idle if first else 0.0)
        testbed.fresh()
        drain(testbed, measured, max(20, int(sizes.jobs * contender.share[0])))
        testbed.fresh()
        drain_slowly(testbed, measured, max(20, int(sizes.jobs * contender.share[1])))
    finally:
        testbed.close()
    return measured


def measure_at_rest(testbed: Testbed, measured: Measurement, pickups: int, idle: float) -> None:
    """Measure memory after a few emails, queries while idle, and the pickup time of single jobs."""
    sink = testbed.services.sink
    with testbed.workers() as programs:
        if idle:
            time.sleep(STARTING_SECONDS)
            before = testbed.services.counts(testbed.database)
            time.sleep(idle)
            after = testbed.services.counts(testbed.database)
            measured.idle = sum(after[kind] - before[kind] for kind in ("statements", "commands")) * 60 / idle
        sink.request("reset", 0)
        testbed.enqueue("bulk", "warm", WARM_UP_EMAILS)
        testbed.arrived(WARM_UP_EMAILS)
        time.sleep(2.0)
        measured.pss_idle = pss_mb(programs.pids)
        sink.request("reset", 0)
        returned = testbed.enqueue("paced", "rest", pickups)
        testbed.arrived(pickups)
        arrivals = dict(sink.request("arrivals", "rest-"))
    measured.pickups = [(arrivals[reference] - at) * 1000 for reference, at in returned.items()]


def drain(testbed: Testbed, measured: Measurement, jobs: int) -> None:
    """Measure rate, work and memory with a full queue and a mail server that replies immediately."""
    services = testbed.services
    before = services.counts(testbed.database)
    took = sorted(testbed.enqueue("bulk", "quick", jobs))
    measured.enqueue = took[len(took) // 2]
    services.sink.request("reset", 0)
    with testbed.workers() as programs:
        testbed.arrived(1)
        cpu, done = cpu_seconds([*programs.pids, *services.pids]), services.sink.request("count")[0]
        testbed.arrived(jobs)
        time.sleep(SETTLING_SECONDS)
        cpu = cpu_seconds([*programs.pids, *services.pids]) - cpu
        measured.rate, mails = _rate(services)
        measured.cpu = cpu * 1000 / (mails - done) if mails > done else None
        measured.twice = mails - jobs
        measured.pss_after = pss_mb(programs.pids)
        testbed.settled()
    after = services.counts(testbed.database)
    for kind in ("statements", "commits", "commands"):
        setattr(measured, kind, (after[kind] - before[kind]) / jobs)


def drain_slowly(testbed: Testbed, measured: Measurement, jobs: int) -> None:
    """Measure the rate with a full queue and a mail server that takes SLOW_MS for each email."""
    testbed.enqueue("bulk", "slow", jobs)
    testbed.services.sink.request("reset", SLOW_MS)
    with testbed.workers():
        testbed.arrived(jobs)
        measured.rate_slow, _ = _rate(testbed.services)
        testbed.settled()


def _rate(services: Services) -> tuple[float, int]:
    """Return the emails a second from the first to the last, and their number."""
    mails, _, first, last = services.sink.request("count")
    return (mails - 1) / max(last - first, 1e-9), mails
