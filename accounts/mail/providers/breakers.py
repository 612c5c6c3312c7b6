"""The breakers of the mail providers: through which one an email leaves, and which ones are out of use.

The state is one row for each provider (`jobs.core.pauses.ProviderState`), so that all hosts agree. Handlers use no
database: each process keeps what it knows in memory, and its main thread exchanges it with the table.
"""

import threading
import time
from dataclasses import dataclass

import structlog
from django.db import Error, connection

from accounts.mail.providers.configured import Provider, configured
from jobs.core import pauses
from jobs.core.errors import Configuration, ErrorClass, JobError, Temporary, Throttled, Unreachable

log = structlog.get_logger("accounts.mail")

READ_SECONDS = 1.0  # a process knows what another has found out after that long
QUOTA_SECONDS = 300.0  # a quota that names no time is not probed earlier
QUOTA_LONGEST = 3600.0
GRAVEST_FIRST = (ErrorClass.CONFIGURATION, ErrorClass.UNREACHABLE, ErrorClass.TEMPORARY, ErrorClass.THROTTLED)
"""Which error counts for an email that no provider takes: the one whose end is noticed soonest."""


@dataclass(frozen=True)
class Trouble:
    """Why a provider is out of use."""

    error_class: str
    error: str
    hold: float = 0.0
    """Seconds before the first probe."""

    def as_error(self) -> JobError:
        """Return the error that an email would meet."""
        match self.error_class:
            case ErrorClass.CONFIGURATION:
                return Configuration(self.error)
            case ErrorClass.UNREACHABLE:
                return Unreachable(self.error)
            case ErrorClass.TEMPORARY:
                return Temporary(self.error, outage=True)
        return Throttled(self.error, slow=True)


class Breakers:
    """What this process knows about the providers."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._open: dict[str, Trouble] = {}
        self._unwritten: dict[str, Trouble] = {}
        self._read_at: float | None = None

    def route(self, bound_to: str) -> tuple[Provider, ...]:
        """Return the providers to try, in order: the first whose breaker is closed; all of them when none is.

        bound_to: the provider that may have taken the email; no other may be tried while that one is configured.
        """
        providers = configured()
        if bound_to and (mine := tuple(provider for provider in providers if provider.name == bound_to)):
            return mine
        closed = tuple(provider for provider in providers if provider.name not in self._open)
        return closed or providers

    def open(self, provider: Provider, error: JobError) -> None:
        """Put a provider out of use, if there is another one."""
        if len(configured()) < 2:
            return
        hold = 0.0
        if isinstance(error, Throttled):
            hold = min(error.retry_after or QUOTA_SECONDS, QUOTA_LONGEST)
        trouble = Trouble(error.error_class, str(error), hold)
        with self._lock:
            self._open[provider.name] = self._unwritten[provider.name] = trouble

    def gravest(self, errors: list[JobError]) -> JobError:
        """Return the error that counts for an email that no provider takes; those out of use count as well."""
        known = [trouble.as_error() for trouble in self._open.values()] if len(configured()) > 1 else []
        return min([*errors, *known], key=lambda error: GRAVEST_FIRST.index(ErrorClass(error.error_class)))

    def exchange(self) -> None:
        """Write the breakers that this process opened, and read those of all. Never raises.

        Called in the main thread of a worker, before the handlers of a batch and after them.
        """
        if len(configured()) < 2:
            return
        with self._lock:
            written, self._unwritten = self._unwritten, {}
        stale = self._read_at is None or time.monotonic() - self._read_at > READ_SECONDS
        if not (written or stale):
            return
        try:
            for name, trouble in written.items():
                pauses.open_provider(name, trouble.error_class, trouble.error, trouble.hold)
            rows = {row.provider: Trouble(row.error_class, row.breaker_error) for row in pauses.open_providers()}
        except Error as away:
            with self._lock:
                self._unwritten = {**written, **self._unwritten}
            log.warning("breakers of mail providers not exchanged", error=type(away).__name__)
            connection.close()
            return
        with self._lock:
            self._open = {**rows, **self._unwritten}
        self._read_at = time.monotonic()


this_process = Breakers()


def blames_provider(error: JobError) -> bool:
    """Return whether the error blames the provider, so that another one might take the email."""
    match error:
        case Configuration() | Unreachable():
            return True
        case Throttled():
            return error.slow
        case Temporary():
            return error.outage or error.code is None
    return False
