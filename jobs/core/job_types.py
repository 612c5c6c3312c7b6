"""The registry of job types: what a worker calls for each, and the policy of its jobs."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from django.db.models import QuerySet
from django.utils.functional import Promise

from jobs.conf import conf
from jobs.core.pauses import Lane

if TYPE_CHECKING:  # a move of a job asks for its policy
    from jobs.core.errors import Failure
    from jobs.core.job import JobLog

RECIPIENT_LENGTH = 254  # characters of a recipient that are indexed; the index refuses rows that are too long
MAX_NAME = 200  # characters of a type's name
LONGEST_WAIT = 24 * 3600.0  # seconds between two attempts

Settled = Callable[["list[tuple[JobLog, Failure | None]]"], None]
Precheck = Callable[[list["JobLog"]], "dict[int, Failure]"]


@dataclass(frozen=True)
class Execution:
    """How a worker executes jobs of a type."""

    precheck: Precheck | None = None
    """Returns the claimed jobs that must not be tried, by primary key, and why: one query for a whole batch."""
    threads: bool = False
    """Whether the handler uses no database, so that many calls may run in threads."""
    preload: Callable[[], None] = lambda: None
    """Called once, before the workers are forked, without a database: loads what the first jobs would load."""
    settles_alone: bool = False
    """Whether the receivers of its settlement (`on_settled`) write nothing for a job that returned nothing."""
    release: Callable[[], None] = lambda: None
    """Called in a thread that has no more handlers to call: closes the thread's connections."""
    exchange: Callable[[], None] = lambda: None
    """Called with the database before the handlers of a batch and after them: exchanges with other processes what the
    handlers, which may use no database, noted. Never raises."""
    probe: Callable[[], None] | None = None
    """Checks whether the work could be done now; raises if it could not."""


@dataclass(frozen=True)
class Presentation:
    """What the operators' pages show of jobs of a type."""

    recipient: str = ""
    """The payload's key that holds the recipient's address, by which operators search; "" for none."""
    name_keys: frozenset[str] = frozenset()
    """The payload's keys that hold a user's name; their values are masked."""
    preview: Callable[[JobLog, str], tuple[str, str, str]] | None = None
    """Returns subject, text and HTML of a job's email in a language of LANGUAGES; the payload may be masked."""
    suppressed: tuple[str | Promise, str | Promise] = ("", "")
    """The advice for a job that the precheck refused: what happened, and what to do."""
    user_page: Callable[[JobLog], str] | None = None
    """Returns the address of the admin's page about the job's user; "" for a user who is not known here."""
    user_page_permission: str = ""
    """The permission that an operator needs for that page."""


@dataclass(frozen=True)
class Unique:
    """Which jobs of a type count as equal: an equal one is refused while the first waits or runs."""

    period: float = 0.0
    """Seconds after its enqueue for which the first job refuses equal ones, even when it is completed or dead."""
    key: tuple[str, ...] = ()
    """The payload's keys that are compared; () compares the whole payload."""
    pick: Callable[[dict[str, Any]], Any] | None = field(default=None, compare=False)
    """Returns what is compared of a payload (JSON), instead of `key`."""

    def compared(self, payload: dict[str, Any]) -> Any:
        """Return what equal jobs have in common."""
        if self.pick is not None:
            return self.pick(payload)
        return {key: payload.get(key) for key in self.key} if self.key else payload


