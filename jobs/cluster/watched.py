"""The cluster that a watchdog watches."""

from dataclasses import dataclass

from jobs.brokers import django_q
from jobs.cluster.identity import Identity
from jobs.core.scoreboard import Scoreboard


@dataclass(frozen=True)
class Watched:
    """A cluster as its supervisor describes it to the watchdog."""

    identity: Identity
    """Of its supervisor."""
    scoreboard: Scoreboard
    group: int
    """Its process group."""
    workers: int
    restarts: int
    """How many clusters were replaced before it."""
    version: str

    @property
    def processes(self) -> int:
        """How many processes it should have."""
        return self.workers + django_q.urgent_workers() + django_q.OTHER_PROCESSES
