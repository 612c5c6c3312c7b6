"""Who the users of jobs are: masked names instead of numbers. The app that knows users registers the lookup."""

from collections.abc import Callable, Iterable
from dataclasses import dataclass

from django.db.models.expressions import Combinable
from django.db.models.functions import Left

from jobs.core import job_types, masking
from jobs.core.job_reads import text_in_payload

NAME_LENGTH = 60


@dataclass(frozen=True)
class UserKey:
    """A user as a job names one."""

    source: str
    user_id: str


@dataclass(frozen=True)
class KnownUser:
    """What an operator reads of a user."""

    name: str
    """Masked."""
    page: str = ""
    """The path of the page about the user; "" for none."""
    permission: str = ""
    """That an operator needs for the page."""


Lookup = Callable[[set[UserKey]], dict[UserKey, KnownUser]]
"""Returns the users that are known; one query, however many there are."""

_lookups: list[Lookup] = []


def register(lookup: Lookup) -> None:
    """Add a lookup; the first that knows a user counts."""
    if lookup not in _lookups:
        _lookups.append(lookup)


def find(keys: Iterable[UserKey]) -> dict[UserKey, KnownUser]:
    """Return those of the users that a lookup knows."""
    wanted = {key for key in keys if key.user_id}
    found: dict[UserKey, KnownUser] = {}
    for lookup in _lookups:
        found = lookup(wanted) | found
    return found


def name_in_payload() -> Combinable:
    """Return the expression of the name that a job's own data has of its user; "" without one."""
    keys = sorted({key for kind in job_types.all_types() for key in kind.presentation.name_keys})
    return Left(text_in_payload(keys), NAME_LENGTH)


def mask_name(name: str) -> str:
    """Return the first letter of each word of a name: `B*** D***`."""
    return " ".join(f"{word[0]}***" for word in name.split()[:4])


def shown(key: UserKey, known: KnownUser | None, name: str = "") -> KnownUser:
    """Return how a user is shown. name: that of the job's own data, for a user whom no lookup knows."""
    if known is not None:
        return known
    return KnownUser(mask_name(name) or masking.abbreviate(key.user_id))
