"""What is measured of one contender in one round; how exactly is said in docs/performance.md."""

import time
from dataclasses import dataclass, field

from benchmarks.contenders import Contender
from benchmarks.processes import cpu_seconds, pss_mb
from benchmarks.services import Services
from benchmarks.stands import Stand

WARM = 4  # mails before anything is measured at rest
STARTING_SECONDS = 8.0  # in which workers are up, and have looked after what happened before
SETTLING_SECONDS = 0.5  # for what follows the last mail
SLOW_MS = 50


@dataclass(frozen=True)
class Sizes:
    """jobs: of a drain, times the contender's share. pickups: single jobs at rest. idle: seconds of watching it idle,
    in the first round alone."""

    jobs: int
    pickups: int
    idle: float


@dataclass
class Figures:
    """One round; None for what was not measured. Memory in MB, times in ms, counts for each job or minute."""

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


def measure(contender: Contender, services: Services, sizes: Sizes, first: bool) -> Figures:
    """A whole round of one contender."""
    stand, figures = Stand(contender, services), Figures()
    try:
        stand.fresh()
        at_rest(stand, figures, sizes.pickups, sizes.idle if first else 0.0)
        stand.fresh()
        drain(stand, figures, max(20, int(sizes.jobs * contender.share[0])))
        stand.fresh()
        drain_slowly(stand, figures, max(20, int(sizes.jobs * contender.share[1])))
    finally:
        stand.close()
    return figures


def at_rest(stand: Stand, figures: Figures, pickups: int, idle: float) -> None:
    """Memory after a few mails, queries of an idle minute, and how soon single jobs are picked up."""
    sink = stand.services.sink
    with stand.workers() as programs:
        if idle:
            time.sleep(STARTING_SECONDS)
            before = stand.services.counts(stand.database)
            time.sleep(idle)
            after = stand.services.counts(stand.database)
            figures.idle = sum(after[kind] - before[kind] for kind in ("statements", "commands")) * 60 / idle
        sink.ask("reset", 0)
        stand.enqueue("bulk", "warm", WARM)
        stand.arrived(WARM)
        time.sleep(2.0)
        figures.pss_idle = pss_mb(programs.pids)
        sink.ask("reset", 0)
        returned = stand.enqueue("paced", "rest", pickups)
        stand.arrived(pickups)
        came = dict(sink.ask("arrivals", "rest-"))
    figures.pickups = [(came[reference] - at) * 1000 for reference, at in returned.items()]


def drain(stand: Stand, figures: Figures, jobs: int) -> None:
    """A full queue, a mail server that answers at once: rate, work, memory afterwards."""
    services = stand.services
    before = services.counts(stand.database)
    took = sorted(stand.enqueue("bulk", "quick", jobs))
    figures.enqueue = took[len(took) // 2]
    services.sink.ask("reset", 0)
    with stand.workers() as programs:
        stand.arrived(1)
        spent, done = cpu_seconds([*programs.pids, *services.pids]), services.sink.ask("count")[0]
        stand.arrived(jobs)
        time.sleep(SETTLING_SECONDS)
        spent = cpu_seconds([*programs.pids, *services.pids]) - spent
        figures.rate, mails = _rate(services)
        figures.cpu = spent * 1000 / (mails - done) if mails > done else None
        figures.twice = mails - jobs
        figures.pss_after = pss_mb(programs.pids)
        stand.settled()
    after = services.counts(stand.database)
    for kind in ("statements", "commits", "commands"):
        setattr(figures, kind, (after[kind] - before[kind]) / jobs)


def drain_slowly(stand: Stand, figures: Figures, jobs: int) -> None:
    """The same with a mail server that takes SLOW_MS for each mail."""
    stand.enqueue("bulk", "slow", jobs)
    stand.services.sink.ask("reset", SLOW_MS)
    with stand.workers():
        stand.arrived(jobs)
        figures.rate_slow, _ = _rate(stand.services)
        stand.settled()


def _rate(services: Services) -> tuple[float, int]:
    """Mails a second from the first to the last, and how many there were."""
    mails, _, first, last = services.sink.ask("count")
    return (mails - 1) / max(last - first, 1e-9), mails
