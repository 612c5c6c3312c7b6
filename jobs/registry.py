"""Job types: what a worker calls for each, and how many of them one user may have in an hour."""

from collections.abc import Callable
from dataclasses import dataclass

from django.db.models import QuerySet

from jobs.errors import Failure
from jobs.models import JobLog

Screen = Callable[[list[JobLog]], dict[int, Failure]]


@dataclass(frozen=True)
class JobType:
    """name: stored with each job. handler: does the work, raises `jobs.errors`. per_hour: jobs for one user in a
    sliding hour, None for no limit. probe: asks the outside world whether work could be done; raises if not.
    preview: the mail a job makes in a language ("mn", "en"), as (subject, text, HTML), for the operators' pages; it may
    be given a job whose payload is masked. names: the payload's keys that hold a person's name, masked there.
    screen: those of claimed jobs that must not be tried, by primary key, and why (`Reason.SUPPRESSED`): one question to
    the database for a whole batch. threads: the handler asks the database nothing, so many may run side by side.
    warm: called once, before workers are forked: makes what each of them would make for its first jobs; no database.
    at_rest: called in a thread that has called handlers and has nothing more to do: it lets go of its connections.
    person: the address of the admin's page about whom a job is for, "" for nobody known here; `person_permission`:
    what an operator needs to see it."""

    name: str
    handler: Callable[[JobLog], None]
    per_hour: int | None = None
    probe: Callable[[], None] | None = None
    preview: Callable[[JobLog, str], tuple[str, str, str]] | None = None
    names: frozenset[str] = frozenset()
    screen: Screen | None = None
    threads: bool = False
    warm: Callable[[], None] = lambda: None
    at_rest: Callable[[], None] = lambda: None
    person: Callable[[JobLog], str] | None = None
    person_permission: str = ""


@dataclass(frozen=True)
class Sweep:
    """work: what the reconciler is to call, on one host at a time. due: finds a row when there is any, by an index."""

    work: Callable[[], None]
    due: Callable[[], QuerySet]


_types: dict[str, JobType] = {}
_sweeps: list[Sweep] = []
_pruners: list[Callable[[bool], dict[str, int]]] = []


def register(job_type: JobType) -> None:
    """Makes a job type known; called from an app's `ready()`."""
    _types[job_type.name] = job_type


def get(name: str) -> JobType:
    """The type of that name; LookupError when this version of the site has none."""
    try:
        return _types[name]
    except KeyError:
        raise LookupError(f"no handler is registered for jobs of type {name!r}") from None


def find(name: str) -> JobType | None:
    """The type of that name, if this version of the site has one."""
    return _types.get(name)


def may_run_in_threads(name: str) -> bool:
    """Whether handlers of jobs of that type may run side by side."""
    kind = find(name)
    return kind is not None and kind.threads


def names(name: str) -> frozenset[str]:
    """The payload's keys that hold a person's name, in jobs of that type."""
    kind = find(name)
    return kind.names if kind else frozenset()


def register_sweep(work: Callable[[], None], due: Callable[[], QuerySet]) -> None:
    """Has the reconciler call `work` when there is something `due` (Sweep)."""
    _sweeps.append(Sweep(work, due))


def sweeps() -> list[Sweep]:
    """What other apps asked the reconciler to call."""
    return list(_sweeps)


def register_pruner(pruner: Callable[[bool], dict[str, int]]) -> None:
    """Has `pruner(dry_run)` called when old data is deleted; it says how many of what went, or would."""
    _pruners.append(pruner)


def pruners() -> list[Callable[[bool], dict[str, int]]]:
    """What other apps delete when it is old."""
    return list(_pruners)


def all_types() -> list[JobType]:
    """Every registered type, in the order of registration."""
    return list(_types.values())
