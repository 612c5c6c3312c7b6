"""The two actions on jobs: who may do them, to which statuses they apply, and how their outcome is reported."""

from dataclasses import dataclass

from django.contrib import messages
from django.http import HttpRequest
from django.utils.functional import Promise
from django.utils.translation import gettext_lazy as _
from django.utils.translation import ngettext_lazy

from jobs.core.job import WAITING, JobQuerySet, Status
from jobs.queue import actions


@dataclass(frozen=True)
class OperatorAction:
    """An action that an operator may apply to jobs."""

    permission: str
    states: tuple[str, ...]  # the statuses that it applies to
    move: actions.JobAction
    done: str | Promise  # the message when it applied to all jobs
    partly: str | Promise  # the message when it did not


ACTIONS = {
    "replay": OperatorAction(
        "replay_joblog",
        (Status.DLQ,),
        actions.replay,
        _("Replayed %(done)s of %(asked)s."),
        ngettext_lazy(
            "Replayed %(done)s of %(asked)s; %(left)s job was not a dead letter any more.",
            "Replayed %(done)s of %(asked)s; %(left)s jobs were not dead letters any more.",
            "left",
        ),
    ),
    "discard": OperatorAction(
        "discard_joblog",
        (Status.DLQ, *WAITING),
        actions.discard,
        _("Discarded %(done)s of %(asked)s."),
        ngettext_lazy(
            "Discarded %(done)s of %(asked)s; %(left)s job was running, settled or deleted already.",
            "Discarded %(done)s of %(asked)s; %(left)s jobs were running, settled or deleted already.",
            "left",
        ),
    ),
}


def apply_action(action: OperatorAction, jobs: JobQuerySet, who: str, why: str = "") -> int:
    """Apply an action to those of `jobs` that it applies to.

    Return how many it moved.
    """
    return actions.apply(action.move, jobs.filter(status__in=action.states), who=who, why=why)


def report_outcome(request: HttpRequest, action: OperatorAction, *, done: int, asked: int) -> None:
    """Show the outcome at the top of the next page."""
    figures = {"done": done, "asked": asked, "left": asked - done}
    level = messages.SUCCESS if done == asked else messages.WARNING
    messages.add_message(request, level, (action.done if done == asked else action.partly) % figures)