@dataclass(frozen=True)
class Policy:
    """How long and how often the queue tries jobs of a type. The system check jobs.E005 refuses an impossible one."""

    max_attempts: int | None = None
    """Attempts of a round; None: one more than `backoff` lists, otherwise JOB_MAX_ATTEMPTS."""
    backoff: float | tuple[float, ...] | None = None
    """Seconds before the second attempt, doubled each time; or each wait. None: JOB_BACKOFF_SECONDS."""
    expires: float | None = None
    """Seconds after its due time in which a job is tried; None: JOB_EXPIRES_HOURS."""
    timeout: int | None = None
    """Seconds that one job may take. Jobs with a timeout of their own run one at a time, not in threads. None: a batch
    has JOB_TIMEOUT_SECONDS."""
    unique: Unique | None = None
    """None: only the job id is unique."""

    @property
    def attempts(self) -> int:
        """The attempts of a round."""
        if self.max_attempts is None and isinstance(self.backoff, tuple):
            return len(self.backoff) + 1
        return self.max_attempts or conf.JOB_MAX_ATTEMPTS

    @property
    def waits(self) -> tuple[float, ...]:
        """The seconds between attempts; at least one, since a job of a former version may have attempts left."""
        if isinstance(self.backoff, tuple):
            return self.backoff
        first = conf.JOB_BACKOFF_SECONDS if self.backoff is None else self.backoff
        return tuple(min(first * 2.0**made, LONGEST_WAIT) for made in range(max(1, self.attempts - 1)))

    @property
    def lifetime(self) -> float:
        """The seconds after its due time in which a job is tried."""
        return conf.JOB_EXPIRES_HOURS * 3600 if self.expires is None else self.expires

    @property
    def time_limit(self) -> int:
        """The seconds that one job may take."""
        return self.timeout or conf.JOB_TIMEOUT_SECONDS

    @property
    def lease(self) -> int:
        """The seconds that a worker has for a job before another may take it: half as long again as its limit."""
        return conf.JOB_LEASE_SECONDS if self.timeout is None else max(self.timeout + 2, self.timeout * 3 // 2)


@dataclass(frozen=True)
class JobType:
    """A type of job: what runs, how it is executed, and what the admin shows."""

    name: str
    """Stored with each job."""
    handler: Callable[[JobLog], None]
    """Does the work; raises `jobs.core.errors`."""
    per_hour: int | None = None
    """How many jobs one user may have in a sliding hour; None for no limit."""
    per_address: int | None = None
    """How many jobs one recipient may have in a sliding hour over all users of a source; None for no limit."""
    lane: str = Lane.DEFAULT
    """One of `Lane`: that of its jobs, unless a job is enqueued with another."""
    policy: Policy = Policy()
    execution: Execution = Execution()
    presentation: Presentation = Presentation()


@dataclass(frozen=True)
class Sweep:
    """Maintenance of another module that the reconciler runs."""

    work: Callable[[], None]
    """Does the work; called on one host at a time."""
    due: Callable[[], QuerySet]
    """Returns a query that finds a row, by an index, when there is work."""


_types: dict[str, JobType] = {}
_resolvers: dict[str, Callable[[str], JobType]] = {}
_sweeps: list[Sweep] = []
_receivers: dict[str, list[Settled]] = {}
_pruners: list[Callable[[bool], dict[str, int]]] = []


def register(job_type: JobType) -> None:
    """Register a job type; called from an app's `ready()`."""
    _types[job_type.name] = job_type


def register_resolver(prefix: str, resolve: Callable[[str], JobType]) -> None:
    """Register a function that returns the types whose names begin with `prefix`; called once for each name.

    resolve: raises LookupError, which says why, when this version of the site has no such type.
    """
    _resolvers[prefix] = resolve


def resolved_prefixes() -> list[str]:
    """Return the beginnings of names whose types may be unknown until a job needs them."""
    return list(_resolvers)


def get(name: str) -> JobType:
    """Return the type of that name.

    Raises LookupError when this version of the site has none.
    """
    if name not in _types and (prefix := next(filter(name.startswith, _resolvers), None)):
        register(_resolvers[prefix](name))
    try:
        return _types[name]
    except KeyError:
        raise LookupError(f"no handler is registered for jobs of type {name!r}") from None


def get_or_none(name: str) -> JobType | None:
    """Return the type of that name; None when this version of the site has none."""
    try:
        return get(name)
    except LookupError:
        return None


def is_registered(name: str) -> bool:
    """Return whether that type is known now; unlike `get`, it imports nothing that an operator's input names."""
    return name in _types


def policy_of(name: str) -> Policy:
    """Return the policy of that type; the default one when this version of the site has no such type."""
    kind = get_or_none(name)
    return kind.policy if kind else Policy()


def leases() -> dict[str, int]:
    """Return the lease in seconds of each type that has a timeout of its own."""
    return {kind.name: kind.policy.lease for kind in _types.values() if kind.policy.timeout is not None}


def mail_types() -> list[str]:
    """Return the names of the types whose jobs send an email."""
    return [kind.name for kind in _types.values() if kind.presentation.recipient]


def may_run_in_threads(name: str) -> bool:
    """Return whether handlers of that type may run in parallel threads."""
    kind = get_or_none(name)
    return kind is not None and kind.execution.threads


def name_keys(name: str) -> frozenset[str]:
    """Return the payload keys that hold a user's name, in jobs of that type."""
    kind = get_or_none(name)
    return kind.presentation.name_keys if kind else frozenset()


def recipient_keys() -> list[str]:
    """Return the payload keys by which operators search for an address."""
    return sorted({kind.presentation.recipient for kind in _types.values() if kind.presentation.recipient})


def on_settled(name: str, receiver: Settled) -> None:
    """Register a function that the settlement of jobs of that type calls, in its transaction, with their failures.

    What it writes commits with the settlement. It writes in a savepoint: an error that it raises is logged, and must
    not undo the settlement.
    """
    _receivers.setdefault(name, []).append(receiver)


def settled_receivers(name: str) -> list[Settled]:
    """Return the functions that the settlement of jobs of that type calls."""
    return _receivers.get(name, [])


def register_sweep(work: Callable[[], None], due: Callable[[], QuerySet]) -> None:
    """Register a sweep: the reconciler calls `work` when `due` finds a row."""
    _sweeps.append(Sweep(work, due))


def sweeps() -> list[Sweep]:
    """Return the registered sweeps."""
    return list(_sweeps)


def register_pruner(pruner: Callable[[bool], dict[str, int]]) -> None:
    """Register a function that retention calls as `pruner(dry_run)`.

    It deletes old data and returns how many rows of each kind; with dry_run it only counts them.
    """
    _pruners.append(pruner)


def pruners() -> list[Callable[[bool], dict[str, int]]]:
    """Return the registered pruners."""
    return list(_pruners)


def all_types() -> list[JobType]:
    """Return every registered type, in the order of registration."""
    return list(_types.values())


def unregister(name: str) -> None:
    """Forget a job type; LookupError when it is not registered."""
    if name not in _types:
        raise LookupError(f"no handler is registered for jobs of type {name!r}")
    del _types[name]
