"""Replay and discard, on one job or many: only from the states they may touch, and saying how many it was."""

from collections.abc import Callable
from dataclasses import dataclass

from django.contrib import messages
from django.http import HttpRequest
from django.utils.functional import Promise
from django.utils.translation import gettext_lazy as _

from jobs import audit, queue
from jobs.models import WAITING, JobLog, JobQuerySet, Status


@dataclass(frozen=True)
class Verb:
    """act: as the audit names it. permission: who may. states: where it may start. said, left: the message's parts."""

    act: audit.AuditEntry.Act
    permission: str
    states: tuple[str, ...]
    move: Callable[[JobLog], bool]
    said: str | Promise
    left: str | Promise


VERBS = {
    "replay": Verb(
        audit.AuditEntry.Act.REPLAY,
        "replay_joblog",
        (Status.DLQ,),
        queue.replay,
        _("Replayed %(done)s of %(asked)s."),
        _("Replayed %(done)s of %(asked)s; %(left)s were not dead letters any more."),
    ),
    "discard": Verb(
        audit.AuditEntry.Act.DISCARD,
        "discard_joblog",
        (Status.DLQ, *WAITING),
        queue.discard,
        _("Discarded %(done)s of %(asked)s."),
        _("Discarded %(done)s of %(asked)s; %(left)s were running, settled or gone already."),
    ),
}


def apply(verb: Verb, jobs: JobQuerySet, who: str, **detail: str) -> int:
    """Does `verb` to those of `jobs` that are in its states still, each written to the audit; how many it moved."""
    done = 0
    for job in jobs.filter(status__in=verb.states).defer("payload", "error", "stack_trace").order_by("pk"):
        if verb.move(job):
            audit.record(who, verb.act, job.job_id, **detail)
            done += 1
    return done


def tell(request: HttpRequest, verb: Verb, *, done: int, asked: int) -> None:
    """Puts the outcome at the top of the next page."""
    figures = {"done": done, "asked": asked, "left": asked - done}
    level = messages.SUCCESS if done == asked else messages.WARNING
    messages.add_message(request, level, (verb.said if done == asked else verb.left) % figures)
