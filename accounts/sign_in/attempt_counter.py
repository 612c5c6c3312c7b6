"""One count of attempts in the cache."""

from contextlib import suppress
from dataclasses import dataclass

from django.core.cache import cache

REMEMBERED = 365 * 24 * 3600  # seconds for which failures in a row are counted, from the first


@dataclass(frozen=True)
class Counter:
    """One count in the cache."""

    key: str
    limit: int
    seconds: int
    user: int = 0
    """The account whose failures in a row it counts."""
    strangers: str = ""
    """The key of the failures of strangers for that account, when this counts those of a known source."""

    def take(self) -> int:
        """Count one and return the count."""
        if cache.add(self.key, 1, self.seconds):
            return 1
        try:
            return cache.incr(self.key)
        except ValueError:  # it expired in between
            return 1

    def failures(self, count: int) -> int:
        """Return the failures for its account before the attempt that `take` counted as `count`."""
        return count - 1 + (cache.get(self.strangers, 0) if self.strangers else 0)

    def give_back(self) -> None:
        """Count one less."""
        with suppress(ValueError):
            cache.decr(self.key)

    @property
    def in_a_row(self) -> bool:
        """Whether the counter counts failures in a row, which do not expire with time."""
        return self.seconds == REMEMBERED
